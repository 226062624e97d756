//! What to look at when a check fails: objects, logs and rules, as they are at that moment.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::topology::Host;
use crate::walkthrough::ask::{self, Said};
use crate::walkthrough::scenario::{CONNECTOR_NAMESPACE, Scenario};

/// Writes everything to a folder and prints where it is. What cannot be had is said in its file:
/// a dump never hides the failure that it is made for.
pub fn write(scenario: &Scenario) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/dumps")
        .join(&scenario.name);
    match fill(&folder, scenario) {
        Ok(()) => eprintln!(
            "objects, logs and rules of {} are in {}",
            scenario.name,
            folder.display()
        ),
        Err(error) => eprintln!("no dump of {}: {error:#}", scenario.name),
    }
}

fn fill(folder: &Path, scenario: &Scenario) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let namespaces = scenario
        .sources
        .each_ref()
        .map(|source| source.namespace.as_str());
    for namespace in [CONNECTOR_NAMESPACE, namespaces[0], namespaces[1]] {
        let kinds = "externalservices,forwarders,gateways,deployments,services,endpointslices,pods,rolebindings,events";
        keep(
            folder,
            &format!("{namespace}.yaml"),
            ask::cluster(&["get", kinds, "-n", namespace, "-o", "yaml"], ""),
        )?;
        keep(
            folder,
            &format!("{namespace}.txt"),
            ask::cluster(&["describe", "pods", "-n", namespace], ""),
        )?;
    }
    let pods = ask::cluster(
        &["get", "pods", "-n", CONNECTOR_NAMESPACE, "-o", "name"],
        "",
    )?;
    for pod in pods.stdout.lines() {
        let logs = ask::cluster(
            &[
                "logs",
                "-n",
                CONNECTOR_NAMESPACE,
                pod,
                "--all-containers",
                "--prefix",
            ],
            "",
        );
        keep(folder, &format!("{}.log", pod.replace('/', "-")), logs)?;
    }
    let journal = ["journalctl", "--no-pager", "-u", "extconn-gateway"];
    keep(folder, "gateway.log", ask::host(Host::Gateway, &journal))?;
    keep(
        folder,
        "gateway-rules.txt",
        ask::host(Host::Gateway, &["iptables-save", "-c"]),
    )?;
    keep(
        folder,
        "gateway-sockets.txt",
        ask::host(Host::Gateway, &["ss", "-tanp"]),
    )
}

fn keep(folder: &Path, name: &str, said: Result<Said>) -> Result<()> {
    let text = match said {
        Ok(said) => said.stdout + &said.stderr,
        Err(error) => format!("{error:#}\n"),
    };
    fs::write(folder.join(name), text).with_context(|| format!("write {name}"))
}
