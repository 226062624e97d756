//! Pure: what the administrator chose, the same for every ExternalService.

use std::collections::BTreeMap;

use extconn_api::permission::Trust;
use k8s_openapi::api::core::v1::{
    Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use serde::Deserialize;

/// What the administrator adds to forwarder pods. What the operator itself sets wins, but for the
/// resources and the spread, which take the place of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PodOptions {
    /// Labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods.
    pub annotations: BTreeMap<String, String>,
    /// Labels of nodes on which they may run.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that they tolerate.
    pub tolerations: Vec<Toleration>,
    /// Where they run by preference.
    pub affinity: Option<Affinity>,
    /// How they are spread. One without a selector is given that of the ExternalService's pods.
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Their priority class.
    pub priority_class_name: Option<String>,
    /// Requests and limits of their container.
    pub resources: Option<ResourceRequirements>,
}

impl std::str::FromStr for PodOptions {
    type Err = serde_json::Error;

    /// Reads a JSON object.
    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

/// Choices for what the operator makes. The fields are documented as flags in `cli.rs`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connector namespace.
    pub connector_namespace: String,
    /// Image of forwarder pods.
    pub forwarder_image: String,
    /// When nodes pull that image: `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Secrets of the connector namespace to pull it with.
    pub image_pull_secrets: Vec<String>,
    /// Forwarder pods for each ExternalService.
    pub forwarder_replicas: u16,
    /// What is added to forwarder pods.
    pub forwarder_pod: PodOptions,
    /// `RUST_LOG` of forwarder pods.
    pub forwarder_log: String,
    /// `LOG_FORMAT` of forwarder pods.
    pub forwarder_log_format: String,
    /// Whose ExternalServices may list Services of every namespace.
    pub trust: Trust,
    /// ClusterRole that lets a forwarder read EndpointSlices.
    pub endpointslices_role: String,
}
