use extconn_api::permission::Namespaces;
use serde_json::{Value, json};

use super::*;
use crate::expose::fixtures::{external_service, surroundings};
use crate::expose::surroundings::Seen;

/// Judges an object of namespace ns2 with these sources, and expects these words in order.
fn check(sources: Value, target: &str, expect: &[(Mood, &str)]) {
    check_in(&surroundings(), sources, target, expect);
}

fn check_in(seen: &Surroundings, sources: Value, target: &str, expect: &[(Mood, &str)]) {
    let mut object = external_service("ns2", "fresh", target, "192.0.2.11");
    object.spec.sources = serde_json::from_value(sources).unwrap();
    let findings = judge(&object, seen);
    assert_eq!(findings.len(), expect.len(), "{findings:#?}");
    for (finding, (mood, words)) in findings.iter().zip(expect) {
        assert_eq!(finding.mood, *mood, "{finding:?}");
        assert!(
            finding.text.contains(words),
            "{:?} lacks {words:?}",
            finding.text
        );
        assert!(!finding.next.is_empty());
    }
}

fn source(name: &str, ip: &str) -> Value {
    json!({"service": {"name": name}, "sourceIP": ip})
}

#[test]
fn what_fits_gives_no_finding() {
    check(json!([source("api", "192.0.2.11")]), "203.0.113.8", &[]);
}

#[test]
fn services_that_cannot_be_a_source_are_named() {
    check(
        json!([
            source("gone", "192.0.2.11"),
            source("alias", "192.0.2.11"),
            source("headless", "192.0.2.11")
        ]),
        "203.0.113.8",
        &[
            (Mood::Bad, "ns2/gone does not exist"),
            (Mood::Bad, "ns2/alias is of type ExternalName"),
            (Mood::Bad, "ns2/headless is headless"),
        ],
    );
}

#[test]
fn a_source_ip_that_no_gateway_holds_is_refused() {
    check(
        json!([source("api", "192.0.2.99")]),
        "203.0.113.8",
        &[(Mood::Bad, "192.0.2.99")],
    );
}

#[test]
fn without_any_known_gateway_host_it_is_only_a_doubt() {
    let seen = Surroundings {
        gateway_hosts: Vec::new(),
        ..surroundings()
    };
    check_in(
        &seen,
        json!([source("api", "192.0.2.11")]),
        "203.0.113.8",
        &[(Mood::Unsure, "192.0.2.11")],
    );
}

#[test]
fn without_an_operator_nothing_would_come_of_it() {
    let seen = Surroundings {
        has_operator: Some(false),
        ..surroundings()
    };
    let fine = json!([source("api", "192.0.2.11")]);
    check_in(&seen, fine, "203.0.113.8", &[(Mood::Bad, "no operator")]);
}

#[test]
fn what_may_not_be_read_is_a_doubt_and_not_an_error() {
    let seen = Surroundings {
        services: Vec::new(),
        services_seen_in: Seen::Nowhere,
        ..surroundings()
    };
    check_in(
        &seen,
        json!([source("api", "192.0.2.11")]),
        "203.0.113.8",
        &[(Mood::Unsure, "could not be checked")],
    );
}

#[test]
fn a_claim_of_somebody_else_is_named_with_its_owner() {
    check(
        json!([source("api", "192.0.2.10")]),
        "203.0.113.7",
        &[(Mood::Bad, "belongs to ExternalService ns1/db")],
    );
    // Towards another target the same source IP is free.
    check(json!([source("api", "192.0.2.10")]), "203.0.113.8", &[]);
}

#[test]
fn an_object_does_not_conflict_with_itself() {
    let seen = surroundings();
    assert_eq!(judge(&seen.external_services[0], &seen), []);
    let other = external_service("ns1", "db", "203.0.113.8", "192.0.2.10");
    let findings = judge(&other, &seen);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].mood, Mood::Unsure);
    assert!(findings[0].text.contains("instead of 203.0.113.7"));
}

#[test]
fn the_name_of_an_object_in_another_namespace_is_taken() {
    let object = external_service("ns2", "db", "203.0.113.8", "192.0.2.11");
    let findings = judge(&object, &surroundings());
    assert!(
        findings[0].text.contains("held by ExternalService ns1/db"),
        "{findings:?}"
    );
}

#[test]
fn one_port_of_a_source_ip_cannot_lead_to_two_services() {
    let mut seen = surroundings();
    seen.services[3]
        .spec
        .as_mut()
        .unwrap()
        .ports
        .as_mut()
        .unwrap()[0]
        .port = 80;
    let sources = json!([
        source("api", "192.0.2.11"),
        {"service": {"namespace": "ns1", "name": "web"}, "sourceIP": "192.0.2.11"}
    ]);
    seen.trusted = Some(Namespaces::parse("ns2"));
    check_in(
        &seen,
        sources,
        "203.0.113.8",
        &[(Mood::Bad, "192.0.2.11:80")],
    );
}

#[test]
fn another_teams_service_needs_its_consent() {
    let web = json!([{"service": {"namespace": "ns1", "name": "web"}, "sourceIP": "192.0.2.11"}]);
    let target = "203.0.113.8";
    let mut seen = surroundings();
    let denied = (Mood::Bad, "does not consent to ns2");
    check_in(&seen, web.clone(), target, &[denied]);
    // Who may not read it cannot tell.
    seen.services_seen_in = Seen::In("ns2".into());
    let doubt = (Mood::Unsure, "as far as you may see");
    check_in(&seen, web.clone(), target, &[doubt]);
    seen = surroundings();
    seen.trusted = None;
    check_in(&seen, web.clone(), target, &[doubt]);
    let consent = [(permission::EXPOSED_TO.to_owned(), "ns2".to_owned())];
    seen.services[2].metadata.annotations = Some(consent.into());
    check_in(&seen, web, target, &[]);
}

#[test]
fn the_api_server_is_refused_whatever_may_be_seen() {
    let seen = Surroundings {
        trusted: None,
        services_seen_in: Seen::Nowhere,
        ..surroundings()
    };
    let source = json!({"namespace": "default", "name": "kubernetes"});
    let sources = json!([{"service": source, "sourceIP": "192.0.2.11"}]);
    let expect = [(Mood::Bad, "default/kubernetes is the cluster's API server")];
    check_in(&seen, sources, "203.0.113.8", &expect);
}

#[test]
fn a_source_ip_that_is_reserved_for_others_is_refused() {
    let gateway = json!({
        "apiVersion": "extconn.submariner.io/v1alpha1", "kind": "Gateway",
        "metadata": {"name": "192.0.2.11"},
        "spec": {"sourceIP": "192.0.2.11"},
        "status": {"hostName": "gw1", "allowedNamespaces": ["ns1"]},
    });
    let seen = Surroundings {
        gateways: vec![serde_json::from_value(gateway).unwrap()],
        ..surroundings()
    };
    let sources = json!([source("api", "192.0.2.11")]);
    let expect = [(
        Mood::Bad,
        "reserved for ExternalServices of the namespaces ns1",
    )];
    check_in(&seen, sources, "203.0.113.8", &expect);
}
