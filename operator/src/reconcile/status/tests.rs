//! Which reports make which conditions, and which of them are told in Events.

use std::collections::{BTreeMap, BTreeSet};

use extconn_api::condition::{self, ExternalServiceCondition as Type, GatewayCondition};
use extconn_api::{ExternalServiceStatus, Gateway};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::conditions::conditions;
use super::events::events;
use crate::reconcile::apply::Applied;
use crate::reconcile::apply::gateways::{Grant, Granted};
use crate::reconcile::connection::SourceIp;
use crate::reconcile::error::Error;
use crate::reconcile::fixtures::{REFERENCE, SERVICES, validated};
use crate::reconcile::validate::Validated;

fn accepted() -> Validated {
    validated(&format!("{REFERENCE}{SERVICES}"))
}

/// Both gateways and one replica, `pod-1`, at work.
fn at_work() -> Applied {
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "forwarder-my-externalservice", "namespace": "external-services",
                     "generation": 2},
        "status": {"observedGeneration": 2, "availableReplicas": 1},
    }))
    .unwrap();
    let forwarder = serde_json::from_value(json!({
        "metadata": {"name": "my-externalservice"},
        "spec": {"externalService": {"namespace": "default", "name": "my-externalservice"}},
        "status": {"replicas": [{"podName": "pod-1", "publicKey": "ssh-ed25519 AAAA", "tunnels": [
            {"sourceIP": "192.0.2.200", "state": "Up"},
            {"sourceIP": "192.0.2.201", "state": "Up"},
        ]}]},
    }))
    .unwrap();
    let gateways =
        ["192.0.2.200", "192.0.2.201"].map(|ip| (SourceIp(ip.parse().unwrap()), granted(ip)));
    Applied {
        deployment,
        forwarder,
        gateways: BTreeMap::from(gateways),
    }
}

fn granted(source_ip: &str) -> Granted {
    Granted {
        gateway: gateway(source_ip),
        grant: Grant::Unchanged,
    }
}

fn gateway(source_ip: &str) -> Gateway {
    let condition = |type_| {
        json!({"type": type_, "status": "True", "reason": type_, "message": "",
               "observedGeneration": 4, "lastTransitionTime": "2026-11-23T10:00:00Z"})
    };
    serde_json::from_value(json!({
        "metadata": {"name": source_ip, "generation": 4},
        "spec": {"sourceIP": source_ip},
        "status": {"hostName": "gw1", "sshEndpoint": "192.0.2.1:2022", "hostKey": "k",
                   "conditions": [condition("AddressAssigned"), condition("Programmed")]},
    }))
    .unwrap()
}

fn second(applied: &mut Applied) -> &mut Gateway {
    &mut applied.gateways.values_mut().next_back().unwrap().gateway
}

fn judge(validated: &Validated, applied: Result<&Option<Applied>, &Error>) -> Vec<Condition> {
    let pods = BTreeSet::from(["pod-1".to_owned()]);
    conditions(&[], validated, applied, &pods, &Time(Timestamp::UNIX_EPOCH))
}

/// Each condition's reason, `!` before those that are not true; and what Ready says.
fn check(validated: &Validated, applied: Option<Applied>, expect: [&str; 5], says: &str) {
    check_conditions(judge(validated, Ok(&applied)), expect, says);
}

fn check_conditions(conditions: Vec<Condition>, expect: [&str; 5], says: &str) {
    let types: Vec<_> = conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(
        types,
        Type::ALL
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    );
    let reasons: Vec<_> = conditions
        .iter()
        .map(|c| format!("{}{}", if c.status == "True" { "" } else { "!" }, c.reason))
        .collect();
    assert_eq!(reasons, expect);
    let ready = &conditions[4].message;
    assert!(ready.contains(says), "{ready:?} lacks {says:?}");
}

#[test]
fn it_is_ready_when_all_report_success() {
    check(
        &accepted(),
        Some(at_work()),
        [
            "Accepted",
            "SourcesResolved",
            "Programmed",
            "TunnelsEstablished",
            "Ready",
        ],
        "Services ns1/my-service1, ns2/my-service2 are connected with 203.0.113.7",
    );
}

#[test]
fn a_refused_one_says_why_and_skips_the_rest() {
    let refused = REFERENCE.replace("targetIP: 203.0.113.7", "targetIP: nonsense");
    let validated = validated(&format!("{refused}{SERVICES}"));
    let expect = [
        "!InvalidSpec",
        "!NotAccepted",
        "!NotAccepted",
        "!NotAccepted",
        "!InvalidSpec",
    ];
    check(&validated, None, expect, "spec.targetIP \"nonsense\"");
}

