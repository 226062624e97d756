//! A healthy path for tests: `ns1/db` leads from `ns1/web` as 192.0.2.10 to 203.0.113.7:5432,
//! dialled at 15432.

use serde_json::{Value, json};

use super::observe::Observed;

/// A condition of generation `generation`.
pub(crate) fn condition(type_: &str, status: &str, generation: i64) -> Value {
    json!({"type": type_, "status": status, "reason": "Because", "message": "in words",
           "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Everything is as it should be.
pub(crate) fn healthy() -> Observed {
    Observed {
        connector_namespace: "external-services".into(),
        external_service: object(json!({
            "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
            "metadata": {"name": "db", "namespace": "ns1", "generation": 2},
            "spec": {"targetIP": "203.0.113.7",
                     "sources": [{"service": {"name": "web"}, "sourceIP": "192.0.2.10"}],
                     "ports": [{"port": 5432, "targetPort": 15432}]},
            "status": {"conditions": [condition("Accepted", "True", 2), condition("SourcesResolved", "True", 2)]}
        })),
        operators: vec![object(
            json!({"metadata": {}, "status": {"availableReplicas": 1}}),
        )],
        deployment: Some(object(json!({
            "metadata": {"name": "forwarder-db"},
            "spec": {"replicas": 1, "selector": {}, "template": {}}}))),
        replicas: vec![object(json!({
            "metadata": {"name": "forwarder-db-1"},
            "spec": {"containers": [{"name": "forwarder", "image": "localhost/extconn-forwarder:0.1.0",
                     "imagePullPolicy": "IfNotPresent", "env": [{"name": "HTTP_PORT", "value": "9402"}]}]},
            "status": {"podIP": "10.244.1.9", "conditions": [{"type": "Ready", "status": "True"}]}}))],
        front: Some(object(
            json!({"metadata": {"name": "db"}, "spec": {"clusterIP": "10.96.0.30"}}),
        )),
        forwarder: Some(object(json!({
            "apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Forwarder", "metadata": {"name": "db"},
            "spec": {"externalService": {"namespace": "ns1", "name": "db"},
                     "gateways": [{"sourceIP": "192.0.2.10", "sshEndpoint": "192.0.2.1:2022", "hostKey": "k"}]},
            "status": {"replicas": [{"podName": "forwarder-db-1", "publicKey": "k",
                       "tunnels": [{"sourceIP": "192.0.2.10", "state": "Up"}]}]}}))),
        gateways: vec![object(json!({
            "apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Gateway",
            "metadata": {"name": "192.0.2.10", "generation": 1},
            "spec": {"sourceIP": "192.0.2.10"},
            "status": {"hostName": "gw1", "conditions": [
                condition("AddressAssigned", "True", 1), condition("Programmed", "True", 1)]}}))],
        services: vec![Some(object(json!({
            "metadata": {"namespace": "ns1", "name": "web"},
            "spec": {"clusterIP": "10.96.0.20", "selector": {"app": "web"}, "ports": [{"port": 80}]}})))],
        neighbours: Vec::new(),
        slices: Some(vec![object(json!({
            "metadata": {"namespace": "ns1", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "endpoints": [{"addresses": ["10.244.2.5"]}]}))]),
    }
}
