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

/// Annotation on what the operator makes: a digest of all that it asked for when it last wrote. What
/// it no longer asks for is known by this alone, since others may add fields too.
pub const ANNOTATION_ASKED_FOR: &str = "extconn.submariner.io/asked-for";

/// ConfigMap in the connector namespace with the addresses of all nodes, kept by the operator so
/// that no forwarder reads Node objects. See [`crate::node_addresses`] for its form.
pub const NODE_ADDRESSES: &str = "extconn-node-addresses";

/// Lease in the connector namespace that says which operator acts.
pub const OPERATOR_LEASE: &str = "extconn-operator";

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
    /// The operator, for the condition `Reporting` of Gateways.
    pub const OPERATOR_REPORTING: &str = "extconn-operator/reporting";
    /// A gateway, for Gateway status and its own Lease.
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

/// Label and value on the Leases that gateway hosts renew, for whoever selects them.
pub const GATEWAY_LEASE_LABEL: (&str, &str) = ("app.kubernetes.io/component", "gateway");

/// Annotation on those Leases: the version of the gateway, `0.1.0`.
pub const ANNOTATION_VERSION: &str = "extconn.submariner.io/version";

/// Longest name of a Lease.
const LONGEST_NAME: usize = 253;

/// Name of the Lease that a gateway host renews as long as it lives: `extconn-gateway-` and its
/// host name, as far as a name of an object may hold it. `spec.holderIdentity` has all of it.
pub fn gateway_lease(host_name: &str) -> String {
    let allowed = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    };
    let host: String = host_name.chars().map(allowed).collect();
    let name: String = format!("extconn-gateway-{}", host.trim_matches('-'));
    let end = name.len().min(LONGEST_NAME);
    name[..end].trim_end_matches('-').to_owned()
}

/// Name of the Deployment, the ServiceAccount and the Role of a forwarder. The Forwarder object
/// and the Service carry the bare name of their ExternalService.
pub fn forwarder_workload(external_service: &str) -> String {
    format!("forwarder-{external_service}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_name_makes_the_name_of_a_lease() {
        for (host, lease) in [
            ("gw1", "extconn-gateway-gw1"),
            ("GW1.example.com", "extconn-gateway-gw1-example-com"),
            ("-my gateway_2-", "extconn-gateway-my-gateway-2"),
            ("\u{e9}", "extconn-gateway"),
        ] {
            assert_eq!(gateway_lease(host), lease);
        }
        assert_eq!(gateway_lease(&"x".repeat(300)).len(), LONGEST_NAME);
    }
}
