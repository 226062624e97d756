//! Pure: Gateway, what the gateway that holds one source IP has to allow.

// The lint takes the keys of several printcolumn(…) for one list.
#![allow(clippy::duplicated_attributes)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Protocol, schema};

/// Work of the gateway that holds one source IP. Written by the operator.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "extconn.submariner.io",
    version = "v1alpha1",
    kind = "Gateway",
    namespaced,
    category = "extconn",
    status = "GatewayStatus",
    derive = "PartialEq",
    doc = "What the gateway that holds one source IP has to allow. Named after the source IP. Made by the extconn operator; not for users to write.",
    printcolumn(name = "Host", type_ = "string", json_path = ".status.hostName"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.sshEndpoint"),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Programmed\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Programmed\")].reason"
    ),
    printcolumn(
        name = "Reporting",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Reporting\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// The source IP, the same as the object's name.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,

    /// What each forwarder may do here: one entry for each forwarder. Its keys are in the
    /// Forwarder object of that name.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub forwarders: Vec<ForwarderGrant>,
}

/// Exactly what one forwarder may do with this source IP.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwarderGrant {
    /// Name of the Forwarder object.
    pub name: String,
    /// Namespace of its ExternalService, for source IPs that are reserved for namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_service_namespace: Option<String>,
    /// Destinations that it may reach from the source IP.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub egress: Vec<Destination>,
    /// Ports of the source IP whose connections it receives, each with the one peer allowed.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub ingress: Vec<IngressPort>,
}

/// An address and port of an external server.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Transport protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// IPv4 address of the external server.
    pub ip: String,
    /// Port of the external server.
    #[schemars(schema_with = "schema::port")]
    pub port: u16,
}

/// A port of the source IP that leads into the cluster.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressPort {
    /// Transport protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Port that the external server dials.
    #[schemars(schema_with = "schema::port")]
    pub port: u16,
    /// IPv4 address of the one peer that may dial it: the external server.
    pub peer: String,
}

/// A forwarder that does not get all that its entry asks for.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedForwarder {
    /// Name of the Forwarder object.
    pub name: String,
    /// What it does not get, and why.
    pub message: String,
}

/// What a gateway reports for one source IP. Written by that gateway, but for `Reporting`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Generation of the spec that the gateway carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Name of the host that holds the source IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Address and port of its ssh server as the cluster reaches it, `192.0.2.1:2022`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_endpoint: Option<String>,
    /// Its ssh host key, `ssh-ed25519 AAAA…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Namespaces whose ExternalServices may use the source IP, by the host file; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<Vec<String>>,
    /// What the host does not let forwarders do, once the rest is in effect: one entry for each
    /// forwarder concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_forwarders: Vec<RefusedForwarder>,
    /// `AddressAssigned`, `Programmed` and `ClockInSync` of the gateway; `Reporting` of the
    /// operator: whether the gateway gives signs of life.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
