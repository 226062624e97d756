//! Pure: the hops that the objects themselves tell of.

use extconn_api::condition::{
    self, ExternalServiceCondition as Condition, GATEWAY_REPORTING, GatewayCondition,
};
use extconn_api::external_service::Source;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use super::hop::Hop;
use super::observe::Observed;
use super::tunnels;
use crate::cluster::pods::{self, Behind};
use crate::expose::service_key;

/// The object, the operator and the forwarder: what all sources share.
pub(crate) fn shared(seen: &Observed) -> Vec<Hop> {
    vec![operator(seen), object(seen), forwarder(seen)]
}

/// The pods behind a source, its gateway, its source IP, its tunnels. With `ingress`, the external
/// server must be able to reach the Service.
pub(crate) fn of_source(seen: &Observed, index: usize, ingress: bool) -> Vec<Hop> {
    let source = &seen.external_service.spec.sources[index];
    let mut hops = vec![
        service(seen, index, ingress),
        gateway(seen, source),
        source_ip(seen, source),
    ];
    hops.extend(tunnels::hops(seen, source));
    hops
}

fn operator(seen: &Observed) -> Hop {
    let replicas = |deployment: &Deployment| {
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
        let status = deployment.status.as_ref();
        let available = status.and_then(|status| status.available_replicas);
        // Those that run on after it was scaled to zero are going.
        available.unwrap_or(0).min(wanted.unwrap_or(1))
    };
    let running: i32 = seen.operators.iter().map(replicas).sum();
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
    if object.metadata.deletion_timestamp.is_some() {
        let finalizers = object.finalizers().join(", ");
        return Hop::failed(
            "object",
            "",
            format!("it is being deleted, and waits for {finalizers}"),
            "see `kubectl extconn check --only operator-available`; a finalizer of somebody else is theirs to remove",
        );
    }
    let conditions = object
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    for type_ in [Condition::Accepted, Condition::SourcesResolved] {
        let next = "docs/conditions.md says what to do about each reason";
        match condition::find(conditions, type_) {
            None => {
                let next = "see `kubectl extconn logs operator`";
                return Hop::failed("object", "", "the operator has not looked at it", next);
            }
            Some(found) if found.observed_generation != object.metadata.generation => {
                return Hop::failed(
                    "object",
                    "",
                    "the operator has not taken over the latest change",
                    "see `kubectl extconn logs operator`",
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

fn service(seen: &Observed, index: usize, ingress: bool) -> Hop {
    let source = &seen.external_service.spec.sources[index];
    let key = service_key(&seen.external_service, source);
    if seen.services[index].is_none() {
        let next = format!("see `kubectl get services -n {}`", key.namespace);
        return Hop::failed("service", "", format!("Service {key} does not exist"), next);
    }
    let Some(slices) = &seen.slices else {
        return Hop::not_proven(
            "service",
            "",
            format!("how many pods are behind Service {key} could not be seen"),
            format!(
                "it takes the permission to list endpointslices.discovery.k8s.io in namespace {}",
                key.namespace
            ),
        );
    };
    let Behind { pods, ready } = pods::behind(slices, &key.namespace, &key.name);
    let (count, is, none) = match pods {
        0 => {
            let next = format!(
                "compare its selector with the labels of your pods: `kubectl -n {} describe service {}`",
                key.namespace, key.name
            );
            let message = format!("no pod is behind Service {key}");
            return Hop::failed("service", "", message, next);
        }
        1 => ("1 pod".to_owned(), "is", "is not ready"),
        count => (format!("{count} pods"), "are", "none of them is ready"),
    };
    let behind = format!("{count} {is} behind Service {key}");
    match ready {
        0 if ingress => Hop::failed(
            "service",
            "",
            format!("{behind} and {none}: the external server cannot reach it"),
            format!("see why: `kubectl -n {} get pods -o wide`", key.namespace),
        ),
        _ if ready == pods => Hop::proven("service", "", behind),
        _ => Hop::proven("service", "", format!("{behind}, {ready} of them ready")),
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
    if let Some(why) = silent(seen, source) {
        return Hop::failed(
            "gateway",
            "",
            why,
            format!(
                "see that {host} is up and runs extconn-gateway, and that it reaches the API server"
            ),
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

/// What the operator says of a gateway that gives no sign of life, and to which no tunnel is up: what
/// it has said before may not be so any more.
fn silent(seen: &Observed, source: &Source) -> Option<String> {
    let mut gateways = seen.gateways.iter();
    let gateway = gateways.find(|gateway| gateway.spec.source_ip == source.source_ip)?;
    let conditions = &gateway.status.as_ref()?.conditions;
    let reporting = condition::find(conditions, GATEWAY_REPORTING)?;
    let is_silent = reporting.status == "False" && !tunnels::is_any_up(seen, source);
    is_silent.then(|| reporting.message.clone())
}

fn source_ip(seen: &Observed, source: &Source) -> Hop {
    let ip = &source.source_ip;
    if silent(seen, source).is_some() {
        return Hop::not_tried("source-ip", "", "its gateway is silent");
    }
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
