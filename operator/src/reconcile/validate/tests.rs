//! Which clusters make which verdict.

use super::*;
use crate::reconcile::fixtures::{REFERENCE, SERVICES, validated};

const OLDER: &str = "2026-11-23T09:00:00Z";
const YOUNGER: &str = "2026-11-23T11:00:00Z";

/// Another ExternalService, with `ns1/my-service1` at 192.0.2.200 towards 203.0.113.7:8000.
fn rival(namespace: &str, name: &str, created: &str) -> String {
    format!(
        "
---
kind: ExternalService
metadata: {{name: {name}, namespace: {namespace}, uid: u2, generation: 1,
           creationTimestamp: {created}}}
spec:
  targetIP: 203.0.113.7
  sources: [{{service: {{namespace: ns1, name: my-service1}}, sourceIP: 192.0.2.200}}]
  ports: [{{port: 8000}}]
"
    )
}

fn cluster(rest: &str) -> String {
    format!("{REFERENCE}{SERVICES}{rest}")
}

fn connection(cluster: &str) -> Connection {
    match validated(cluster).verdict {
        Verdict::Accepted(connection) => connection,
        Verdict::Refused(problem) => panic!("refused: {problem:?}"),
    }
}

fn check_refused(cluster: &str, reason: Reason, says: &str) {
    match validated(cluster).verdict {
        Verdict::Accepted(_) => panic!("accepted, not refused with {reason}"),
        Verdict::Refused(problem) => check_problem(&problem, reason, says),
    }
}

fn check_problem(problem: &Problem, reason: Reason, says: &str) {
    assert_eq!(problem.reason, reason, "{}", problem.message);
    assert!(
        problem.message.contains(says),
        "{} lacks {says:?}",
        problem.message
    );
}

#[test]
fn the_reference_manifest_connects_both_services_both_ways() {
    let connection = connection(&cluster(""));
    let ingress: Vec<_> = connection
        .ingress
        .iter()
        .map(|i| format!("{}:{} -> {}", i.source_ip, i.port, i.cluster_ip))
        .collect();
    assert_eq!(
        ingress,
        [
            "192.0.2.200:80 -> 10.96.0.21",
            "192.0.2.201:80 -> 10.96.0.22",
            "192.0.2.201:443 -> 10.96.0.22",
        ],
        "every TCP port, and no other"
    );
    assert_eq!(connection.sources.len(), 2);
    assert_eq!(connection.source_problems, []);
}

#[test]
fn nothing_leads_into_the_cluster_unless_bidirectional() {
    let cluster = cluster("").replace(
        "spec:\n  targetIP",
        "spec:\n  bidirectional: false\n  targetIP",
    );
    assert_eq!(connection(&cluster).ingress, []);
}

#[test]
fn a_source_without_namespace_is_in_the_objects_own() {
    let cluster = cluster("").replace("service: {namespace: ns1, name", "service: {name");
    let problems = connection(&cluster).source_problems;
    check_problem(&problems[0], Reason::ServiceNotFound, "default/my-service1");
}

#[test]
fn pods_dial_the_port_unless_a_target_port_is_named() {
    let cluster = cluster("").replace(", targetPort: 8000", "");
    assert_eq!(connection(&cluster).egress[0].listen.get(), 8000);
}

#[test]
fn the_older_of_two_holds_the_name() {
    let younger = cluster(&rival("a", "my-externalservice", OLDER));
    check_refused(
        &younger,
        Reason::NameConflict,
        "older ExternalService a/my-externalservice",
    );
    let older = cluster(&rival("a", "my-externalservice", YOUNGER));
    assert_eq!(validated(&older).name_holder, NameHolder::Itself);
    connection(&older);
}

#[test]
fn two_of_the_same_second_agree_on_who_is_older() {
    let same = "2026-11-23T10:00:00Z";
    check_refused(
        &cluster(&rival("a", "my-externalservice", same)),
        Reason::NameConflict,
        "a/my",
    );
    connection(&cluster(&rival("z", "my-externalservice", same)));
}

#[test]
fn a_service_that_is_not_ours_keeps_its_name() {
    let foreign = "
---
kind: Service
metadata: {name: my-externalservice, namespace: external-services}
spec: {clusterIP: 10.96.0.30, ports: [{port: 80}]}
";
    let says = "Service external-services/my-externalservice exists";
    check_refused(&cluster(foreign), Reason::NameConflict, says);
}

#[test]
fn the_older_of_two_holds_a_source_ip_towards_a_port() {
    let says = "source IP 192.0.2.200 towards port 8000 of 203.0.113.7";
    let taken = cluster(&rival("a", "other", OLDER));
    check_refused(&taken, Reason::SourceIPConflict, says);
    connection(&cluster(&rival("a", "other", YOUNGER)));
    connection(&taken.replace("ports: [{port: 8000}]", "ports: [{port: 8001}]"));
}

#[test]
fn who_has_been_refused_holds_nothing() {
    let refused = "
status:
  conditions:
    - {type: Accepted, status: 'False', reason: NameConflict, message: '',
       observedGeneration: 1, lastTransitionTime: 2026-11-23T10:00:00Z}
";
    connection(&cluster(&format!(
        "{}{refused}",
        rival("a", "other", OLDER).trim_end()
    )));
    let outdated = refused.replace("observedGeneration: 1", "observedGeneration: 0");
    let holds = cluster(&format!(
        "{}{outdated}",
        rival("a", "other", OLDER).trim_end()
    ));
    check_refused(&holds, Reason::SourceIPConflict, "a/other");
}

