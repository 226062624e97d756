use serde_json::{Value, json};

use super::*;
use crate::check::Verdict;
use crate::check::snapshot::Snapshot;

/// The verdict of the check of this name.
fn verdict(name: &str, seen: &Snapshot) -> Verdict {
    let check = ALL
        .iter()
        .find(|check| check.name == name)
        .unwrap_or_else(|| panic!("no check {name}"));
    (check.run)(seen)
}

fn objects<T: serde::de::DeserializeOwned>(objects: Value) -> Option<Vec<T>> {
    Some(serde_json::from_value(objects).unwrap())
}

fn failed(verdict: &Verdict, words: &str) -> bool {
    matches!(verdict, Verdict::Failed(message) if message.contains(words))
}

fn warned(verdict: &Verdict, words: &str) -> bool {
    matches!(verdict, Verdict::Warning(message) if message.contains(words))
}

#[test]
fn what_may_not_be_read_is_skipped_and_never_passed() {
    let blind = Snapshot {
        kubernetes: "v1.37.2".into(),
        ..Snapshot::default()
    };
    for check in ALL
        .iter()
        .filter(|check| !["this-machine", "cluster"].contains(&check.group))
    {
        let verdict = (check.run)(&blind);
        assert!(
            matches!(verdict, Verdict::Skipped(_) | Verdict::Warning(_)),
            "{}: {verdict:?}",
            check.name
        );
    }
}

#[test]
fn the_version_of_kubernetes_counts_by_its_minor() {
    let with = |version: &str| Snapshot {
        kubernetes: version.into(),
        ..Snapshot::default()
    };
    assert!(matches!(
        verdict("kubernetes-version", &with("v1.37.2")),
        Verdict::Passed(_)
    ));
    assert!(failed(
        &verdict("kubernetes-version", &with("v1.30.9+k3s1")),
        "v1.30.9"
    ));
    assert!(warned(
        &verdict("kubernetes-version", &with("main")),
        "main"
    ));
}

#[test]
fn an_operator_that_is_down_says_why() {
    let labels = json!({"app.kubernetes.io/component": "operator"});
    let mut seen = Snapshot {
        connector_namespace: "external-services".into(),
        ..Snapshot::default()
    };
    seen.deployments = Some(vec![]);
    assert!(failed(&verdict("operator-available", &seen), "no operator"));
    seen.deployments =
        objects(json!([{"metadata": {"labels": labels}, "status": {"availableReplicas": 0}}]));
    seen.pods = objects(
        json!([{"metadata": {"name": "p", "labels": labels}, "status": {"containerStatuses": [
        {"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 3,
         "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]}}]),
    );
    assert!(failed(
        &verdict("operator-available", &seen),
        "ErrImagePull"
    ));
}

#[test]
fn a_forwarder_without_any_tunnel_fails_and_with_some_warns() {
    let forwarder = |states: &[&str]| {
        let replicas: Vec<Value> = states
            .iter()
            .map(|state| {
                json!({"podName": "p", "publicKey": "k",
            "tunnels": [{"sourceIP": "192.0.2.10", "state": state, "message": "refused"}]})
            })
            .collect();
        json!([{"apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Forwarder", "metadata": {"name": "db"},
            "spec": {"externalService": {"namespace": "a", "name": "db"},
                     "gateways": [{"sourceIP": "192.0.2.10", "sshEndpoint": "192.0.2.1:2022", "hostKey": "k"}]},
            "status": {"replicas": replicas}}])
    };
    let with = |states: &[&str]| Snapshot {
        forwarders: objects(forwarder(states)),
        ..Snapshot::default()
    };
    assert!(matches!(
        verdict("tunnels-up", &with(&["Up", "Up"])),
        Verdict::Passed(_)
    ));
    assert!(warned(
        &verdict("tunnels-up", &with(&["Up", "Down"])),
        "refused"
    ));
    assert!(failed(
        &verdict("tunnels-up", &with(&["Down"])),
        "192.0.2.1:2022"
    ));
    assert!(failed(&verdict("tunnels-up", &with(&[])), "192.0.2.1:2022"));
}

#[test]
fn a_gateway_that_does_not_report_or_lacks_its_address_fails() {
    let gateway = |status: Value| {
        objects(
            json!([{"apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Gateway",
            "metadata": {"name": "192.0.2.10", "generation": 2}, "spec": {"sourceIP": "192.0.2.10"}, "status": status}]),
        )
    };
    let condition = |type_: &str, status: &str, generation: i64| {
        json!({"type": type_, "status": status, "reason": "R", "message": "in words",
               "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let with = |status| Snapshot {
        gateways: gateway(status),
        ..Snapshot::default()
    };
    assert!(failed(
        &verdict("gateways-programmed", &with(json!({}))),
        "no gateway reports"
    ));
    let behind = with(json!({"conditions": [condition("Programmed", "True", 1)]}));
    assert!(failed(
        &verdict("gateways-programmed", &behind),
        "latest change"
    ));
    for (check, condition_type) in [
        ("source-ips-assigned", "AddressAssigned"),
        ("gateways-reporting", "Reporting"),
        ("clocks-in-sync", "ClockInSync"),
    ] {
        let absent = with(json!({"conditions": [condition(condition_type, "False", 2)]}));
        assert!(failed(&verdict(check, &absent), "192.0.2.10: in words"));
        let well = with(json!({"conditions": [condition(condition_type, "True", 2)]}));
        assert!(matches!(verdict(check, &well), Verdict::Passed(_)));
    }
}

#[test]
fn a_service_without_pods_is_named() {
    let external_services = objects(
        json!([{"apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
        "metadata": {"name": "db", "namespace": "ns1"},
        "spec": {"targetIP": "203.0.113.7", "sources": [{"service": {"name": "web"}, "sourceIP": "192.0.2.10"}],
                 "ports": [{"port": 1}]}}]),
    );
    let slice = |address: &str| {
        objects(json!([{"metadata": {"namespace": "ns1", "name": "web-1",
        "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}]}]))
    };
    let mut seen = Snapshot {
        external_services,
        endpoint_slices: Some(vec![]),
        ..Snapshot::default()
    };
    assert!(warned(&verdict("sources-have-pods", &seen), "ns1/web"));
    seen.endpoint_slices = slice("10.244.1.5");
    assert!(matches!(
        verdict("sources-have-pods", &seen),
        Verdict::Passed(_)
    ));
}
