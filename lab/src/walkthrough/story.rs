//! The walkthrough in the order of a story: `extconn-lab demo`.

use std::io::{Write, stdout};

use anyhow::{Result, ensure};

use crate::installation;
use crate::progress::Progress;
use crate::topology::Host;
use crate::walkthrough::{Observation, Scenario, ask, egress, ingress, removal, workload};

/// The manifest that a user writes, as the documentation shows it.
const MANIFEST: &str = include_str!("../../../docs/examples/my-externalservice.yaml");

/// What to do next. Each line works as it stands, from the top of the source tree.
const LOOK_AROUND: &str = "
The lab is up, with the example in it. Look around:

  target/release/extconn-lab kubectl get extsvc --all-namespaces
  target/release/extconn-lab kubectl exec -n ns1 my-pod1 -- witness get http://my-externalservice.external-services:8000/
  target/release/extconn-lab exec external -- witness get http://192.168.122.200/

Take it down without a trace:

  target/release/extconn-lab down";

/// Shows the whole of the main job on a lab that is up: installs extconn, prints a line
/// for each thing seen, and leaves it with the example applied.
///
/// # Errors
/// The lab does not answer, or a promise does not hold: every line is printed all the same.
pub fn tell(progress: &Progress) -> Result<()> {
    let scenario = Scenario::reference();
    let mut table = Table::default();
    installation::install(progress)?;
    progress.step("namespaces, Services and pods of the example", || {
        workload::create(&scenario)
    })?;
    progress.step(
        "apply the ExternalService and wait until it is ready",
        || apply(&scenario),
    )?;

    for source in &scenario.sources {
        table.line(egress::from_source(&scenario, source)?);
    }
    table.line(egress::from_outsider(&scenario)?);
    for source in &scenario.sources {
        table.line(ingress::from_external_server(source)?);
    }
    for source in &scenario.sources {
        table.line(ingress::from_third_host(source)?);
    }
    let first = &scenario.sources[0];
    workload::add_pod(first, "my-new-pod", Host::Node2)?;
    table.line(egress::from_pod(&scenario, first, "my-new-pod")?);
    workload::remove_pod(first, "my-new-pod")?;
    table.line(removal::stops_traffic(&scenario)?);
    table.line(removal::leaves_nothing(&scenario)?);

    installation::uninstall(progress)?;
    table.line(removal::uninstall_leaves_nothing()?);

    installation::install(progress)?;
    progress.step("apply the ExternalService again", || apply(&scenario))?;
    table.line(egress::from_source(&scenario, first)?);
    table.end()?;
    let _ = writeln!(stdout(), "{LOOK_AROUND}");
    Ok(())
}

/// Applies the user's manifest and waits until it is ready.
fn apply(scenario: &Scenario) -> Result<()> {
    let namespace = scenario.namespace.as_str();
    ask::cluster_ok(&["apply", "-n", namespace, "-f", "-"], MANIFEST)?;
    await_ready(scenario)
}

/// Waits until the ExternalService of a scenario is ready.
///
/// # Errors
/// It is not within a minute: the error holds its conditions.
pub fn await_ready(scenario: &Scenario) -> Result<()> {
    let namespace = scenario.namespace.as_str();
    let object = format!("externalservice/{}", scenario.name);
    let wait = [
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "-n",
        namespace,
        &object,
    ];
    if let Err(error) = ask::cluster_ok(&wait, "") {
        let conditions = "-o=jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{\"\\n\"}{end}";
        let said = ask::cluster_ok(&["get", "-n", namespace, &object, conditions], "")?;
        return Err(error.context(format!("{object} is not ready:\n{said}")));
    }
    Ok(())
}

/// Prints a line for each observation as it comes.
#[derive(Default)]
struct Table {
    broken: usize,
    lines: usize,
}

impl Table {
    fn line(&mut self, observation: Observation) {
        let Observation { tried, seen, holds } = observation;
        self.lines += 1;
        self.broken += usize::from(!holds);
        let mark = if holds { "✓" } else { "✗" };
        let _ = writeln!(stdout(), "{mark} {tried:<52} {seen}");
    }

    fn end(self) -> Result<()> {
        ensure!(
            self.broken == 0,
            "{} of {} checks do not hold",
            self.broken,
            self.lines
        );
        let _ = writeln!(stdout(), "\nall {} checks hold", self.lines);
        Ok(())
    }
}
