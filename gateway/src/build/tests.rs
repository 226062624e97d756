use extconn_api::forwarder::ReplicaStatus;
use extconn_api::gateway::{Destination, IngressPort};
use extconn_api::{ForwarderSpec, ForwarderStatus, GatewaySpec, NamespacedName};
use extconn_dataplane::identity::PrivateKey;

use super::*;

const HOST: &str = "
sshEndpoint: 192.0.2.1:2022
sourceIPs: [{ip: 192.0.2.10}, {ip: 192.0.2.11}]
";

fn host(more: &str) -> HostFile {
    format!("{HOST}{more}").parse().unwrap()
}

fn gateway(name: &str, forwarders: Vec<ForwarderGrant>) -> Gateway {
    let mut gateway = Gateway::new(
        name,
        GatewaySpec {
            source_ip: name.into(),
            forwarders,
        },
    );
    gateway.metadata.generation = Some(4);
    gateway
}

fn grant(name: &str, egress: &[(&str, u16)], ingress: &[(u16, &str)]) -> ForwarderGrant {
    ForwarderGrant {
        name: name.into(),
        external_service_namespace: Some("shop".into()),
        egress: egress
            .iter()
            .map(|&(ip, port)| Destination {
                protocol: Protocol::Tcp,
                ip: ip.into(),
                port,
            })
            .collect(),
        ingress: ingress
            .iter()
            .map(|&(port, peer)| IngressPort {
                protocol: Protocol::Tcp,
                port,
                peer: peer.into(),
            })
            .collect(),
    }
}

fn forwarder(name: &str, keys: &[&str]) -> Forwarder {
    let spec = ForwarderSpec {
        external_service: NamespacedName {
            namespace: "shop".into(),
            name: name.into(),
        },
        sources: vec![],
        egress: vec![],
        ingress: vec![],
        gateways: vec![],
    };
    let replica = |(number, key): (usize, &&str)| ReplicaStatus {
        pod_name: format!("{name}-{number}"),
        public_key: (*key).to_owned(),
        ..ReplicaStatus::default()
    };
    let mut forwarder = Forwarder::new(name, spec);
    forwarder.status = Some(ForwarderStatus {
        replicas: keys.iter().enumerate().map(replica).collect(),
    });
    forwarder
}

fn plan_of(gateways: &[Gateway], forwarders: &[Forwarder], host: &HostFile) -> Plan {
    let own = BTreeSet::from(["192.0.2.1".parse().unwrap()]);
    plan(gateways, forwarders, host, &own)
}

fn egress(plan: &Plan) -> Vec<String> {
    let grants = plan.config.egress.iter();
    grants
        .flat_map(|(name, grants)| {
            let line = move |g: &EgressGrant| format!("{name} {} {}", g.source_ip, g.destination);
            grants.iter().map(line)
        })
        .collect()
}

fn ingress(plan: &Plan) -> Vec<String> {
    let grants = plan.config.ingress.iter();
    grants
        .map(|(grant, name)| format!("{} from {} to {name}", grant.listen, grant.peer))
        .collect()
}

fn refusals(plan: &Plan) -> Vec<String> {
    let claims = plan.claims.values();
    claims
        .flat_map(|c| &c.refusals)
        .map(|r| match &r.refusal {
            Refusal::Invalid(sentence) => format!("invalid: {sentence}"),
            Refusal::NotAllowed(sentence) => format!("not allowed: {sentence}"),
        })
        .collect()
}

#[test]
fn a_forwarder_may_do_what_its_grant_says() {
    let plan = plan_of(
        &[gateway(
            "192.0.2.10",
            vec![grant(
                "bank",
                &[("203.0.113.7", 5432)],
                &[(80, "203.0.113.7")],
            )],
        )],
        &[],
        &host(""),
    );
    assert_eq!(egress(&plan), ["bank 192.0.2.10 203.0.113.7:5432"]);
    assert_eq!(ingress(&plan), ["192.0.2.10:80 from 203.0.113.7 to bank"]);
    let claim = &plan.claims["192.0.2.10"];
    assert_eq!((claim.generation, claim.refusals.len()), (Some(4), 0));
}

