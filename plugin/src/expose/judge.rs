//! Pure: whether an ExternalService fits into the cluster as it is.

use std::collections::BTreeMap;

use extconn_api::condition::{self, GatewayCondition};
use extconn_api::permission::{self, Denied};
use extconn_api::{ExternalService, NamespacedName};
use kube::ResourceExt;

use super::change;
use super::surroundings::Surroundings;
use crate::status::observe::described;
use crate::terminal::style::Mood;

/// Something that does not fit, or that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `Bad`: it will not work. `Unsure`: it could not be checked, or may not be meant.
    pub mood: Mood,
    /// What, with object and value.
    pub text: String,
    /// What to do about it.
    pub next: String,
}

impl Finding {
    fn bad(text: String, next: impl Into<String>) -> Self {
        Self {
            mood: Mood::Bad,
            text,
            next: next.into(),
        }
    }

    fn unsure(text: String, next: impl Into<String>) -> Self {
        Self {
            mood: Mood::Unsure,
            text,
            next: next.into(),
        }
    }
}

/// Everything that was found, in the order of the spec.
pub(crate) fn judge(object: &ExternalService, seen: &Surroundings) -> Vec<Finding> {
    let mut findings = Vec::from_iter(somebody_acts(seen));
    findings.extend(name_is_free(object, seen));
    findings.extend(is_there_already(object, seen));
    for source in &object.spec.sources {
        let service = service_key(object, source);
        match service_is_permitted(object, &service, seen) {
            Some(denied) => findings.push(denied),
            None => findings.extend(service_can_be_a_source(object, &service, seen)),
        }
        findings.extend(source_ip_is_permitted(object, &source.source_ip, seen));
        findings.extend(gateway_holds(&source.source_ip, seen));
    }
    findings.extend(claims_are_free(object, seen));
    findings.extend(ingress_ports_differ(object, seen));
    findings
}

/// The Service that a source means.
pub(crate) fn service_key(
    object: &ExternalService,
    source: &extconn_api::external_service::Source,
) -> NamespacedName {
    NamespacedName {
        namespace: source
            .service
            .namespace
            .clone()
            .or_else(|| object.namespace())
            .unwrap_or_default(),
        name: source.service.name.clone(),
    }
}

fn is_same(a: &ExternalService, b: &ExternalService) -> bool {
    a.namespace() == b.namespace() && a.name_any() == b.name_any()
}

fn somebody_acts(seen: &Surroundings) -> Option<Finding> {
    (seen.has_operator == Some(false)).then(|| {
        Finding::bad(
            format!(
                "no operator is in namespace {}, so nothing would come of it",
                seen.connector_namespace
            ),
            "install extconn with `kubectl extconn init`",
        )
    })
}

fn name_is_free(object: &ExternalService, seen: &Surroundings) -> Vec<Finding> {
    let name = object.name_any();
    let rival = seen
        .external_services
        .iter()
        .find(|other| other.name_any() == name && !is_same(other, object));
    if let Some(rival) = rival {
        let text = format!(
            "the name {name} is held by ExternalService {}",
            described(rival)
        );
        return vec![Finding::bad(text, "choose another name")];
    }
    let key = NamespacedName {
        namespace: seen.connector_namespace.clone(),
        name,
    };
    let foreign = seen.service(&key).filter(|service| {
        !service
            .labels()
            .contains_key(extconn_api::names::LABEL_NAME)
    });
    foreign
        .map(|_| {
            Finding::bad(
                format!("Service {key} is there and is not ours"),
                "choose another name",
            )
        })
        .into_iter()
        .collect()
}

/// Who takes a name that is in use may mean another object.
fn is_there_already(object: &ExternalService, seen: &Surroundings) -> Option<Finding> {
    let mut all = seen.external_services.iter();
    let before = all.find(|other| is_same(other, object))?;
    let changes = change::changes(before, object);
    (!changes.is_empty()).then(|| {
        Finding::unsure(
            format!(
                "ExternalService {} is there already, and this changes it: {}",
                described(before),
                changes.join(", ")
            ),
            "choose another name if it shall stay as it is",
        )
    })
}

/// By the rules of docs/security.md, which the operator applies once more.
fn service_is_permitted(
    object: &ExternalService,
    key: &NamespacedName,
    seen: &Surroundings,
) -> Option<Finding> {
    let by = object.namespace().unwrap_or_default();
    let Denied { text, next } = seen.may_list(key, &by).err()?;
    // Whether it consents, and who else is trusted, may not be ours to read.
    let known = seen.trusted.is_some() && seen.services_seen_in.covers(&key.namespace);
    Some(if known || permission::is_api_server(key) {
        Finding::bad(text, next)
    } else {
        Finding::unsure(format!("{text}, as far as you may see"), next)
    })
}

