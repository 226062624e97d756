//! More than one gateway host, one of somebody else's, and a source IP that goes.

use extconn_lab::gateway;
use extconn_lab::topology::{EXTERNAL, GATEWAY2, Host, SOURCE_IP2, SOURCE_IPS};
use extconn_lab::walkthrough::{Scenario, story, workload};

use crate::stage::{Change, FAILED, Told, init, workstation};

/// `init` of the second gateway host.
fn init2(more: &[&str]) -> Told {
    let (gateway, ip) = (
        format!("--gateway=root@{GATEWAY2}"),
        format!("--source-ip={SOURCE_IP2}"),
    );
    init(&[&[gateway.as_str(), &ip], more].concat())
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_second_gateway_host_is_one_more_init_and_goes_alone() {
    let before = gateway::fingerprint(Host::Gateway2).unwrap();
    let told = init2(&[]).succeeds();
    assert!(told.stderr.contains("gateway2"), "{told:#?}");
    init2(&[]).changes_nothing();
    init(&[]).changes_nothing();

    let scenario = both_gateways();
    workload::create(&scenario).unwrap();
    workload::apply(&[scenario.external_service()]).unwrap();
    story::await_ready(&scenario).unwrap();
    let login = format!("root@{EXTERNAL}");
    let proven = workstation(&[
        "kubectl",
        "extconn",
        "test",
        &scenario.name,
        "-n",
        &scenario.namespace,
        "--echo",
        "/",
        "--target-ssh",
        &login,
    ])
    .succeeds();
    for ip in [SOURCE_IPS[0], SOURCE_IP2] {
        let seen = format!("the target saw {ip}");
        assert!(proven.stdout.contains(&seen), "{seen}: {proven:#?}");
        let reached = format!("the target connected to {ip}:80");
        assert!(proven.stdout.contains(&reached), "{reached}: {proven:#?}");
    }
    workload::delete(&scenario).unwrap();

    let host = format!("root@{GATEWAY2}");
    let gone = [
        "kubectl",
        "extconn",
        "uninstall",
        "--yes",
        "--gateway",
        &host,
    ];
    workstation(&gone).succeeds();
    assert_eq!(gateway::fingerprint(Host::Gateway2).unwrap(), before);
    init(&[]).changes_nothing();
}

/// Two sources that leave by different gateways.
fn both_gateways() -> Scenario {
    let mut scenario = Scenario::temporary("two-gateways");
    scenario.sources[1].source_ip = SOURCE_IP2;
    scenario
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_that_serves_another_cluster_is_left_to_it() {
    // What that cluster's `init` would have written, as far as it tells clusters apart.
    let kubeconfig = "clusters: [{name: extconn, cluster: {server: https://192.0.2.9:6443, certificate-authority-data: eA==}}]";
    let make = format!("mkdir /etc/extconn && echo '{kubeconfig}' > /etc/extconn/kubeconfig");
    let foreign = Change::of(Host::Gateway2, &make, "rm -r /etc/extconn");
    let before = gateway::fingerprint(Host::Gateway2).unwrap();
    init2(&[]).fails(
        FAILED,
        "is the gateway of another cluster, https://192.0.2.9:6443",
        "--take-over",
    );
    assert_eq!(gateway::fingerprint(Host::Gateway2).unwrap(), before);
    drop(foreign);
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_source_ip_that_goes_names_who_uses_it() {
    let scenario = Scenario::temporary("losing");
    workload::create(&scenario).unwrap();
    workload::apply(&[scenario.external_service()]).unwrap();
    story::await_ready(&scenario).unwrap();
    let one = format!("--source-ip={}", SOURCE_IPS[0]);
    let told = init(&[&one]).succeeds();
    let loss = format!(
        "gateway will no longer offer {}, which ExternalService {}/losing uses",
        SOURCE_IPS[1], scenario.namespace
    );
    assert!(told.stderr.contains(&loss), "{loss}: {told:#?}");
    init(&[]).succeeds();
    story::await_ready(&scenario).unwrap();
    workload::delete(&scenario).unwrap();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_source_ip_is_reserved_and_opened_again_by_a_flag() {
    let ip = SOURCE_IPS[1];
    let file = || crate::stage::shell(Host::Gateway, "cat /etc/extconn/gateway.yaml");
    init(&[&format!("--reserve={ip}=bank,on")]).succeeds();
    let reserved = file();
    assert!(reserved.contains("bank"), "{reserved}");
    init(&[]).changes_nothing();
    init(&[&format!("--reserve={ip}=")]).succeeds();
    assert!(!file().contains("bank"), "{}", file());
    init(&["--reserve=192.168.122.9=bank"]).fails(
        crate::stage::USAGE,
        "--reserve 192.168.122.9: it is none of the source IPs",
        "--source-ip 192.168.122.9",
    );
}