#[test]
fn without_any_source_there_is_nothing_to_program() {
    let expect = [
        "Accepted",
        "!ServiceNotFound",
        "!NoSource",
        "!NoSource",
        "!ServiceNotFound",
    ];
    check(
        &validated(REFERENCE),
        None,
        expect,
        "ns2/my-service2 does not exist",
    );
}

#[test]
fn a_missing_service_is_named_though_the_others_work() {
    let one = SERVICES.replace("name: my-service2", "name: x");
    let validated = validated(&format!("{REFERENCE}{one}"));
    let expect = [
        "Accepted",
        "!ServiceNotFound",
        "Programmed",
        "TunnelsEstablished",
        "!ServiceNotFound",
    ];
    check(
        &validated,
        Some(at_work()),
        expect,
        "ns2/my-service2 does not exist",
    );
}

#[test]
fn a_source_ip_that_no_gateway_holds_is_named() {
    let expect = [
        "Accepted",
        "SourcesResolved",
        "!NoGateway",
        "TunnelsEstablished",
        "!NoGateway",
    ];
    let says = "source IP 192.0.2.201 is not held by any gateway";
    let mut applied = at_work();
    second(&mut applied).status = None;
    check(&accepted(), Some(applied), expect, says);
    let mut applied = at_work();
    second(&mut applied).status.as_mut().unwrap().host_key = None;
    check(&accepted(), Some(applied), expect, says);
}

#[test]
fn a_gateway_that_is_behind_or_in_trouble_is_quoted() {
    let expect = [
        "Accepted",
        "SourcesResolved",
        "!GatewayNotProgrammed",
        "TunnelsEstablished",
        "!GatewayNotProgrammed",
    ];
    let mut behind = at_work();
    second(&mut behind).metadata.generation = Some(5);
    check(&accepted(), Some(behind), expect, "it has not answered yet");

    for type_ in [
        GatewayCondition::AddressAssigned,
        GatewayCondition::Programmed,
    ] {
        let mut troubled = at_work();
        for condition in &mut second(&mut troubled).status.as_mut().unwrap().conditions {
            if condition.type_ == type_.to_string() {
                condition.status = "False".into();
                condition.message = format!("{type_} failed");
            }
        }
        let says = format!("source IP 192.0.2.201: {type_} failed");
        check(&accepted(), Some(troubled), expect, &says);
    }
}

#[test]
fn a_gateway_that_is_busy_with_others_is_no_setback() {
    let ready = judge(&accepted(), Ok(&Some(at_work())));
    let mut busy = at_work();
    second(&mut busy).metadata.generation = Some(5);
    let again = |applied: Applied| {
        let pods = BTreeSet::from(["pod-1".to_owned()]);
        let now = Time(Timestamp::UNIX_EPOCH);
        conditions(&ready, &accepted(), Ok(&Some(applied)), &pods, &now)
    };
    let expect = [
        "Accepted",
        "SourcesResolved",
        "Programmed",
        "TunnelsEstablished",
        "Ready",
    ];
    check_conditions(again(busy.clone()), expect, "are connected");

    busy.gateways.values_mut().next_back().unwrap().grant = Grant::Written;
    let reasons: Vec<_> = again(busy).into_iter().map(|c| c.reason).collect();
    assert_eq!(
        reasons[2], "GatewayNotProgrammed",
        "what was written has to be taken over"
    );
}

#[test]
fn a_deployment_without_available_pods_is_named() {
    let expect = [
        "Accepted",
        "SourcesResolved",
        "!ForwarderNotAvailable",
        "TunnelsEstablished",
        "!ForwarderNotAvailable",
    ];
    let says = "Deployment external-services/forwarder-my-externalservice";
    for status in [
        json!({"observedGeneration": 2, "availableReplicas": 0}),
        json!({"observedGeneration": 1, "availableReplicas": 1}),
        json!({}),
    ] {
        let mut applied = at_work();
        applied.deployment.status = serde_json::from_value(status).unwrap();
        check(&accepted(), Some(applied), expect, says);
    }
}

#[test]
fn a_gateway_without_a_tunnel_of_an_existing_pod_is_named() {
    let expect = [
        "Accepted",
        "SourcesResolved",
        "Programmed",
        "!TunnelDown",
        "!TunnelDown",
    ];
    let replica = |applied: &mut Applied, change: serde_json::Value| {
        applied.forwarder.status = serde_json::from_value(json!({"replicas": [change]})).unwrap();
    };
    let mut down = at_work();
    replica(
        &mut down,
        json!({"podName": "pod-1", "publicKey": "", "tunnels": [
            {"sourceIP": "192.0.2.200", "state": "Up"},
            {"sourceIP": "192.0.2.201", "state": "Down", "message": "connection refused"},
        ]}),
    );
    check(
        &accepted(),
        Some(down),
        expect,
        "source IP 192.0.2.201: connection refused",
    );

    let mut gone = at_work();
    replica(
        &mut gone,
        json!({"podName": "pod-0", "publicKey": "", "tunnels": [
            {"sourceIP": "192.0.2.200", "state": "Up"},
            {"sourceIP": "192.0.2.201", "state": "Up"},
        ]}),
    );
    check(
        &accepted(),
        Some(gone),
        expect,
        "none has reported on it yet",
    );
}

