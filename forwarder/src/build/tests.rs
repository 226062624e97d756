use extconn_api::Protocol;
use extconn_api::forwarder::ForwarderSource;
use extconn_dataplane::identity::PrivateKey;

use super::*;

const HTTP_PORT: u16 = 8081;

fn spec() -> ForwarderSpec {
    ForwarderSpec {
        external_service: named("shop", "bank"),
        sources: vec![source("web", "192.0.2.10"), source("jobs", "192.0.2.11")],
        egress: vec![egress_entry(5432, "203.0.113.7", 5433)],
        ingress: vec![ingress_entry("192.0.2.10", 80, "10.96.0.20")],
        gateways: vec![endpoint("192.0.2.10", "192.0.2.1:2022")],
    }
}

fn named(namespace: &str, name: &str) -> NamespacedName {
    NamespacedName {
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn source(service: &str, source_ip: &str) -> ForwarderSource {
    ForwarderSource {
        service: named("shop", service),
        source_ip: source_ip.into(),
    }
}

fn egress_entry(target_port: u16, ip: &str, port: u16) -> EgressEntry {
    EgressEntry {
        protocol: Protocol::Tcp,
        target_port,
        destination_ip: ip.into(),
        destination_port: port,
    }
}

fn ingress_entry(source_ip: &str, port: u16, cluster_ip: &str) -> IngressEntry {
    IngressEntry {
        source_ip: source_ip.into(),
        protocol: Protocol::Tcp,
        port,
        cluster_ip: cluster_ip.into(),
    }
}

fn endpoint(source_ip: &str, ssh_endpoint: &str) -> GatewayEndpoint {
    GatewayEndpoint {
        source_ip: source_ip.into(),
        ssh_endpoint: ssh_endpoint.into(),
        host_key: PrivateKey::generate().public_key().to_string(),
    }
}

#[test]
fn pods_dial_target_port_and_reach_port() {
    let plan = plan(&spec(), HTTP_PORT);
    assert_eq!(
        plan.config.egress.iter().collect::<Vec<_>>(),
        [(&5432, &"203.0.113.7:5433".parse().unwrap())]
    );
    assert_eq!(plan.problems, [""; 0]);
}

#[test]
fn the_external_server_reaches_the_same_port_of_the_cluster_ip() {
    let plan = plan(&spec(), HTTP_PORT);
    assert_eq!(
        plan.config.ingress.iter().collect::<Vec<_>>(),
        [(
            &"192.0.2.10:80".parse().unwrap(),
            &"10.96.0.20:80".parse().unwrap()
        )]
    );
}

#[test]
fn sources_keep_the_order_of_the_object() {
    let plan = plan(&spec(), HTTP_PORT);
    let names: Vec<_> = plan
        .sources
        .iter()
        .map(|s| s.service.name.as_str())
        .collect();
    assert_eq!(names, ["web", "jobs"]);
}

#[test]
fn a_source_without_gateway_is_kept_so_that_its_pods_are_reset_at_once() {
    let plan = plan(&spec(), HTTP_PORT);
    assert_eq!(plan.sources.len(), 2);
    assert_eq!(plan.config.gateways.len(), 1);
}

#[test]
fn what_makes_no_sense_is_left_out_with_a_sentence() {
    let check = |change: &dyn Fn(&mut ForwarderSpec), sentence: &str| {
        let mut changed = spec();
        change(&mut changed);
        let plan = plan(&changed, HTTP_PORT);
        assert_eq!(plan.problems, [sentence]);
    };
    check(
        &|s| s.sources[1].source_ip = "256.1.1.1".into(),
        "source Service shop/jobs is left out: source IP \"256.1.1.1\" is no IPv4 address",
    );
    check(
        &|s| s.egress.push(egress_entry(0, "203.0.113.7", 1)),
        "egress port 0 is left out: targetPort is 0",
    );
    check(
        &|s| s.egress.push(egress_entry(9, "203.0.113.7", 0)),
        "egress port 9 is left out: destinationPort is 0",
    );
    check(
        &|s| s.egress.push(egress_entry(HTTP_PORT, "203.0.113.7", 1)),
        "egress port 8081 is left out: the forwarder's own health and metrics port",
    );
    check(
        &|s| s.egress.push(egress_entry(9, "2001:db8::7", 1)),
        "egress port 9 is left out: destinationIP \"2001:db8::7\" is no IPv4 address",
    );
    check(
        &|s| s.egress.push(egress_entry(9, "127.0.0.1", 1)),
        "egress port 9 is left out: destinationIP 127.0.0.1 is the address of no single host",
    );
    check(
        &|s| s.egress.push(egress_entry(5432, "203.0.113.8", 1)),
        "egress port 5432 to 203.0.113.8:1 is left out: it leads to 203.0.113.7:5433 already",
    );
    check(
        &|s| s.ingress.push(ingress_entry("192.0.2.10", 81, "None")),
        "ingress 192.0.2.10:81 is left out: clusterIP \"None\" is no IPv4 address",
    );
    check(
        &|s| {
            s.ingress
                .push(ingress_entry("192.0.2.10", 80, "10.96.0.21"))
        },
        "ingress 192.0.2.10:80 to 10.96.0.21:80 is left out: it leads to 10.96.0.20:80 already",
    );
    check(
        &|s| s.gateways.push(endpoint("192.0.2.11", "gw.example:2022")),
        "gateway of source IP 192.0.2.11 is left out: sshEndpoint \"gw.example:2022\" is no IPv4 \
         address and port such as 192.0.2.1:2022",
    );
    check(
        &|s| s.gateways.push(endpoint("192.0.2.10", "192.0.2.2:2022")),
        "gateway of source IP 192.0.2.10 at 192.0.2.2:2022 is left out: it is at 192.0.2.1:2022 \
         already",
    );
}

#[test]
fn a_gateway_without_its_host_key_is_not_trusted() {
    let mut spec = spec();
    spec.gateways[0].host_key = "ssh-rsa AAAA".into();
    let plan = plan(&spec, HTTP_PORT);
    assert!(plan.config.gateways.is_empty());
    assert!(
        plan.problems[0].contains("\"ssh-rsa AAAA\""),
        "{:?}",
        plan.problems
    );
}
