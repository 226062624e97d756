//! Pure: the hops that the objects themselves tell of.

use extconn_api::condition::{self, ExternalServiceCondition as Condition, GatewayCondition};
use extconn_api::external_service::Source;
use kube::ResourceExt;

use super::hop::Hop;
use super::observe::Observed;
use super::tunnels;
use crate::cluster::pods;
use crate::expose::service_key;

/// The object, the operator and the forwarder: what all sources share.
pub(crate) fn shared(seen: &Observed) -> Vec<Hop> {
    vec![operator(seen), object(seen), forwarder(seen)]
}

/// The pods behind a source, its gateway, its source IP, its tunnels.
pub(crate) fn of_source(seen: &Observed, index: usize) -> Vec<Hop> {
    let source = &seen.external_service.spec.sources[index];
    let mut hops = vec![
        service(seen, index),
        gateway(seen, source),
        source_ip(seen, source),
    ];
    hops.extend(tunnels::hops(seen, source));
    hops
}

fn operator(seen: &Observed) -> Hop {
    let available = |deployment: &k8s_openapi::api::apps::v1::Deployment| {
        deployment
            .status
            .as_ref()
            .and_then(|status| status.available_replicas)
            .unwrap_or(0)
    };
    let running: i32 = seen.operators.iter().map(available).sum();
    if running > 0 {
        return Hop::proven("operator", "", "the operator is available");
    }
    let what = if seen.operators.is_empty() {
        "there is no operator"
    } else {
        "no replica of the operator is available"
    };
    Hop::failed(
        "operator",
        "",
        format!(
            "{what} in namespace {}: changes take no effect",
            seen.connector_namespace
        ),
        "see `kubectl extconn check --only operator-available`",
    )
}

fn object(seen: &Observed) -> Hop {
    let object = &seen.external_service;
    let conditions = object
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    for type_ in [Condition::Accepted, Condition::SourcesResolved] {
        let next = "docs/conditions.md says what to do about each reason";
        match condition::find(conditions, type_) {
            None => return Hop::failed("object", "", "the operator has not looked at it", next),
            Some(found) if found.observed_generation != object.metadata.generation => {
                return Hop::failed(
                    "object",
                    "",
                    "the operator has not taken over the latest change",
                    next,
                );
            }
            Some(found) if found.status != "True" => {
                return Hop::failed(
                    "object",
                    "",
                    format!("{}: {}", found.reason, found.message),
                    next,
                );
            }
            Some(_) => {}
        }
    }
    Hop::proven("object", "", "it is accepted and its sources are resolved")
}

fn forwarder(seen: &Observed) -> Hop {
    let Some(deployment) = &seen.deployment else {
        return Hop::failed(
            "forwarder",
            "",
            "there is no forwarder for it",
            "see `kubectl extconn logs operator`",
        );
    };
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let ready = seen.replicas.iter().filter(|pod| is_ready(pod)).count();
    let name = deployment.name_any();
    if wanted == 0 {
        let next = format!(
            "scale it up: `kubectl -n {} scale deployment {name} --replicas=2`",
            seen.connector_namespace
        );
        return Hop::failed(
            "forwarder",
            "",
            format!("Deployment {name} is scaled to zero"),
            next,
        );
    }
    if ready == 0 {
        let why = seen
            .replicas
            .iter()
            .find_map(pods::trouble)
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        let next = format!(
            "see `kubectl -n {} describe deployment {name}`",
            seen.connector_namespace
        );
        return Hop::failed(
            "forwarder",
            "",
            format!("none of {wanted} replicas is ready{why}"),
            next,
        );
    }
    Hop::proven(
        "forwarder",
        "",
        format!("{ready} of {wanted} replicas are ready"),
    )
}

/// Whether a pod is ready.
pub(crate) fn is_ready(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| {
        all.iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}

fn service(seen: &Observed, index: usize) -> Hop {
    let source = &seen.external_service.spec.sources[index];
    let key = service_key(&seen.external_service, source);
    if seen.services[index].is_none() {
        let next = format!("see `kubectl get services -n {}`", key.namespace);
        return Hop::failed("service", "", format!("Service {key} does not exist"), next);
    }
    match pods::addresses_behind(&seen.slices, &key.namespace, &key.name).len() {
        0 => Hop::failed(
            "service",
            "",
            format!("no pod is behind Service {key}"),
            format!(
                "compare its selector with the labels of your pods: `kubectl -n {} describe service {}`",
                key.namespace, key.name
            ),
        ),
        1 => Hop::proven("service", "", format!("1 pod is behind Service {key}")),
        count => Hop::proven(
            "service",
            "",
            format!("{count} pods are behind Service {key}"),
        ),
    }
}

fn gateway(seen: &Observed, source: &Source) -> Hop {
    let ip = &source.source_ip;
    let next = "see `kubectl extconn logs gateway`; `kubectl extconn init` repairs a gateway host";
    let gateway = seen
        .gateways
        .iter()
        .find(|gateway| gateway.spec.source_ip == *ip);
    let Some(gateway) = gateway else {
        return Hop::failed(
            "gateway",
            "",
            format!("there is no Gateway object for {ip}"),
            "see `kubectl extconn logs operator`",
        );
    };
    let Some(status) = gateway
        .status
        .as_ref()
        .filter(|status| status.host_name.is_some())
    else {
        return Hop::failed(
            "gateway",
            "",
            format!("no gateway holds {ip}"),
            "add one with `kubectl extconn init --gateway USER@HOST`",
        );
    };
    let host = status.host_name.as_deref().unwrap_or_default();
    // What a gateway has last said stays when it is gone; who dials it knows better.
    if let Some(endpoint) = tunnels::turned_away(seen, source) {
        return Hop::failed(
            "gateway",
            "",
            format!("{host} does not run its gateway: connections to {endpoint} are refused"),
            format!("start it there: `systemctl start extconn-gateway` on {host}"),
        );
    }
    match condition::find(&status.conditions, GatewayCondition::Programmed) {
        Some(found) if found.status != "True" => Hop::failed(
            "gateway",
            "",
            format!("{host}: {}: {}", found.reason, found.message),
            next,
        ),
        Some(found) if found.observed_generation == gateway.metadata.generation => Hop::proven(
            "gateway",
            "",
            format!("{host} has taken over what it has to allow"),
        ),
        _ => Hop::failed(
            "gateway",
            "",
            format!("{host} has not taken over the latest change"),
            next,
        ),
    }
}

fn source_ip(seen: &Observed, source: &Source) -> Hop {
    let ip = &source.source_ip;
    let gateway = seen
        .gateways
        .iter()
        .find(|gateway| gateway.spec.source_ip == *ip);
    let status = gateway.and_then(|gateway| gateway.status.as_ref());
    let assigned = status
        .and_then(|status| condition::find(&status.conditions, GatewayCondition::AddressAssigned));
    match assigned {
        None => Hop::not_tried(
            "source-ip",
            "",
            "no gateway has said whether the address is there",
        ),
        Some(found) if found.status == "True" => {
            Hop::proven("source-ip", "", format!("{ip} is on the gateway host"))
        }
        Some(found) => Hop::failed(
            "source-ip",
            "",
            format!("{}: {}", found.reason, found.message),
            format!(
                "put it on the host, or let the gateway: `kubectl extconn init --gateway USER@HOST --source-ip {ip}=INTERFACE`"
            ),
        ),
    }
}

#[cfg(test)]
mod tests;