#[test]
fn source_ips_that_the_host_does_not_list_are_left_to_others() {
    let plan = plan_of(
        &[
            gateway(
                "192.0.2.99",
                vec![grant("bank", &[("203.0.113.7", 5432)], &[])],
            ),
            gateway("not-an-address", vec![]),
        ],
        &[forwarder(
            "bank",
            &[&PrivateKey::generate().public_key().to_string()],
        )],
        &host(""),
    );
    assert_eq!(plan, Plan::default());
}

#[test]
fn an_object_that_is_not_named_after_its_source_ip_gets_nothing() {
    let mut odd = gateway(
        "192.0.2.10",
        vec![grant("bank", &[("203.0.113.7", 5432)], &[])],
    );
    odd.spec.source_ip = "192.0.2.11".into();
    let plan = plan_of(&[odd], &[], &host(""));
    assert_eq!(egress(&plan), [""; 0]);
    assert_eq!(
        refusals(&plan),
        ["invalid: spec.sourceIP \"192.0.2.11\" is not the object's name"]
    );
}

#[test]
fn what_is_never_a_target_is_refused() {
    for (ip, sentence) in [
        (
            "127.0.0.1",
            "no address of a single host that others can reach",
        ),
        (
            "169.254.169.254",
            "no address of a single host that others can reach",
        ),
        (
            "224.0.0.1",
            "no address of a single host that others can reach",
        ),
        (
            "0.0.0.0",
            "no address of a single host that others can reach",
        ),
        (
            "0.1.2.3",
            "no address of a single host that others can reach",
        ),
        (
            "255.255.255.255",
            "no address of a single host that others can reach",
        ),
        (
            "240.0.0.1",
            "no address of a single host that others can reach",
        ),
        ("192.0.2.1", "an address of the gateway host itself"),
        ("192.0.2.11", "an address of the gateway host itself"),
    ] {
        let grants = vec![grant("bank", &[(ip, 1)], &[(80, ip)])];
        let plan = plan_of(&[gateway("192.0.2.10", grants)], &[], &host(""));
        assert_eq!(
            refusals(&plan),
            [
                format!("not allowed: egress of bank: {ip} is {sentence}"),
                format!("not allowed: ingress of bank: {ip} is {sentence}"),
            ]
        );
        assert!(plan.config.egress.is_empty() && plan.config.ingress.is_empty());
    }
}

#[test]
fn what_is_no_address_is_refused_however_it_is_spelled() {
    for ip in [
        "",
        "256.1.1.1",
        "2130706433",
        "0x7f.1",
        "010.0.0.1",
        "::ffff:127.0.0.1",
        "bank.example",
    ] {
        let grants = vec![grant("bank", &[(ip, 1)], &[])];
        let plan = plan_of(&[gateway("192.0.2.10", grants)], &[], &host(""));
        let sentence = format!("invalid: egress of bank: {ip:?} is no IPv4 address");
        assert_eq!(refusals(&plan), [sentence]);
    }
}

#[test]
fn the_hosts_target_networks_bound_both_directions() {
    let grants = vec![grant(
        "bank",
        &[("203.0.113.7", 1), ("198.51.100.7", 1)],
        &[(80, "203.0.113.7"), (81, "198.51.100.7")],
    )];
    let plan = plan_of(
        &[gateway("192.0.2.10", grants)],
        &[],
        &host("targetNetworks: [203.0.113.0/24]"),
    );
    assert_eq!(egress(&plan), ["bank 192.0.2.10 203.0.113.7:1"]);
    assert_eq!(ingress(&plan), ["192.0.2.10:80 from 203.0.113.7 to bank"]);
    let why = "198.51.100.7 is in none of the targetNetworks of the gateway's host file";
    assert_eq!(
        refusals(&plan),
        [
            format!("not allowed: egress of bank: {why}"),
            format!("not allowed: ingress of bank: {why}")
        ]
    );
}

#[test]
fn one_port_for_one_peer_belongs_to_one_forwarder() {
    let grants = vec![
        grant("bank", &[], &[(80, "203.0.113.7"), (80, "203.0.113.7")]),
        grant("crm", &[], &[(80, "203.0.113.7"), (80, "203.0.113.8")]),
    ];
    let plan = plan_of(&[gateway("192.0.2.10", grants)], &[], &host(""));
    assert_eq!(
        ingress(&plan),
        [
            "192.0.2.10:80 from 203.0.113.7 to bank",
            "192.0.2.10:80 from 203.0.113.8 to crm"
        ]
    );
    assert_eq!(
        refusals(&plan),
        ["invalid: ingress of crm: port 80 for 203.0.113.7 is bank's already"]
    );
}

