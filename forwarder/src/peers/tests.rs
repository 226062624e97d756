use extconn_api::NamespacedName;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::EndpointConditions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

const WEB_IP: &str = "192.0.2.10";
const JOBS_IP: &str = "192.0.2.11";

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// Services shop/web and shop/jobs, in this order.
fn sources() -> Vec<Source> {
    [("web", WEB_IP), ("jobs", JOBS_IP)]
        .map(|(name, source_ip)| Source {
            service: NamespacedName {
                namespace: "shop".into(),
                name: name.into(),
            },
            source_ip: ip(source_ip),
        })
        .into()
}

fn slice(service: &str, endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice {
        address_type: "IPv4".into(),
        metadata: ObjectMeta {
            namespace: Some("shop".into()),
            labels: Some(BTreeMap::from([(SERVICE_NAME.into(), service.into())])),
            ..ObjectMeta::default()
        },
        endpoints,
        ports: None,
    }
}

/// An endpoint of the pod `shop/<uid>`, ready.
fn endpoint(address: &str, uid: &str) -> Endpoint {
    Endpoint {
        addresses: vec![address.into()],
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: Some("shop".into()),
            name: Some(uid.into()),
            uid: Some(uid.into()),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    }
}

fn in_state(mut endpoint: Endpoint, ready: bool, terminating: bool) -> Endpoint {
    endpoint.conditions = Some(EndpointConditions {
        ready: Some(ready),
        serving: Some(ready),
        terminating: Some(terminating),
    });
    endpoint
}

fn see(slices: &[EndpointSlice], found: &BTreeMap<Ipv4Addr, Found>) -> Sighting {
    let nodes = HashSet::from([ip("172.30.0.11")]);
    sighting(slices, found, &sources(), &nodes)
}

/// What is seen, as `address uid source IP` lines in order of address.
fn check(slices: &[EndpointSlice], expect: &[&str]) -> Sighting {
    let sighting = see(slices, &BTreeMap::new());
    let mut lines: Vec<_> = sighting
        .peers
        .pods
        .iter()
        .map(|(address, pod)| format!("{address} {} {}", pod.uid, pod.source_ip))
        .collect();
    lines.sort();
    assert_eq!(lines, expect);
    sighting
}

#[test]
fn each_pod_takes_the_source_ip_of_its_service() {
    check(
        &[
            slice("web", vec![endpoint("10.244.1.5", "a")]),
            slice("jobs", vec![endpoint("10.244.2.5", "b")]),
        ],
        &["10.244.1.5 a 192.0.2.10", "10.244.2.5 b 192.0.2.11"],
    );
}

#[test]
fn pods_of_other_services_and_namespaces_are_nobody() {
    let mut elsewhere = slice("web", vec![endpoint("10.244.1.6", "c")]);
    elsewhere.metadata.namespace = Some("evil".into());
    let mut unlabelled = slice("web", vec![endpoint("10.244.1.7", "d")]);
    unlabelled.metadata.labels = None;
    check(
        &[
            slice("other", vec![endpoint("10.244.1.5", "a")]),
            elsewhere,
            unlabelled,
        ],
        &[],
    );
}

#[test]
fn a_pod_behind_two_services_takes_the_first_in_the_order_of_the_object() {
    check(
        &[
            slice("jobs", vec![endpoint("10.244.1.5", "a")]),
            slice("web", vec![endpoint("10.244.1.5", "a")]),
        ],
        &["10.244.1.5 a 192.0.2.10"],
    );
}

#[test]
fn pods_that_are_not_ready_or_terminating_count() {
    check(
        &[slice(
            "web",
            vec![
                in_state(endpoint("10.244.1.5", "starting"), false, false),
                in_state(endpoint("10.244.1.6", "stopping"), true, true),
                in_state(endpoint("10.244.1.7", "stopped"), false, true),
            ],
        )],
        &[
            "10.244.1.5 starting 192.0.2.10",
            "10.244.1.6 stopping 192.0.2.10",
            "10.244.1.7 stopped 192.0.2.10",
        ],
    );
}

#[test]
fn an_address_that_a_terminating_pod_left_belongs_to_the_next_pod() {
    let old = in_state(endpoint("10.244.1.5", "old"), false, true);
    check(
        &[
            slice("web", vec![old]),
            slice("jobs", vec![endpoint("10.244.1.5", "next")]),
        ],
        &["10.244.1.5 next 192.0.2.11"],
    );
}

