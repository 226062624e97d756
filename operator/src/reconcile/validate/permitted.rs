//! Pure: which of the listed sources an ExternalService may have at all. What it may not have it
//! does not hold either: nobody else is refused for its sake.

use extconn_api::condition::ExternalServiceReason as Reason;
use extconn_api::permission::{self, Trust};
use extconn_api::{ExternalService, names};
use kube::ResourceExt;

use crate::reconcile::connection::{Problem, Source};
use crate::reconcile::observe::Observed;

/// The sources of `external_service`, which may be a rival, that it may have; and why it may not
/// have the others.
pub fn permitted(
    external_service: &ExternalService,
    listed: Vec<Source>,
    observed: &Observed,
    trust: &Trust,
) -> (Vec<Source>, Vec<Problem>) {
    let by = external_service.namespace().unwrap_or_default();
    let mut problems = vec![];
    let sources = listed
        .into_iter()
        .filter(|source| match check(source, &by, observed, trust) {
            Ok(()) => true,
            Err(problem) => {
                problems.push(problem);
                false
            }
        })
        .collect();
    (sources, problems)
}

fn check(source: &Source, by: &str, observed: &Observed, trust: &Trust) -> Result<(), Problem> {
    let Source { service, source_ip } = source;
    let annotations = observed.services.get(service).map(|s| s.annotations());
    let consent = annotations.and_then(|a| a.get(permission::EXPOSED_TO));
    permission::check_service(service, consent.map(String::as_str), by, trust)
        .map_err(|denied| Problem::new(Reason::SourceNotPermitted, denied.to_string()))?;
    let gateway = observed.gateways.get(&names::gateway(source_ip.0));
    let status = gateway.and_then(|gateway| gateway.status.as_ref());
    permission::check_source_ip(
        &source_ip.to_string(),
        status.and_then(|s| s.allowed_namespaces.as_deref()),
        status.and_then(|s| s.host_name.as_deref()),
        by,
    )
    .map_err(|denied| Problem::new(Reason::SourceIPNotPermitted, denied.to_string()))
}

#[cfg(test)]
mod tests;
