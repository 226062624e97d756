//! Pure: ExternalService, the one object that a user writes.

// The lint takes the keys of several printcolumn(…) for one list.
#![allow(clippy::duplicated_attributes)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{Protocol, schema};

/// Gives the pods behind Services a static source IP towards an external server, and lets that
/// server reach each Service at the same IP.
///
/// Example: with `targetIP: 203.0.113.7`, the source `{service: {name: shop}, sourceIP:
/// 192.0.2.10}` and the port `5432`, pods behind the Service `shop` dial
/// `<this name>.external-services.svc:5432`, the server at 203.0.113.7 sees 192.0.2.10, and
/// the server reaches the Service's ports at 192.0.2.10.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "submariner.io",
    version = "v1alpha1",
    kind = "ExternalService",
    namespaced,
    shortname = "extsvc",
    category = "extconn",
    status = "ExternalServiceStatus",
    derive = "PartialEq",
    doc = "Gives the pods behind Services a static source IP towards an external server, and lets that server reach each Service at the same IP.",
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 50")
        .message("the name becomes a Service name: at most 50 lower-case letters, digits and '-', beginning with a letter and not ending with '-'"),
    validation = Rule::new("self.spec.sources.all(s, s.sourceIP != self.spec.targetIP)")
        .message("targetIP is a sourceIP too: the external server and the address that it sees cannot be the same"),
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.targetIP"),
    printcolumn(name = "Sources", type_ = "string", json_path = ".status.sourceIPs"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Message", type_ = "string", priority = 1, json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ExternalServiceSpec {
    /// IPv4 address of the external server, for example `203.0.113.7`.
    #[serde(rename = "targetIP")]
    #[schemars(length(max = 45))]
    #[x_kube(validation = Rule::new("isIP(self) && ip(self).family() == 4 && ip(self).isGlobalUnicast()")
        .message("must be the IPv4 address of the external server, for example 203.0.113.7 (no loopback, link-local or multicast address)"))]
    pub target_ip: String,

    /// Which pods may reach the external server, and as whom: one entry for each Service.
    /// A pod behind two of them takes the first.
    /// For example `[{service: {name: shop}, sourceIP: 192.0.2.10}]`.
    #[schemars(length(min = 1, max = 64))]
    // `namespace` is a reserved word of CEL: a field of that name is written `__namespace__`.
    // The API server cannot bound the length of `has(x) ? x : ''`, so the rule has none.
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, a.service.name == b.service.name && has(a.service.__namespace__) == has(b.service.__namespace__) && (!has(a.service.__namespace__) || a.service.__namespace__ == b.service.__namespace__)))")
        .message("lists a Service more than once: give each Service one source IP"))]
    pub sources: Vec<Source>,

    /// Ports of the external server that the pods may reach.
    /// For example `[{protocol: TCP, port: 5432}]`.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, (has(a.targetPort) ? a.targetPort : a.port) == (has(b.targetPort) ? b.targetPort : b.port) && a.protocol == b.protocol))")
        .message("uses a targetPort more than once: pods could not tell the ports apart"))]
    pub ports: Vec<Port>,

    /// Whether the external server may also connect to the Services, at their source IPs.
    /// For example `false`, which makes no path from the external server into the cluster; `true`
    /// is the default.
    #[serde(default = "yes")]
    pub bidirectional: bool,
}

/// A Service and the address that its pods take on.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The Service whose pods are meant, for example `{name: shop}`, or `{namespace: prod, name:
    /// shop}` for one of another namespace, whose owner has to consent.
    pub service: ServiceReference,

    /// The static IPv4 address that the external server sees and dials, for example
    /// `192.0.2.10`. A gateway must hold it.
    #[serde(rename = "sourceIP")]
    #[schemars(length(max = 45))]
    #[x_kube(validation = Rule::new("isIP(self) && ip(self).family() == 4 && ip(self).isGlobalUnicast()")
        .message("must be an IPv4 address that a gateway holds, for example 192.0.2.10 (no loopback, link-local or multicast address)"))]
    pub source_ip: String,
}

/// A Service by name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReference {
    /// Namespace of the Service, for example `prod`; the ExternalService's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a namespace: lower-case letters, digits and '-'"))]
    pub namespace: Option<String>,

    /// Name of the Service, for example `shop`.
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a Service: lower-case letters, digits and '-'"))]
    pub name: String,
}

/// A port of the external server.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Transport protocol, for example `TCP`, which is also the default.
    #[serde(default)]
    pub protocol: Protocol,

    /// Port on the external server, for example `5432`.
    #[schemars(schema_with = "schema::port")]
    pub port: u16,

    /// Port that the pods dial, on `<name>.<connector namespace>.svc`, for example `15432`; the
    /// same as `port` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::port")]
    pub target_port: Option<u16>,
}

/// What became of an ExternalService. Written by the operator alone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalServiceStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The source IPs in one line, for `kubectl get`, which shows one value of a list only.
    #[serde(rename = "sourceIPs", default, skip_serializing_if = "Option::is_none")]
    pub source_ips: Option<String>,

    /// `Accepted`, `SourcesResolved`, `Programmed`, `TunnelsEstablished` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

fn yes() -> bool {
    true
}