#[test]
fn an_address_that_two_live_pods_claim_is_nobodys_and_named() {
    let sighting = check(
        &[
            slice("web", vec![endpoint("10.244.1.5", "a")]),
            slice("jobs", vec![endpoint("10.244.1.5", "b")]),
        ],
        &[],
    );
    let pods = BTreeSet::from(["shop/a".to_owned(), "shop/b".to_owned()]);
    assert_eq!(
        sighting.disputed,
        BTreeMap::from([(ip("10.244.1.5"), pods)])
    );
}

#[test]
fn an_address_that_two_terminating_pods_claim_is_nobodys() {
    let stopping = |uid| in_state(endpoint("10.244.1.5", uid), false, true);
    let sighting = check(&[slice("web", vec![stopping("a"), stopping("b")])], &[]);
    assert_eq!(sighting.disputed.len(), 1);
}

#[test]
fn one_pod_in_two_slices_of_a_service_is_no_dispute() {
    check(
        &[
            slice("web", vec![endpoint("10.244.1.5", "a")]),
            slice("web", vec![endpoint("10.244.1.5", "a")]),
        ],
        &["10.244.1.5 a 192.0.2.10"],
    );
}

#[test]
fn a_pod_in_the_host_network_is_refused_with_its_node() {
    let sighting = check(
        &[slice("web", vec![endpoint("172.30.0.11", "host-network")])],
        &[],
    );
    assert!(sighting.peers.nodes.contains(&ip("172.30.0.11")));
}

#[test]
fn endpoints_that_are_no_pods_of_the_namespace_are_nobody() {
    let without_target = Endpoint {
        target_ref: None,
        ..endpoint("10.244.1.5", "a")
    };
    let mut node = endpoint("10.244.1.6", "b");
    node.target_ref.as_mut().unwrap().kind = Some("Node".into());
    let mut foreign = endpoint("10.244.1.7", "c");
    foreign.target_ref.as_mut().unwrap().namespace = Some("bank".into());
    let mut unborn = endpoint("10.244.1.8", "d");
    unborn.target_ref.as_mut().unwrap().uid = None;
    check(
        &[slice("web", vec![without_target, node, foreign, unborn])],
        &[],
    );
}

#[test]
fn only_ipv4_addresses_count() {
    let mut v6 = slice("web", vec![endpoint("2001:db8::5", "a")]);
    v6.address_type = "IPv6".into();
    let strange = slice("web", vec![endpoint("pod.example", "b")]);
    check(&[v6, strange], &[]);
}

/// A pod `shop/a` at an address, found behind a Service.
fn found(address: &str, namespace: &str, service: &str) -> BTreeMap<Ipv4Addr, Found> {
    let found = Found {
        pod: NamespacedName {
            namespace: "shop".into(),
            name: "a".into(),
        },
        uid: "a".into(),
        service: NamespacedName {
            namespace: namespace.into(),
            name: service.into(),
        },
        made: Instant::now(),
        asked: Instant::now(),
    };
    BTreeMap::from([(ip(address), found)])
}

#[test]
fn a_pod_that_was_found_is_looked_up_until_it_is_listed() {
    let found = found("10.244.1.5", "shop", "jobs");
    let peers = see(&[], &found).peers;
    assert!(peers.pods.is_empty());
    let looked_up = &peers.looked_up[&ip("10.244.1.5")];
    assert_eq!(looked_up.pod.source_ip, ip(JOBS_IP));
    assert_eq!(looked_up.asked, found[&ip("10.244.1.5")].asked);

    let stopping = in_state(endpoint("10.244.1.5", "b"), false, true);
    for listed in [endpoint("10.244.1.5", "a"), stopping] {
        let peers = see(&[slice("web", vec![listed])], &found).peers;
        assert!(peers.looked_up.is_empty());
        assert_eq!(peers.pods[&ip("10.244.1.5")].source_ip, ip(WEB_IP));
    }
    let disputed = ["b", "c"].map(|uid| endpoint("10.244.1.5", uid));
    let peers = see(&[slice("web", disputed.into())], &found).peers;
    assert!(peers.looked_up.is_empty() && peers.pods.is_empty());
}

#[test]
fn what_was_found_is_nobody_without_its_source_and_at_a_nodes_address() {
    for (address, namespace, service) in [
        ("10.244.1.5", "shop", "other"),
        ("10.244.1.5", "evil", "web"),
        ("172.30.0.11", "shop", "web"),
    ] {
        let peers = see(&[], &found(address, namespace, service)).peers;
        assert!(
            peers.looked_up.is_empty(),
            "{address} {namespace}/{service}"
        );
    }
}
