//! Taking things away: how fast traffic stops, and what is left behind.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::topology::Host;
use crate::walkthrough::scenario::{Scenario, Source};
use crate::walkthrough::{Observation, access, ask, egress, ingress, leftovers};

/// How long traffic may go on after the ExternalService is deleted.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long its objects and rules may stay: the forwarder's pods drain first.
const CLEAN_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks.
const POLL: Duration = Duration::from_millis(100);

/// Deletes the ExternalService; both directions of both sources stop in time.
///
/// # Errors
/// The lab itself does not answer; a broken promise is an observation.
pub fn stops_traffic(scenario: &Scenario) -> Result<Observation> {
    let begin = Instant::now();
    let namespace = &scenario.namespace;
    let what = [
        "delete",
        "externalservice",
        &scenario.name,
        "-n",
        namespace,
        "--wait=false",
    ];
    ask::cluster_ok(&what, "")?;
    let stopped = loop {
        if all_stopped(scenario)? {
            break Some(begin.elapsed());
        }
        if begin.elapsed() > 4 * STOP_LIMIT {
            break None;
        }
        std::thread::sleep(POLL);
    };
    Ok(Observation {
        tried: format!("delete {}: both directions stop", scenario.name),
        seen: stopped.map_or("traffic goes on".into(), |after| {
            format!("refused both ways after {:.1} s", after.as_secs_f64())
        }),
        holds: stopped.is_some_and(|after| after <= STOP_LIMIT),
    })
}

/// Nothing of the deleted ExternalService is left in the cluster or on the gateway host.
///
/// # Errors
/// As [`stops_traffic`].
pub fn leaves_nothing(scenario: &Scenario) -> Result<Observation> {
    let left = until_empty(|| leftovers::of_external_service(scenario))?;
    Ok(Observation {
        tried: format!("after deleting {}", scenario.name),
        holds: left.is_empty(),
        seen: describe(&left, "no object, Deployment, Service or nat rule left"),
    })
}

/// Nothing of extconn is left after uninstalling it; the CRDs stay, as the chart says.
///
/// # Errors
/// As [`stops_traffic`].
pub fn uninstall_leaves_nothing() -> Result<Observation> {
    let left = until_empty(leftovers::of_installation)?;
    Ok(Observation {
        tried: "kubectl extconn uninstall".into(),
        holds: left.is_empty(),
        seen: describe(
            &left,
            "nothing in the cluster but CRDs, nothing on the gateway host",
        ),
    })
}

fn all_stopped(scenario: &Scenario) -> Result<bool> {
    for source in &scenario.sources {
        if carries(scenario, source)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether anything still passes, in either direction.
fn carries(scenario: &Scenario, source: &Source) -> Result<bool> {
    let mark = access::unique_word();
    Ok(ingress::get(Host::External, source, &mark)?.success
        || egress::get(scenario, &source.namespace, &source.pod, &mark)?.success)
}

fn until_empty(mut look: impl FnMut() -> Result<Vec<String>>) -> Result<Vec<String>> {
    let begin = Instant::now();
    loop {
        let left = look()?;
        if left.is_empty() || begin.elapsed() > CLEAN_LIMIT {
            return Ok(left);
        }
        std::thread::sleep(POLL);
    }
}

fn describe(left: &[String], nothing: &str) -> String {
    if left.is_empty() {
        nothing.into()
    } else {
        format!("left: {}", left.join(", "))
    }
}
