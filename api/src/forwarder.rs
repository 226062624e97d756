//! Pure: Forwarder, what the forwarder of one ExternalService has to do.
//!
//! It holds no pod IP and no relay port: forwarders watch EndpointSlices themselves, so a pod
//! that comes or goes costs no API write.

// The lint takes the keys of several printcolumn(…) for one list.
#![allow(clippy::duplicated_attributes)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{NamespacedName, Protocol, schema};

/// Work of the forwarder of one ExternalService. Written by the operator.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "extconn.submariner.io",
    version = "v1alpha1",
    kind = "Forwarder",
    namespaced,
    category = "extconn",
    status = "ForwarderStatus",
    derive = "PartialEq",
    doc = "What the forwarder of one ExternalService has to do. Made by the extconn operator; not for users to write.",
    printcolumn(
        name = "Namespace",
        type_ = "string",
        json_path = ".spec.externalService.namespace"
    ),
    printcolumn(
        name = "Destination",
        type_ = "string",
        json_path = ".spec.egress[0].destinationIP"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ForwarderSpec {
    /// The ExternalService that this forwarder serves.
    pub external_service: NamespacedName,

    /// Services whose pods may connect, and as which source IP: one entry for each Service, in
    /// the order of the ExternalService; a pod behind two of them takes the first.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub sources: Vec<ForwarderSource>,

    /// Ports on which the forwarder listens: one entry for each port of the ExternalService.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub egress: Vec<EgressEntry>,

    /// Services that the external server may reach: one entry for each (gateway, port).
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub ingress: Vec<IngressEntry>,

    /// Where the gateways are: one entry for each gateway used that has published its endpoint.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub gateways: Vec<GatewayEndpoint>,
}

/// A Service whose pods may connect.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwarderSource {
    /// The Service. Its EndpointSlices say which pods are meant.
    pub service: NamespacedName,
    /// Source IP of its pods, which is also the name of the Gateway object.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,
}

/// A port on which the forwarder listens.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressEntry {
    /// Transport protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Port that pods dial.
    #[schemars(schema_with = "schema::port")]
    pub target_port: u16,
    /// IPv4 address of the external server.
    #[serde(rename = "destinationIP")]
    pub destination_ip: String,
    /// Port of the external server.
    #[schemars(schema_with = "schema::port")]
    pub destination_port: u16,
}

/// A Service port that the external server may reach.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressEntry {
    /// Source IP that the external server dials.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,
    /// Transport protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Port that the external server dials: the port of the Service.
    #[schemars(schema_with = "schema::port")]
    pub port: u16,
    /// ClusterIP of the Service.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
}

/// Where a gateway is, and the key by which to know it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayEndpoint {
    /// Source IP, which is also the name of the Gateway object.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,
    /// Address and port of the gateway's ssh server, `192.0.2.1:2022`.
    pub ssh_endpoint: String,
    /// The gateway's ssh host key, `ssh-ed25519 AAAA…`: any other key is refused.
    pub host_key: String,
}

/// What the replicas of a forwarder report.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwarderStatus {
    /// One entry for each replica, written by that replica; the operator removes entries of pods
    /// that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["podName".into()]))]
    pub replicas: Vec<ReplicaStatus>,
}

/// What one forwarder replica reports.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// Name of the replica's pod.
    pub pod_name: String,
    /// Public half of the replica's ssh key, `ssh-ed25519 AAAA…`. Gateways admit this key.
    pub public_key: String,
    /// Generation of the spec that the replica carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One entry for each gateway of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tunnels: Vec<TunnelStatus>,
    /// Addresses of nodes from which connections came and were refused: the pods behind them
    /// cannot be told apart (host network, or a CNI that masquerades).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_node_addresses: Vec<String>,
}

/// State of the tunnel to one gateway.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TunnelStatus {
    /// Source IP of the gateway.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,
    /// Whether the tunnel is up.
    pub state: TunnelState,
    /// Why it is not up, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether a tunnel is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum TunnelState {
    /// Authenticated and able to carry flows.
    Up,
    /// Being established for the first time.
    Connecting,
    /// Lost or refused; being tried again.
    Down,
}
