use serde_json::{Value, json};

use super::*;

fn condition(type_: &str, status: &str, generation: i64) -> Value {
    json!({"type": type_, "status": status, "reason": "Because", "message": "in words",
           "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn external_service(ready: &str, observed: i64) -> ExternalService {
    serde_json::from_value(json!({
        "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
        "metadata": {"name": "db", "namespace": "ns1", "generation": 2},
        "spec": {"targetIP": "203.0.113.7",
                 "sources": [{"service": {"name": "shop"}, "sourceIP": "192.0.2.10"}],
                 "ports": [{"port": 5432, "targetPort": 15432}, {"port": 80}]},
        "status": {"conditions": [condition("Ready", ready, observed)]}
    }))
    .unwrap()
}

fn forwarder(states: &[&str]) -> Forwarder {
    let replicas: Vec<Value> = states
        .iter()
        .enumerate()
        .map(|(n, state)| {
            json!({"podName": format!("pod{n}"), "publicKey": "k",
                   "tunnels": [{"sourceIP": "192.0.2.10", "state": state, "message": "refused"}]})
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Forwarder",
        "metadata": {"name": "db", "namespace": "external-services"},
        "spec": {"externalService": {"namespace": "ns1", "name": "db"}},
        "status": {"replicas": replicas}
    }))
    .unwrap()
}

fn gateway(assigned: &str) -> Gateway {
    gateway_with(&[("AddressAssigned", assigned), ("Programmed", "True")])
}

fn gateway_with(conditions: &[(&str, &str)]) -> Gateway {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(type_, status)| condition(type_, status, 1))
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Gateway",
        "metadata": {"name": "192.0.2.10", "namespace": "external-services", "generation": 1},
        "spec": {"sourceIP": "192.0.2.10"},
        "status": {"hostName": "gw1", "conditions": conditions}
    }))
    .unwrap()
}

fn seen(es: ExternalService, states: &[&str], assigned: &str) -> ExternalServiceView {
    let observed = Observed {
        external_services: vec![es],
        forwarders: Some(vec![forwarder(states)]),
        gateways: Some(vec![gateway(assigned)]),
    };
    StatusView::new(observed, "external-services")
        .external_services
        .remove(0)
}

#[test]
fn a_healthy_one_names_its_gateway_and_counts_its_tunnels() {
    let view = seen(external_service("True", 2), &["Up", "Up"], "True");
    assert!(view.ready);
    assert_eq!(view.ports, ["15432>5432", "80"]);
    assert_eq!(view.sources[0].service, "ns1/shop");
    assert_eq!(view.sources[0].gateway.as_deref(), Some("gw1"));
    assert_eq!(
        (view.sources[0].tunnels_up, view.sources[0].replicas),
        (Some(2), Some(2))
    );
}

#[test]
fn a_condition_of_an_older_generation_is_not_believed() {
    let view = seen(external_service("True", 1), &["Up"], "True");
    assert!(!view.ready);
    assert_eq!(view.reason, "Pending");
}

#[test]
fn a_tunnel_that_is_down_says_why() {
    let view = seen(external_service("False", 2), &["Up", "Down"], "True");
    assert_eq!(view.sources[0].tunnels_down, ["pod1: refused"]);
    assert_eq!(view.sources[0].tunnels_up, Some(1));
}

#[test]
fn a_gateway_without_the_address_is_not_programmed() {
    let view = seen(external_service("False", 2), &[], "False");
    assert!(!view.sources[0].gateway_programmed);
    assert_eq!(view.sources[0].gateway_message.as_deref(), Some("in words"));
}

#[test]
fn what_a_gateway_said_before_it_fell_silent_does_not_count() {
    let silent = [
        ("AddressAssigned", "True"),
        ("Programmed", "True"),
        ("Reporting", "False"),
    ];
    let observed = Observed {
        external_services: vec![external_service("True", 2)],
        forwarders: Some(vec![forwarder(&["Up"])]),
        gateways: Some(vec![gateway_with(&silent)]),
    };
    let view = StatusView::new(observed, "external-services");
    let source = &view.external_services[0].sources[0];
    assert!(!source.gateway_programmed);
    assert_eq!(source.gateway_message.as_deref(), Some("in words"));
}

#[test]
fn who_may_not_read_gateways_and_forwarders_still_sees_the_conditions() {
    let observed = Observed {
        external_services: vec![external_service("True", 2)],
        forwarders: None,
        gateways: None,
    };
    let view = StatusView::new(observed, "external-services");
    assert!(view.all_ready());
    assert_eq!(view.external_services[0].sources[0].tunnels_up, None);
}
