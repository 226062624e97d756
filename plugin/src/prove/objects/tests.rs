use serde_json::json;

use super::super::hop::Outcome;
use super::*;
use crate::prove::fixtures::{condition, healthy};

/// Spoils a healthy path, and expects exactly one hop, of this name, to fail with these words.
fn check(spoil: impl FnOnce(&mut Observed), name: &str, words: &str) {
    let mut seen = healthy();
    spoil(&mut seen);
    let hops: Vec<Hop> = shared(&seen)
        .into_iter()
        .chain(of_source(&seen, 0, true))
        .collect();
    let failed: Vec<&Hop> = hops
        .iter()
        .filter(|hop| hop.outcome == Outcome::Failed)
        .collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0].name, name, "{failed:?}");
    assert!(
        failed[0].message.contains(words),
        "{:?} lacks {words:?}",
        failed[0].message
    );
    assert!(failed[0].next.as_ref().is_some_and(|next| !next.is_empty()));
}

#[test]
fn a_healthy_path_is_proven_as_far_as_objects_tell() {
    let seen = healthy();
    let hops: Vec<Hop> = shared(&seen)
        .into_iter()
        .chain(of_source(&seen, 0, true))
        .collect();
    assert!(
        hops.iter().all(|hop| hop.outcome == Outcome::Proven),
        "{hops:#?}"
    );
}

#[test]
fn each_fault_fails_its_own_hop() {
    check(
        |seen| seen.operators[0].status = None,
        "operator",
        "no replica",
    );
    check(
        |seen| {
            let spec = json!({"replicas": 0, "selector": {}, "template": {}});
            seen.operators[0].spec = Some(serde_json::from_value(spec).unwrap());
        },
        "operator",
        "no replica",
    );
    check(
        |seen| seen.operators.clear(),
        "operator",
        "there is no operator",
    );
    check(
        |seen| seen.external_service.status = None,
        "object",
        "not looked at it",
    );
    check(
        |seen| seen.external_service.metadata.generation = Some(9),
        "object",
        "latest change",
    );
    check(
        |seen| {
            let metadata = &mut seen.external_service.metadata;
            metadata.deletion_timestamp =
                serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
            metadata.finalizers = Some(vec!["example.com/mine".to_owned()]);
        },
        "object",
        "it is being deleted, and waits for example.com/mine",
    );
    check(
        |seen| seen.slices = Some(Vec::new()),
        "service",
        "no pod is behind Service ns1/web",
    );
    check(
        |seen| {
            let endpoint = &mut seen.slices.as_mut().unwrap()[0].endpoints[0];
            endpoint.conditions = Some(serde_json::from_value(json!({"ready": false})).unwrap());
        },
        "service",
        "1 pod is behind Service ns1/web and is not ready",
    );
    check(|seen| seen.services[0] = None, "service", "does not exist");
    check(|seen| seen.deployment = None, "forwarder", "no forwarder");
    check(
        |seen| seen.gateways[0].metadata.generation = Some(9),
        "gateway",
        "latest change",
    );
}

#[test]
fn a_forwarder_scaled_to_zero_says_so_and_its_tunnels_are_not_tried() {
    let mut seen = healthy();
    seen.deployment
        .as_mut()
        .unwrap()
        .spec
        .as_mut()
        .unwrap()
        .replicas = Some(0);
    seen.replicas.clear();
    let hops: Vec<Hop> = shared(&seen)
        .into_iter()
        .chain(of_source(&seen, 0, true))
        .collect();
    let failed: Vec<&Hop> = hops
        .iter()
        .filter(|hop| hop.outcome == Outcome::Failed)
        .collect();
    assert_eq!((failed.len(), failed[0].name), (1, "forwarder"));
    assert!(failed[0].message.contains("scaled to zero"), "{failed:?}");
    assert!(
        hops.iter()
            .any(|hop| hop.name == "tunnel" && hop.outcome == Outcome::NotTried)
    );
}

#[test]
fn a_missing_address_is_the_source_ips_fault() {
    let absent = |seen: &mut Observed| {
        let status = seen.gateways[0].status.as_mut().unwrap();
        status.conditions[0] =
            serde_json::from_value(condition("AddressAssigned", "False", 1)).unwrap();
    };
    check(absent, "source-ip", "in words");
}

#[test]
fn a_wrong_host_key_and_a_stopped_gateway_get_different_advice() {
    let with = |message: &str| {
        let mut seen = healthy();
        let status = seen.forwarder.as_mut().unwrap().status.as_mut().unwrap();
        status.replicas[0].tunnels[0] = serde_json::from_value(
            json!({"sourceIP": "192.0.2.10", "state": "Down", "message": message}),
        )
        .unwrap();
        let hops = of_source(&seen, 0, true);
        hops.into_iter()
            .find(|hop| hop.outcome == Outcome::Failed)
            .unwrap()
    };
    assert!(
        with("the host key is another one")
            .next
            .unwrap()
            .contains("new key")
    );
    assert!(
        with("Connection refused (os error 111)")
            .next
            .unwrap()
            .contains("start it there")
    );
    assert_eq!(with("Connection refused (os error 111)").name, "gateway");
    assert_eq!(with("the host key is another one").name, "tunnel");
    assert!(with("timed out").next.unwrap().contains("open TCP"));
}

#[test]
fn a_silent_gateway_without_tunnels_is_not_believed() {
    let mut seen = healthy();
    let status = seen.gateways[0].status.as_mut().unwrap();
    let silent = serde_json::from_value(condition("Reporting", "False", 1)).unwrap();
    status.conditions.push(silent);
    let outcome = |seen: &Observed, name: &str| {
        let hops = of_source(seen, 0, true);
        hops.into_iter()
            .find(|hop| hop.name == name)
            .unwrap()
            .outcome
    };
    // Only the API server does not hear of it.
    assert_eq!(outcome(&seen, "gateway"), Outcome::Proven);
    seen.forwarder.as_mut().unwrap().status = None;
    assert_eq!(outcome(&seen, "gateway"), Outcome::Failed);
    assert_eq!(outcome(&seen, "source-ip"), Outcome::NotTried);
}

#[test]
fn slices_that_may_not_be_listed_prove_nothing() {
    let mut seen = healthy();
    seen.slices = None;
    let hops = of_source(&seen, 0, true);
    assert_eq!(hops[0].outcome, Outcome::NotProven);
}
