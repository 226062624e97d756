//! Pure: names, labels and defaults that several components must agree on.

use std::net::Ipv4Addr;

/// Default connector namespace: forwarders, their Services, Forwarder and Gateway objects.
pub const CONNECTOR_NAMESPACE: &str = "external-services";

/// TCP port of the gateway's ssh server unless the host file names another.
pub const GATEWAY_SSH_PORT: u16 = 2022;

/// Finalizer on an ExternalService: its children live in another namespace, where an owner
/// reference cannot reach.
pub const FINALIZER: &str = "extconn.submariner.io/cleanup";

/// Label on every object made for an ExternalService: the namespace of that ExternalService.
pub const LABEL_NAMESPACE: &str = "extconn.submariner.io/external-service-namespace";

/// Label on every object made for an ExternalService: its name.
pub const LABEL_NAME: &str = "extconn.submariner.io/external-service";

/// Label on everything that the operator makes, with [`MANAGED_BY`] as its value.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Value of [`LABEL_MANAGED_BY`].
pub const MANAGED_BY: &str = "extconn-operator";

/// ConfigMap in the connector namespace with the addresses of all nodes, kept by the operator so
/// that no forwarder reads Node objects. See [`crate::node_addresses`] for its form.
pub const NODE_ADDRESSES: &str = "extconn-node-addresses";

/// Environment of a forwarder's container, set by the operator.
pub mod forwarder_env {
    /// Name of the Forwarder object to carry out.
    pub const FORWARDER_NAME: &str = "FORWARDER_NAME";
    /// Name of the pod, the key of its entry in the Forwarder status.
    pub const POD_NAME: &str = "POD_NAME";
    /// Namespace of the pod and of its Forwarder object: the connector namespace.
    pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
    /// Port for `/healthz`, `/readyz` and `/metrics`: one that no egress entry listens on.
    pub const HTTP_PORT: &str = "HTTP_PORT";
}

/// Server-side apply field managers, one for each writer.
pub mod field_manager {
    /// The operator, for everything it makes and for ExternalService status, but for Gateways.
    pub const OPERATOR: &str = "extconn-operator";
    /// A gateway, for Gateway status.
    pub const GATEWAY: &str = "extconn-gateway";

    /// The operator, for the entry of one forwarder in a Gateway: each entry has a writer of its
    /// own, so that two reconciles never overwrite each other's.
    pub fn gateway_entry(forwarder: &str) -> String {
        format!("extconn-operator/{forwarder}")
    }

    /// A forwarder replica, for its own entry in the Forwarder status.
    pub fn forwarder(pod_name: &str) -> String {
        format!("extconn-forwarder/{pod_name}")
    }
}

/// Name of the Gateway object of a source IP: the address itself, `192.0.2.10`.
pub fn gateway(source_ip: Ipv4Addr) -> String {
    source_ip.to_string()
}

/// Name of the Deployment, the ServiceAccount and the Role of a forwarder. The Forwarder object
/// and the Service carry the bare name of their ExternalService.
pub fn forwarder_workload(external_service: &str) -> String {
    format!("forwarder-{external_service}")
}