#[test]
fn what_the_api_server_refuses_is_quoted() {
    let error = Error::Request {
        verb: "apply",
        object: "Deployment a/b".into(),
        source: kube::Error::Api(Box::new(
            kube::core::Status::failure("exceeded quota", "Forbidden").with_code(403),
        )),
    };
    let expect = [
        "Accepted",
        "SourcesResolved",
        "!ApplyFailed",
        "!ApplyFailed",
        "!ApplyFailed",
    ];
    let says = "failed to apply Deployment a/b: exceeded quota";
    check_conditions(judge(&accepted(), Err(&error)), expect, says);
}

#[test]
fn refused_nodes_are_named_though_it_is_ready() {
    let mut applied = at_work();
    applied.forwarder.status.as_mut().unwrap().replicas[0].refused_node_addresses =
        vec!["172.30.0.11".into()];
    let conditions = judge(&accepted(), Ok(&Some(applied)));
    assert!(
        conditions[4].message.contains("172.30.0.11"),
        "{}",
        conditions[4].message
    );
}

fn status(conditions: Vec<Condition>) -> ExternalServiceStatus {
    ExternalServiceStatus {
        conditions,
        ..ExternalServiceStatus::default()
    }
}

fn check_events(old: &ExternalServiceStatus, new: &ExternalServiceStatus, expect: &[&str]) {
    let reasons: Vec<_> = events(old, new)
        .into_iter()
        .map(|event| event.reason)
        .collect();
    assert_eq!(reasons, expect);
}

#[test]
fn coming_up_is_told_once_and_going_down_with_its_reason() {
    let none = ExternalServiceStatus::default();
    let mut pending = at_work();
    second(&mut pending).status = None;
    let pending = status(judge(&accepted(), Ok(&Some(pending))));
    let ready = status(judge(&accepted(), Ok(&Some(at_work()))));
    check_events(&none, &pending, &[]);
    check_events(&pending, &ready, &["Ready"]);
    check_events(&ready, &ready, &[]);
    check_events(&ready, &pending, &["NoGateway"]);
    check_events(&pending, &pending, &[]);
}

#[test]
fn what_the_user_must_mend_is_told_once() {
    let none = ExternalServiceStatus::default();
    let broken = status(judge(&validated(REFERENCE), Ok(&None)));
    check_events(&none, &broken, &["ServiceNotFound"]);
    check_events(&broken, &broken, &[]);
    let refused = REFERENCE.replace("targetIP: 203.0.113.7", "targetIP: nonsense");
    let refused = status(judge(&validated(&refused), Ok(&None)));
    check_events(&none, &refused, &["InvalidSpec"]);
}

#[test]
fn a_long_message_makes_a_note_of_at_most_a_kilobyte() {
    let mut broken = judge(&validated(REFERENCE), Ok(&None));
    let sources = broken
        .iter_mut()
        .find(|c| c.type_ == "SourcesResolved")
        .unwrap();
    sources.message = "ä".repeat(2000);
    assert!(condition::find(&broken, Type::SourcesResolved).is_some());
    let events = events(&ExternalServiceStatus::default(), &status(broken));
    assert_eq!(events[0].note.as_ref().unwrap().len(), 1024);
}

#[test]
fn a_target_that_this_cluster_has_too_is_accepted_and_named() {
    let target = "203.0.113.7";
    let node = format!(
        "\n---\nkind: Node\nmetadata: {{name: node1}}\nstatus: {{addresses: [{{type: InternalIP, \
         address: {target}}}]}}\n"
    );
    let service = format!(
        "\n---\nkind: Service\nmetadata: {{namespace: ns3, name: db}}\nspec: {{clusterIPs: \
         [{target}]}}\n"
    );
    for (what, says) in [
        (node, "is also an address of node node1"),
        (service, "is also the cluster IP of Service ns3/db"),
    ] {
        let validated = validated(&format!("{REFERENCE}{SERVICES}{what}"));
        let conditions = judge(&validated, Ok(&None));
        let accepted = condition::find(&conditions, Type::Accepted).unwrap();
        assert_eq!(accepted.status, "True");
        let message = &accepted.message;
        assert!(
            message.contains(says) && message.contains(target),
            "{message}"
        );
    }
}
