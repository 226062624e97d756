//! From a pod to the external server: who does the external server think it is?

use anyhow::Result;

use crate::AccessLog;
use crate::topology::EXTERNAL_PORT;
use crate::walkthrough::Observation;
use crate::walkthrough::access;
use crate::walkthrough::ask::{self, Said};
use crate::walkthrough::scenario::{Scenario, Source};

/// The pod of a source gets the external server's page, and the external server saw the source
/// IP and nothing else.
///
/// # Errors
/// The lab itself does not answer; a broken promise is an observation.
pub fn from_source(scenario: &Scenario, source: &Source) -> Result<Observation> {
    from_pod(scenario, source, &source.pod)
}

/// As [`from_source`], from another pod behind the same Service.
///
/// # Errors
/// As [`from_source`].
pub fn from_pod(scenario: &Scenario, source: &Source, pod: &str) -> Result<Observation> {
    let before = AccessLog::mark()?;
    let mark = access::unique_word();
    let said = get(scenario, &source.namespace, pod, &mark)?;
    let seen = access::peers_since(before)?;
    let holds = said.success
        && said.stdout.contains(&source.source_ip.to_string())
        && seen == [source.source_ip];
    Ok(Observation {
        tried: format!("{}/{pod} asks {}", source.namespace, scenario.name),
        seen: if said.success {
            format!("external server saw {}", access::list(&seen))
        } else {
            format!(
                "{}; external server saw {}",
                said.reason(),
                access::list(&seen)
            )
        },
        holds,
    })
}

/// A pod behind no listed Service is refused, and the external server saw nobody.
///
/// # Errors
/// As [`from_source`].
pub fn from_outsider(scenario: &Scenario) -> Result<Observation> {
    let before = AccessLog::mark()?;
    let namespace = &scenario.sources[0].namespace;
    let said = get(
        scenario,
        namespace,
        &scenario.outsider,
        &access::unique_word(),
    )?;
    let seen = access::peers_since(before)?;
    Ok(Observation {
        tried: format!(
            "{namespace}/{}, behind no listed Service",
            scenario.outsider
        ),
        seen: format!(
            "{}; external server saw {}",
            said.reason(),
            access::list(&seen)
        ),
        holds: !said.success && seen.is_empty(),
    })
}

/// One request of a pod to the external server, by the name that users dial.
///
/// # Errors
/// As [`from_source`].
pub fn get(scenario: &Scenario, namespace: &str, pod: &str, mark: &str) -> Result<Said> {
    let url = format!("http://{}:{EXTERNAL_PORT}/{mark}", scenario.host_name());
    ask::cluster(
        &["exec", "-n", namespace, pod, "--", "witness", "get", &url],
        "",
    )
}
