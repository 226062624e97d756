//! Who may claim what: each attack of docs/security.md as a cluster, without admission.

use extconn_api::NamespacedName;
use extconn_api::condition::ExternalServiceReason as Reason;

use crate::reconcile::connection::{Connection, Verdict};
use crate::reconcile::fixtures::validated;

/// Eve's ExternalService in the namespace evil, the older one, with one source.
fn eve(source: &str) -> String {
    external_service("evil", "eve", "2026-11-23T09:00:00Z", source)
}

/// The bank's, the younger one.
fn bank(source: &str) -> String {
    external_service("bank", "ledger", "2026-11-23T10:00:00Z", source)
}

fn external_service(namespace: &str, name: &str, created: &str, source: &str) -> String {
    format!(
        "
---
kind: ExternalService
metadata: {{name: {name}, namespace: {namespace}, uid: {name}, generation: 1,
           creationTimestamp: {created}}}
spec:
  targetIP: 203.0.113.7
  sources: [{source}]
  ports: [{{port: 8000}}]
"
    )
}

const PAYMENTS: &str = "{service: {namespace: bank, name: payments}, sourceIP: 192.0.2.200}";
const SHOP: &str = "{service: {namespace: evil, name: shop}, sourceIP: 192.0.2.200}";

/// The Services bank/payments and evil/shop; the first consents to these.
fn services(exposed_to: &str) -> String {
    format!(
        "
---
kind: Service
metadata: {{name: payments, namespace: bank,
           annotations: {{extconn.submariner.io/exposed-to: '{exposed_to}'}}}}
spec: {{clusterIP: 10.96.0.21, ports: [{{port: 80}}]}}
---
kind: Service
metadata: {{name: shop, namespace: evil}}
spec: {{clusterIP: 10.96.0.22, ports: [{{port: 80}}]}}
---
kind: Service
metadata: {{name: kubernetes, namespace: default}}
spec: {{clusterIP: 10.96.0.1, ports: [{{port: 443}}]}}
"
    )
}

/// The gateway of 192.0.2.200, whose host reserves it for these namespaces.
fn reserved_for(namespaces: &str) -> String {
    format!(
        "
---
kind: Gateway
metadata: {{name: 192.0.2.200, namespace: external-services, generation: 1}}
spec: {{sourceIP: 192.0.2.200, forwarders: []}}
status: {{hostName: gw1, allowedNamespaces: [{namespaces}]}}
"
    )
}

fn connection(cluster: &str) -> Connection {
    match validated(cluster).verdict {
        Verdict::Accepted(connection) => connection,
        Verdict::Refused(problem) => panic!("refused: {problem:?}"),
    }
}

/// The first ExternalService of the cluster gets nothing, and is told these words.
fn check_denied(cluster: &str, reason: Reason, words: &[&str]) {
    let connection = connection(cluster);
    assert_eq!(connection.sources, []);
    assert_eq!(connection.ingress, []);
    let [problem] = connection.source_problems.as_slice() else {
        panic!("{:?}", connection.source_problems);
    };
    assert_eq!(problem.reason, reason);
    for words in words {
        assert!(problem.message.contains(words), "{}", problem.message);
    }
}

/// The first ExternalService of the cluster gets this Service.
fn check_permitted(cluster: &str, service: &str) {
    let connection = connection(cluster);
    assert_eq!(connection.source_problems, []);
    let services = connection.sources.into_iter().map(|s| s.service);
    let services: Vec<_> = services.map(|s: NamespacedName| s.to_string()).collect();
    assert_eq!(services, [service]);
}

#[test]
fn another_teams_service_is_no_source_unless_it_consents() {
    let cluster = |consent| format!("{}{}", eve(PAYMENTS), services(consent));
    for consent in ["", "shop,crm", "evil2", "Evil"] {
        check_denied(
            &cluster(consent),
            Reason::SourceNotPermitted,
            &[
                "Service bank/payments",
                "kubectl apply -n external-services",
                "kubectl annotate service -n bank payments",
                "exposed-to=evil",
            ],
        );
    }
    for consent in ["evil", "*", "shop, evil"] {
        check_permitted(&cluster(consent), "bank/payments");
    }
}

#[test]
fn trusted_namespaces_need_no_consent() {
    for trusted in ["external-services", "default"] {
        let cluster = format!("{}{}", eve(PAYMENTS), services(""));
        let cluster = cluster.replace(
            "namespace: evil, uid",
            &format!("namespace: {trusted}, uid"),
        );
        check_permitted(&cluster, "bank/payments");
    }
}

#[test]
fn whether_a_service_of_another_team_exists_is_not_told() {
    check_denied(
        &eve(PAYMENTS),
        Reason::SourceNotPermitted,
        &["does not consent"],
    );
    let trusted = eve(PAYMENTS).replace("namespace: evil, uid", "namespace: default, uid");
    check_denied(&trusted, Reason::ServiceNotFound, &["bank/payments"]);
}

#[test]
fn the_api_server_is_no_source_for_anybody() {
    let source = "{service: {namespace: default, name: kubernetes}, sourceIP: 192.0.2.200}";
    for namespace in ["evil", "default", "external-services"] {
        let cluster = format!("{}{}", eve(source), services(""));
        let cluster = cluster.replace(
            "namespace: evil, uid",
            &format!("namespace: {namespace}, uid"),
        );
        let words = ["Service default/kubernetes", "take it out of spec.sources"];
        check_denied(&cluster, Reason::SourceNotPermitted, &words);
    }
}

#[test]
fn a_reserved_source_ip_is_for_its_namespaces_only() {
    let cluster = |namespaces| format!("{}{}{}", eve(SHOP), services(""), reserved_for(namespaces));
    check_denied(
        &cluster("bank"),
        Reason::SourceIPNotPermitted,
        &[
            "source IP 192.0.2.200",
            "namespaces bank",
            "gateway host gw1 add evil",
        ],
    );
    check_permitted(&cluster("bank, evil"), "evil/shop");
    check_permitted(&format!("{}{}", eve(SHOP), services("")), "evil/shop");
}

#[test]
fn what_one_may_not_have_is_held_against_nobody() {
    // Eve's is older and wants the bank's Service, or the bank's source IP, towards the same
    // target and port.
    for (source, gateway) in [(PAYMENTS, ""), (SHOP, reserved_for("bank").as_str())] {
        let cluster = format!("{}{}{}{gateway}", bank(PAYMENTS), eve(source), services(""));
        check_permitted(&cluster, "bank/payments");
        assert_eq!(connection(&cluster).ingress.len(), 1);
    }
    // What she may have is hers.
    let cluster = format!("{}{}{}", bank(PAYMENTS), eve(SHOP), services(""));
    match validated(&cluster).verdict {
        Verdict::Refused(problem) => assert_eq!(problem.reason, Reason::SourceIPConflict),
        Verdict::Accepted(_) => panic!("both have the source IP"),
    }
}

#[test]
fn one_source_that_is_denied_does_not_stop_the_others() {
    let both = format!("{PAYMENTS}, {}", SHOP.replace("2.200", "2.201"));
    let connection = connection(&format!("{}{}", eve(&both), services("")));
    assert_eq!(connection.sources.len(), 1);
    assert_eq!(connection.sources[0].service.to_string(), "evil/shop");
    assert_eq!(
        connection.source_problems[0].reason,
        Reason::SourceNotPermitted
    );
}