#[test]
fn a_service_listed_with_and_without_its_namespace_is_listed_twice() {
    let cluster = cluster("")
        .replace("namespace: default, uid", "namespace: ns1, uid")
        .replace(
            "service: {namespace: ns2, name: my-service2}",
            "service: {name: my-service1}",
        );
    check_refused(
        &cluster,
        Reason::DuplicateSource,
        "spec.sources[1] lists Service ns1/my-service1",
    );
}

#[test]
fn what_an_older_schema_let_through_is_named() {
    let target = cluster("").replace("targetIP: 203.0.113.7", "targetIP: example.org");
    check_refused(
        &target,
        Reason::InvalidSpec,
        "spec.targetIP \"example.org\"",
    );
    let source = cluster("").replace("sourceIP: 192.0.2.201", "sourceIP: '::1'");
    check_refused(
        &source,
        Reason::InvalidSpec,
        "spec.sources[1].sourceIP \"::1\"",
    );
    let port = cluster("").replace("port: 8000, targetPort: 8000", "port: 0, targetPort: 8000");
    check_refused(&port, Reason::InvalidSpec, "spec.ports[0].port 0");
}

#[test]
fn a_missing_service_does_not_stop_the_others() {
    let connection =
        connection(&cluster("").replace("name: my-service2, namespace: ns2", "name: x"));
    check_problem(
        &connection.source_problems[0],
        Reason::ServiceNotFound,
        "ns2/my-service2",
    );
    assert_eq!(connection.sources.len(), 1);
    assert_eq!(connection.ingress.len(), 1);
}

#[test]
fn an_external_name_is_no_source() {
    let cluster = cluster("").replace("spec: {clusterIP: 10.96.0.21", "spec: {type: ExternalName");
    let connection = connection(&cluster);
    check_problem(
        &connection.source_problems[0],
        Reason::ExternalNameService,
        "ns1/my-service1",
    );
    assert_eq!(connection.sources.len(), 1);
}

#[test]
fn pods_of_a_headless_service_connect_but_are_not_reached() {
    for cluster_ip in ["None", "fd00::21"] {
        let cluster = cluster("").replace(
            "clusterIP: 10.96.0.21",
            &format!("clusterIP: '{cluster_ip}'"),
        );
        let accepted = connection(&cluster);
        check_problem(
            &accepted.source_problems[0],
            Reason::NoClusterIP,
            "ns1/my-service1",
        );
        assert_eq!(accepted.sources.len(), 2);
        assert_eq!(accepted.ingress.len(), 2);
        let one_way = cluster.replace("  targetIP", "  bidirectional: false\n  targetIP");
        assert_eq!(connection(&one_way).source_problems, []);
    }
}

#[test]
fn the_ipv4_address_of_a_dual_stack_service_is_used() {
    let cluster = cluster("").replace(
        "clusterIP: 10.96.0.21",
        "clusterIP: 'fd00::21', clusterIPs: ['fd00::21', 10.96.0.21]",
    );
    assert_eq!(
        connection(&cluster).ingress[0].cluster_ip.to_string(),
        "10.96.0.21"
    );
}

#[test]
fn one_port_of_a_source_ip_leads_to_the_first_service_that_has_it() {
    let cluster = cluster("").replace("sourceIP: 192.0.2.201", "sourceIP: 192.0.2.200");
    let connection = connection(&cluster);
    check_problem(
        &connection.source_problems[0],
        Reason::IngressPortConflict,
        "port 80 of source IP 192.0.2.200 leads to Service ns1/my-service1",
    );
    let ports: Vec<_> = connection.ingress.iter().map(|i| i.port.get()).collect();
    assert_eq!(ports, [80, 443]);
}

#[test]
fn one_port_of_a_source_ip_leads_to_the_older_external_service() {
    let other_port = rival("a", "other", OLDER)
        .replace("port: 8000", "port: 9000")
        .replace("my-service1", "my-service3");
    let third = SERVICES.replace("my-service1", "my-service3");
    let other_port = format!("{other_port}{third}");
    let connection = connection(&cluster(&other_port));
    check_problem(
        &connection.source_problems[0],
        Reason::IngressPortConflict,
        "Service ns1/my-service3 of ExternalService a/other",
    );
    let one_way = other_port.replace(
        "spec:\n  targetIP",
        "spec:\n  bidirectional: false\n  targetIP",
    );
    assert_eq!(self::connection(&cluster(&one_way)).source_problems, []);
}

#[test]
fn two_external_services_of_one_service_do_not_quarrel_about_the_way_back() {
    let other_port = rival("a", "other", OLDER).replace("port: 8000", "port: 9000");
    let connection = connection(&cluster(&other_port));
    assert_eq!(connection.source_problems, []);
    let source_ips: Vec<_> = connection
        .ingress
        .iter()
        .map(|i| i.source_ip.to_string())
        .collect();
    assert_eq!(
        source_ips,
        ["192.0.2.201", "192.0.2.201"],
        "the older one has the other"
    );
}
