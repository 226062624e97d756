//! Objects for tests of this command.

use extconn_api::ExternalService;
use extconn_api::permission::Namespaces;
use serde_json::json;

use super::surroundings::{Seen, Surroundings};
use crate::cluster::gateway_hosts::GatewayHost;

fn service(
    namespace: &str,
    name: &str,
    spec: serde_json::Value,
) -> k8s_openapi::api::core::v1::Service {
    let object = json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

/// `ns1/db` leads from `ns1/web` as 192.0.2.10 to 203.0.113.7:5432; gw1 holds .10 and .11.
pub(crate) fn surroundings() -> Surroundings {
    Surroundings {
        connector_namespace: "external-services".into(),
        has_operator: Some(true),
        trusted: Some(Namespaces::default()),
        services: vec![
            service(
                "default",
                "kubernetes",
                json!({"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}),
            ),
            service(
                "kube-system",
                "dns",
                json!({"clusterIP": "10.96.0.10", "ports": [{"port": 53}]}),
            ),
            service(
                "ns1",
                "web",
                json!({"clusterIP": "10.96.0.20", "ports": [{"port": 80}]}),
            ),
            service(
                "ns2",
                "api",
                json!({"clusterIP": "10.96.0.21", "ports": [{"port": 443}]}),
            ),
            service(
                "ns2",
                "headless",
                json!({"clusterIP": "None", "ports": [{"port": 80}]}),
            ),
            service(
                "ns2",
                "alias",
                json!({"type": "ExternalName", "externalName": "example.com"}),
            ),
        ],
        services_seen_in: Seen::Everywhere,
        external_services: vec![external_service("ns1", "db", "203.0.113.7", "192.0.2.10")],
        gateways: Vec::new(),
        gateway_hosts: vec![GatewayHost {
            name: "gw1".into(),
            ssh: "root@gw1".into(),
            ssh_endpoint: "192.0.2.1:2022".into(),
            source_ips: vec!["192.0.2.10".parse().unwrap(), "192.0.2.11".parse().unwrap()],
        }],
    }
}

/// One with the source `ns1/web` and the port 5432.
pub(crate) fn external_service(
    namespace: &str,
    name: &str,
    target: &str,
    source_ip: &str,
) -> ExternalService {
    serde_json::from_value(json!({
        "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "targetIP": target,
            "sources": [{"service": {"namespace": "ns1", "name": "web"}, "sourceIP": source_ip}],
            "ports": [{"port": 5432}]
        }
    }))
    .unwrap()
}
