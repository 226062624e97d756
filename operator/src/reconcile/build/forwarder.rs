//! Pure: what the forwarder has to do, and what the gateways allow it: two sides of one thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use extconn_api::forwarder::{EgressEntry, ForwarderSource, GatewayEndpoint, IngressEntry};
use extconn_api::gateway::{Destination, ForwarderGrant, IngressPort};
use extconn_api::{Forwarder, ForwarderSpec, Gateway, NamespacedName, names};

use super::metadata;
use crate::reconcile::connection::{Connection, SourceIp};
use crate::settings::Settings;

/// The Forwarder object. Gateways that have not published an endpoint yet are left out.
pub fn forwarder(
    key: &NamespacedName,
    connection: &Connection,
    gateways: &BTreeMap<String, Arc<Gateway>>,
    settings: &Settings,
) -> Forwarder {
    let egress = connection.egress.iter();
    let ingress = connection.ingress.iter();
    let sources = connection.sources.iter();
    Forwarder {
        metadata: metadata(key, key.name.clone(), settings),
        spec: ForwarderSpec {
            external_service: key.clone(),
            sources: sources
                .map(|source| ForwarderSource {
                    service: source.service.clone(),
                    source_ip: source.source_ip.to_string(),
                })
                .collect(),
            egress: egress
                .map(|port| EgressEntry {
                    protocol: port.protocol,
                    target_port: port.listen.get(),
                    destination_ip: connection.target.to_string(),
                    destination_port: port.destination.get(),
                })
                .collect(),
            ingress: ingress
                .map(|port| IngressEntry {
                    source_ip: port.source_ip.to_string(),
                    protocol: port.protocol,
                    port: port.port.get(),
                    cluster_ip: port.cluster_ip.to_string(),
                })
                .collect(),
            gateways: connection
                .source_ips()
                .into_iter()
                .filter_map(|source_ip| endpoint(source_ip, gateways))
                .collect(),
        },
        status: None,
    }
}

fn endpoint(
    source_ip: SourceIp,
    gateways: &BTreeMap<String, Arc<Gateway>>,
) -> Option<GatewayEndpoint> {
    let status = gateways
        .get(&names::gateway(source_ip.0))?
        .status
        .as_ref()?;
    Some(GatewayEndpoint {
        source_ip: source_ip.to_string(),
        ssh_endpoint: status.ssh_endpoint.clone()?,
        host_key: status.host_key.clone()?,
    })
}

/// What the forwarder may do at each gateway: one entry for each source IP.
pub fn gateway_grants(
    key: &NamespacedName,
    connection: &Connection,
) -> BTreeMap<SourceIp, ForwarderGrant> {
    let mut egress: Vec<Destination> = vec![];
    for port in &connection.egress {
        let destination = Destination {
            protocol: port.protocol,
            ip: connection.target.to_string(),
            port: port.destination.get(),
        };
        // Two target ports may lead to one port.
        if !egress.contains(&destination) {
            egress.push(destination);
        }
    }
    let grant = |source_ip| ForwarderGrant {
        name: key.name.clone(),
        external_service_namespace: Some(key.namespace.clone()),
        egress: egress.clone(),
        ingress: connection
            .ingress
            .iter()
            .filter(|port| port.source_ip == source_ip)
            .map(|port| IngressPort {
                protocol: port.protocol,
                port: port.port.get(),
                peer: connection.target.to_string(),
            })
            .collect(),
    };
    connection
        .source_ips()
        .into_iter()
        .map(|source_ip| (source_ip, grant(source_ip)))
        .collect()
}
