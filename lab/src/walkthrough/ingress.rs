//! From outside to a Service, at its source IP: which pod answers, and whom does it let in?

use anyhow::Result;

use crate::topology::Host;
use crate::walkthrough::Observation;
use crate::walkthrough::access;
use crate::walkthrough::ask::{self, Said};
use crate::walkthrough::scenario::Source;

/// The external server dials the source IP and reaches the pod behind the Service, whose own
/// log shows the request.
///
/// # Errors
/// The lab itself does not answer; a broken promise is an observation.
pub fn from_external_server(source: &Source) -> Result<Observation> {
    let mark = access::unique_word();
    let said = get(Host::External, source, &mark)?;
    let logged = pod_log_has(source, &mark)?;
    let answered = said.stdout.starts_with(&format!("This is {}.", source.pod));
    Ok(Observation {
        tried: format!("external server asks {}:80", source.source_ip),
        seen: if answered {
            let word = if logged { "logged" } else { "did not log" };
            format!("{} answered and {word} the request", source.pod)
        } else {
            said.reason().to_owned()
        },
        holds: said.success && logged && answered,
    })
}

/// A third host is refused at the source IP, and the pod saw nothing.
///
/// # Errors
/// As [`from_external_server`].
pub fn from_third_host(source: &Source) -> Result<Observation> {
    let mark = access::unique_word();
    let said = get(Host::Third, source, &mark)?;
    let logged = pod_log_has(source, &mark)?;
    let word = if logged { "logged it" } else { "saw nothing" };
    Ok(Observation {
        tried: format!("a third host asks {}:80", source.source_ip),
        seen: format!("{}; {} {word}", said.reason(), source.pod),
        holds: !said.success && !logged,
    })
}

/// One request from a host outside to the Service at its source IP.
///
/// # Errors
/// As [`from_external_server`].
pub fn get(from: Host, source: &Source, mark: &str) -> Result<Said> {
    let url = format!("http://{}:80/{mark}", source.source_ip);
    ask::host(from, &["witness", "get", &url])
}

fn pod_log_has(source: &Source, mark: &str) -> Result<bool> {
    Ok(ask::cluster_ok(&["logs", "-n", &source.namespace, &source.pod], "")?.contains(mark))
}
