//! Pure: what the administrator chose, the same for every ExternalService.

use extconn_api::permission::Trust;

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
    /// `RUST_LOG` of forwarder pods.
    pub forwarder_log: String,
    /// `LOG_FORMAT` of forwarder pods.
    pub forwarder_log_format: String,
    /// Whose ExternalServices may list Services of every namespace.
    pub trust: Trust,
    /// ClusterRole that lets a forwarder read EndpointSlices.
    pub endpointslices_role: String,
}
