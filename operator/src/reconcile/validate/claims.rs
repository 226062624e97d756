//! Pure: what only one ExternalService can have, and which one has it: the older.

use std::collections::HashSet;

use extconn_api::condition::{self, ExternalServiceCondition, ExternalServiceReason as Reason};
use extconn_api::permission::Trust;
use extconn_api::{ExternalService, NamespacedName, Protocol};
use kube::ResourceExt;

use super::{permitted, sources};
use crate::reconcile::connection::{EgressPort, Problem, Source, SourceIp, TargetIp};
use crate::reconcile::observe::Observed;
use crate::reconcile::ownership;

/// Who holds a name in the connector namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameHolder {
    /// The ExternalService being reconciled.
    Itself,
    /// An older one in another namespace.
    Another(NamespacedName),
}

/// Whether `a` comes before `b`: by age, then by namespace and name, so that two of one second
/// agree on who is first.
pub fn is_older(a: &ExternalService, b: &ExternalService) -> bool {
    let rank = |es: &ExternalService| (es.creation_timestamp(), es.namespace(), es.name_any());
    rank(a) < rank(b)
}

/// Who holds the name of the ExternalService.
pub fn name_holder(observed: &Observed) -> NameHolder {
    let external_service = &*observed.external_service;
    let older = observed.rivals.iter().filter(|rival| {
        rival.name_any() == external_service.name_any() && is_older(rival, external_service)
    });
    match older.reduce(|a, b| if is_older(a, b) { a } else { b }) {
        Some(holder) => NameHolder::Another(ownership::key(&**holder)),
        None => NameHolder::Itself,
    }
}

/// Refuses a name that is taken, by an older ExternalService or by an object that is not ours.
pub fn check_name(observed: &Observed, holder: &NameHolder) -> Result<(), Problem> {
    let key = ownership::key(&*observed.external_service);
    if let NameHolder::Another(holder) = holder {
        return Err(Problem::new(
            Reason::NameConflict,
            format!(
                "the name {} is held by the older ExternalService {holder}: \
                 choose another name, or delete that one",
                key.name
            ),
        ));
    }
    let foreign = [
        observed
            .children
            .service
            .as_deref()
            .map(foreign_service(&key)),
        observed
            .children
            .forwarder
            .as_deref()
            .map(foreign_forwarder(&key)),
    ];
    match foreign.into_iter().flatten().flatten().next() {
        Some(object) => Err(Problem::new(
            Reason::NameConflict,
            format!(
                "{object} exists and was not made for this ExternalService: choose another name"
            ),
        )),
        None => Ok(()),
    }
}

fn foreign_service(
    key: &NamespacedName,
) -> impl Fn(&k8s_openapi::api::core::v1::Service) -> Option<String> {
    move |service| {
        (!ownership::is_made_for(service, key))
            .then(|| format!("Service {}", ownership::key(service)))
    }
}

fn foreign_forwarder(key: &NamespacedName) -> impl Fn(&extconn_api::Forwarder) -> Option<String> {
    move |forwarder| {
        (!ownership::is_made_for(forwarder, key))
            .then(|| format!("Forwarder {}", ownership::key(forwarder)))
    }
}

/// The rivals whose claims come first: older ones, unless they have been refused themselves.
pub fn older_holders(observed: &Observed) -> impl Iterator<Item = &ExternalService> {
    let external_service = &*observed.external_service;
    observed
        .rivals
        .iter()
        .map(|rival| &**rival)
        .filter(|rival| is_older(rival, external_service) && !is_refused(rival))
}

/// Whether the operator has refused the current generation of an ExternalService.
fn is_refused(external_service: &ExternalService) -> bool {
    external_service
        .status
        .as_ref()
        .and_then(|s| condition::find(&s.conditions, ExternalServiceCondition::Accepted))
        .is_some_and(|accepted| {
            accepted.status == "False"
                && accepted.observed_generation == external_service.metadata.generation
        })
}

/// The sources that a rival really has: one that it may not have is no claim.
pub fn held_sources(holder: &ExternalService, observed: &Observed, trust: &Trust) -> Vec<Source> {
    let listed = sources::listed(holder).unwrap_or_default();
    permitted::permitted(holder, listed, observed, trust).0
}

/// Refuses a (source IP, target, port) that an older ExternalService holds.
pub fn check_egress(
    observed: &Observed,
    target: TargetIp,
    sources: &[Source],
    egress: &[EgressPort],
    trust: &Trust,
) -> Result<(), Problem> {
    for holder in older_holders(observed) {
        if holder.spec.target_ip != target.to_string() {
            continue;
        }
        let held = held_sources(holder, observed, trust);
        let source_ips: HashSet<SourceIp> = held.iter().map(|s| s.source_ip).collect();
        let ports: HashSet<(Protocol, u16)> = holder
            .spec
            .ports
            .iter()
            .map(|p| (p.protocol, p.port))
            .collect();
        for Source {
            source_ip,
            service: _,
        } in sources
        {
            for EgressPort {
                protocol,
                destination,
                listen: _,
            } in egress
            {
                if source_ips.contains(source_ip) && ports.contains(&(*protocol, destination.get()))
                {
                    return Err(Problem::new(
                        Reason::SourceIPConflict,
                        format!(
                            "source IP {source_ip} towards port {destination} of {target} is held \
                             by the older ExternalService {}: choose another source IP, or add \
                             the Service there",
                            ownership::key(holder)
                        ),
                    ));
                }
            }
        }
    }
    Ok(())
}