fn source_ip_is_permitted(
    object: &ExternalService,
    source_ip: &str,
    seen: &Surroundings,
) -> Option<Finding> {
    let by = object.namespace().unwrap_or_default();
    let mut gateways = seen.gateways.iter();
    let gateway = gateways.find(|gateway| gateway.spec.source_ip == source_ip)?;
    let status = gateway.status.as_ref()?;
    let allowed = status.allowed_namespaces.as_deref();
    let Denied { text, next } =
        permission::check_source_ip(source_ip, allowed, status.host_name.as_deref(), &by).err()?;
    Some(Finding::bad(text, next))
}

fn service_can_be_a_source(
    object: &ExternalService,
    key: &NamespacedName,
    seen: &Surroundings,
) -> Option<Finding> {
    let Some(service) = seen.service(key) else {
        return Some(if seen.services_seen_in.covers(&key.namespace) {
            Finding::bad(
                format!("Service {key} does not exist"),
                format!(
                    "see `kubectl get services -n {}` for those that do",
                    key.namespace
                ),
            )
        } else {
            Finding::unsure(
                format!(
                    "whether Service {key} exists could not be checked: you may not list Services there"
                ),
                "make sure that it does",
            )
        });
    };
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        let text = format!("Service {key} is of type ExternalName: there are no pods behind it");
        return Some(Finding::bad(text, "name a Service with pods"));
    }
    let headless = spec.cluster_ip.as_deref() == Some("None");
    if headless && object.spec.bidirectional {
        let text = format!("Service {key} is headless, so the external server could not reach it");
        return Some(Finding::bad(
            text,
            "name a Service with a cluster IP, or give --one-way",
        ));
    }
    None
}

fn gateway_holds(source_ip: &str, seen: &Surroundings) -> Option<Finding> {
    let host = seen
        .gateway_hosts
        .iter()
        .any(|host| host.source_ips.iter().any(|ip| ip.to_string() == source_ip));
    let gateway = seen
        .gateways
        .iter()
        .find(|gateway| gateway.spec.source_ip == source_ip);
    let status = gateway.and_then(|gateway| gateway.status.as_ref());
    let assigned = status
        .and_then(|status| condition::find(&status.conditions, GatewayCondition::AddressAssigned));
    match assigned {
        Some(assigned) if assigned.status == "False" => Some(Finding::bad(
            format!("source IP {source_ip}: {}", assigned.message),
            "put the address on the gateway host, or let `kubectl extconn init` assign it",
        )),
        Some(_) => None,
        None if host => None,
        None if seen.gateway_hosts.is_empty() => Some(Finding::unsure(
            format!("no gateway is known to hold source IP {source_ip}"),
            "add a gateway host with `kubectl extconn init`",
        )),
        None => Some(Finding::bad(
            format!("no gateway host holds source IP {source_ip}"),
            format!("add it with `kubectl extconn init --gateway HOST --source-ip {source_ip}`"),
        )),
    }
}

fn claims_are_free(object: &ExternalService, seen: &Surroundings) -> Vec<Finding> {
    let claims = |es: &ExternalService| {
        let mut claims = Vec::new();
        for source in &es.spec.sources {
            claims.extend(es.spec.ports.iter().map(|port| {
                (
                    source.source_ip.clone(),
                    es.spec.target_ip.clone(),
                    port.port,
                )
            }));
        }
        claims
    };
    let wanted = claims(object);
    let mut findings = Vec::new();
    for other in seen
        .external_services
        .iter()
        .filter(|other| !is_same(other, object))
    {
        for (source_ip, target, port) in claims(other)
            .into_iter()
            .filter(|claim| wanted.contains(claim))
        {
            let text = format!(
                "{source_ip} towards {target}:{port} belongs to ExternalService {}",
                described(other)
            );
            findings.push(Finding::bad(
                text,
                "choose another source IP, or change that object",
            ));
        }
    }
    findings
}

/// Two Services of one source IP cannot both be reached at the same port.
fn ingress_ports_differ(object: &ExternalService, seen: &Surroundings) -> Vec<Finding> {
    if !object.spec.bidirectional {
        return Vec::new();
    }
    let mut holders: BTreeMap<(String, i32), NamespacedName> = BTreeMap::new();
    let mut findings = Vec::new();
    for source in &object.spec.sources {
        let key = service_key(object, source);
        let ports = seen
            .service(&key)
            .and_then(|service| service.spec.as_ref()?.ports.clone());
        for port in ports.unwrap_or_default() {
            let holder = holders
                .entry((source.source_ip.clone(), port.port))
                .or_insert_with(|| key.clone());
            if *holder != key {
                let text = format!(
                    "{}:{} would have to lead to both {holder} and {key}",
                    source.source_ip, port.port
                );
                findings.push(Finding::bad(text, "give one of them another source IP"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
