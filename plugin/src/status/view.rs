//! Pure: what a status shows, from the objects.

use std::fmt::Display;

use extconn_api::condition::{self, ExternalServiceCondition, GATEWAY_REPORTING, GatewayCondition};
use extconn_api::external_service::{ExternalService, Source};
use extconn_api::forwarder::{Forwarder, TunnelState};
use extconn_api::gateway::Gateway;
use kube::ResourceExt;
use serde::Serialize;

use super::observe::Observed;

/// The whole answer of `status -o json`.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusView {
    /// Always `Status`.
    kind: &'static str,
    /// Where extconn runs.
    connector_namespace: String,
    /// One entry for each ExternalService, by namespace and name.
    pub external_services: Vec<ExternalServiceView>,
}

/// One ExternalService.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalServiceView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The external server.
    #[serde(rename = "targetIP")]
    pub target_ip: String,
    /// What pods dial and where that leads: `8000`, or `15432>5432`.
    pub ports: Vec<String>,
    /// DNS name that pods dial.
    pub dial: String,
    /// Whether traffic flows, for the spec as it is now.
    pub ready: bool,
    /// Reason of the condition `Ready`.
    pub reason: String,
    /// Message of the condition `Ready`.
    pub message: String,
    /// One entry for each source, in the order of the spec.
    pub sources: Vec<SourceView>,
}

/// One source Service.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceView {
    /// `namespace/name` of the Service.
    pub service: String,
    /// Address that the external server sees.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,
    /// Host name of the gateway that holds it; `None` if no gateway does, or none may be read.
    pub gateway: Option<String>,
    /// Whether that gateway has carried out its part.
    pub gateway_programmed: bool,
    /// Why not, in words.
    pub gateway_message: Option<String>,
    /// Forwarder replicas with a tunnel to that gateway; `None` if unknown.
    pub tunnels_up: Option<usize>,
    /// Forwarder replicas; `None` if unknown.
    pub replicas: Option<usize>,
    /// Why tunnels are down: one entry for each, `pod: message`.
    pub tunnels_down: Vec<String>,
}

impl StatusView {
    /// Puts the objects together.
    pub(crate) fn new(observed: Observed, connector_namespace: &str) -> Self {
        let Observed {
            external_services,
            forwarders,
            gateways,
        } = observed;
        let mut views: Vec<ExternalServiceView> = external_services
            .iter()
            .map(|es| {
                view(
                    es,
                    forwarders.as_deref(),
                    gateways.as_deref(),
                    connector_namespace,
                )
            })
            .collect();
        views.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Self {
            kind: "Status",
            connector_namespace: connector_namespace.to_owned(),
            external_services: views,
        }
    }

    /// Whether all of them are ready.
    pub(crate) fn all_ready(&self) -> bool {
        self.external_services.iter().all(|es| es.ready)
    }
}

fn view(
    es: &ExternalService,
    forwarders: Option<&[Forwarder]>,
    gateways: Option<&[Gateway]>,
    connector_namespace: &str,
) -> ExternalServiceView {
    let namespace = es.namespace().unwrap_or_default();
    let name = es.name_any();
    let conditions = es
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let ready = condition::find(conditions, ExternalServiceCondition::Ready);
    let current = ready.is_some_and(|ready| ready.observed_generation == es.metadata.generation);
    let (reason, message) = match ready {
        _ if es.metadata.deletion_timestamp.is_some() => (
            "Deleting".to_owned(),
            format!("it waits for {}", es.finalizers().join(", ")),
        ),
        Some(ready) if current => (ready.reason.clone(), ready.message.clone()),
        Some(_) => (
            "Pending".to_owned(),
            "the operator has not yet taken over the latest change".to_owned(),
        ),
        None => (
            "Pending".to_owned(),
            "the operator has not yet looked at it; is it running?".to_owned(),
        ),
    };
    let forwarder = forwarders.map(|all| {
        all.iter().find(|f| {
            f.spec.external_service.namespace == namespace && f.spec.external_service.name == name
        })
    });
    ExternalServiceView {
        target_ip: es.spec.target_ip.clone(),
        ports: es.spec.ports.iter().map(port).collect(),
        dial: format!("{name}.{connector_namespace}.svc"),
        ready: current
            && es.metadata.deletion_timestamp.is_none()
            && ready.is_some_and(|ready| ready.status == "True"),
        reason,
        message,
        sources: es
            .spec
            .sources
            .iter()
            .map(|s| source(s, &namespace, forwarder, gateways))
            .collect(),
        namespace,
        name,
    }
}

fn port(port: &extconn_api::external_service::Port) -> String {
    match port.target_port {
        Some(dialled) if dialled != port.port => format!("{dialled}>{}", port.port),
        _ => port.port.to_string(),
    }
}

fn source(
    source: &Source,
    own_namespace: &str,
    forwarder: Option<Option<&Forwarder>>,
    gateways: Option<&[Gateway]>,
) -> SourceView {
    let gateway = gateways.and_then(|all| {
        all.iter()
            .find(|gateway| gateway.spec.source_ip == source.source_ip)
    });
    let status = gateway.and_then(|gateway| gateway.status.as_ref());
    let said = |kind: &dyn Display| status.and_then(|s| condition::find(&s.conditions, kind));
    let programmed = said(&GatewayCondition::Programmed);
    // A gateway that is silent cannot take back what it said before.
    let worst = [
        said(&GATEWAY_REPORTING),
        said(&GatewayCondition::AddressAssigned),
        programmed,
        said(&GatewayCondition::ClockInSync),
    ]
    .into_iter()
    .flatten()
    .find(|condition| condition.status != "True");
    let replicas = forwarder.map(|forwarder| {
        forwarder
            .and_then(|f| f.status.as_ref())
            .map_or(&[][..], |status| &status.replicas)
    });
    let to_gateway = |replica: &extconn_api::forwarder::ReplicaStatus| {
        replica
            .tunnels
            .iter()
            .find(|tunnel| tunnel.source_ip == source.source_ip)
            .cloned()
    };
    let mut tunnels_down = Vec::new();
    let mut up = 0;
    for replica in replicas.unwrap_or_default() {
        match to_gateway(replica) {
            Some(tunnel) if tunnel.state == TunnelState::Up => up += 1,
            Some(tunnel) => {
                let why = tunnel
                    .message
                    .unwrap_or_else(|| format!("{:?}", tunnel.state).to_lowercase());
                tunnels_down.push(format!("{}: {why}", replica.pod_name));
            }
            None => tunnels_down.push(format!("{}: not begun", replica.pod_name)),
        }
    }
    let namespace = source.service.namespace.as_deref().unwrap_or(own_namespace);
    SourceView {
        service: format!("{namespace}/{}", source.service.name),
        source_ip: source.source_ip.clone(),
        gateway: status.and_then(|status| status.host_name.clone()),
        gateway_programmed: programmed.is_some_and(|condition| condition.status == "True")
            && worst.is_none(),
        gateway_message: worst.map(|condition| condition.message.clone()),
        tunnels_up: replicas.map(|_| up),
        replicas: replicas.map(<[_]>::len),
        tunnels_down,
    }
}

#[cfg(test)]
mod tests;