#[test]
fn every_replica_of_a_granted_forwarder_is_admitted_and_no_other() {
    let keys: Vec<_> = (0..3)
        .map(|_| PrivateKey::generate().public_key().to_string())
        .collect();
    let plan = plan_of(
        &[gateway("192.0.2.10", vec![grant("bank", &[], &[])])],
        &[
            forwarder("bank", &[&keys[0], &keys[1]]),
            forwarder("stranger", &[&keys[2]]),
        ],
        &host(""),
    );
    let admitted: BTreeMap<_, _> = keys[..2]
        .iter()
        .map(|k| (k.parse().unwrap(), "bank".to_owned()))
        .collect();
    assert_eq!(plan.config.keys, admitted);
}

#[test]
fn a_key_that_two_forwarders_claim_is_nobodys() {
    let key = PrivateKey::generate().public_key().to_string();
    let plan = plan_of(
        &[gateway(
            "192.0.2.10",
            vec![grant("bank", &[], &[]), grant("thief", &[], &[])],
        )],
        &[forwarder("bank", &[&key]), forwarder("thief", &[&key])],
        &host(""),
    );
    assert!(plan.config.keys.is_empty());
    assert_eq!(
        plan.problems,
        [format!(
            "key {key} is not admitted: forwarders bank and thief claim it"
        )]
    );
}

#[test]
fn a_replica_without_a_usable_key_is_named() {
    let plan = plan_of(
        &[gateway("192.0.2.10", vec![grant("bank", &[], &[])])],
        &[forwarder("bank", &["ssh-rsa AAAA"])],
        &host(""),
    );
    assert!(plan.problems[0].starts_with("replica bank-0 of forwarder bank is not admitted"));
}

#[test]
fn a_reserved_source_ip_is_for_the_forwarders_of_its_namespaces() {
    let host: HostFile = "
sshEndpoint: 192.0.2.1:2022
sourceIPs: [{ip: 192.0.2.10, namespaces: [shop, crm]}, {ip: 192.0.2.11}]
"
    .parse()
    .unwrap();
    let of = |namespace: Option<&str>, name| ForwarderGrant {
        external_service_namespace: namespace.map(str::to_owned),
        ..grant(name, &[("203.0.113.7", 1)], &[(80, "203.0.113.7")])
    };
    let grants = || {
        vec![
            of(Some("evil"), "eve"),
            of(None, "old"),
            of(Some("(none)"), "odd"),
            of(Some("shop"), "bank"),
        ]
    };
    let keys: Vec<_> = (0..2)
        .map(|_| PrivateKey::generate().public_key().to_string())
        .collect();
    let forwarders = [
        forwarder("eve", &[&keys[0]]),
        forwarder("bank", &[&keys[1]]),
    ];
    let plan = plan_of(&[gateway("192.0.2.10", grants())], &forwarders, &host);
    assert_eq!(egress(&plan), ["bank 192.0.2.10 203.0.113.7:1"]);
    assert_eq!(ingress(&plan), ["192.0.2.10:80 from 203.0.113.7 to bank"]);
    let admitted = BTreeMap::from([(keys[1].parse().unwrap(), "bank".to_owned())]);
    assert_eq!(plan.config.keys, admitted, "who gets nothing is not let in");
    let why = "source IP 192.0.2.10 is reserved for ExternalServices of the namespaces crm, shop";
    assert_eq!(
        refusals(&plan),
        [
            format!("not allowed: all of eve: {why}, not evil"),
            format!("not allowed: all of old: {why}, not (none)"),
            format!("not allowed: all of odd: {why}, not (none)"),
        ]
    );
    let claim = &plan.claims["192.0.2.10"];
    assert_eq!(
        claim.reserved_for,
        Some(vec!["crm".to_owned(), "shop".to_owned()])
    );
    // Where nothing is reserved, the namespace does not matter.
    let open = gateway("192.0.2.11", vec![of(None, "old")]);
    let plan = plan_of(&[open], &forwarders, &host);
    assert_eq!(refusals(&plan), [""; 0]);
    assert_eq!(plan.claims["192.0.2.11"].reserved_for, None);
}
