//! Ways of `uninstall` that are not straight: what is left of each is finished by the next run.

use std::time::{Duration, Instant};

use extconn_lab::gateway;
use extconn_lab::terminal::{Key, Terminal};
use extconn_lab::topology::{GATEWAY2, Host};
use extconn_lab::walkthrough::{Scenario, ask, story, workload};

use crate::stage::{
    COULD_NOT_RUN, Change, FAILED, INTERRUPTED, Told, USAGE, image_tags, init, shell, workstation,
};

const NOWHERE: &str = "--set=operator.image.tag=nowhere";

fn uninstall(flags: &[&str]) -> Told {
    workstation(&[&["kubectl", "extconn", "uninstall", "--yes"], flags].concat())
}

/// Neither helm nor the cluster has anything of extconn, but for the CRDs.
fn assert_gone() {
    let release = workstation(&["helm", "status", "extconn"]);
    assert!(
        release.stderr.contains("release: not found"),
        "{release:#?}"
    );
    let namespace = ask::cluster(&["get", "namespace", "external-services"], "").unwrap();
    assert!(!namespace.success, "{namespace:#?}");
    let told = uninstall(&[]).succeeds();
    let left = "Only the CustomResourceDefinitions are left";
    assert!(told.stdout.contains(left), "{told:#?}");
}

/// Installs what was there before.
fn install_again(tags: &[String; 2]) {
    init(&[&tags[0], &tags[1]]).succeeds();
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn an_image_that_cannot_be_pulled_does_not_keep_extconn_in_the_cluster() {
    let tags = image_tags();
    init(&[NOWHERE]).fails(FAILED, "ImagePull", "--registry");
    uninstall(&[]).succeeds();
    assert_gone();
    install_again(&tags);
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_clean_up_that_is_needed_and_cannot_run_leaves_all_as_it_was() {
    let tags = image_tags();
    let scenario = Scenario::temporary("held");
    workload::create(&scenario).unwrap();
    workload::apply(&[scenario.external_service()]).unwrap();
    story::await_ready(&scenario).unwrap();
    init(&[NOWHERE]).fails(FAILED, "ImagePull", "--registry");
    let begin = Instant::now();
    uninstall(&["--keep-gateways"]).fails(
        FAILED,
        "what the operator has made cannot be cleaned up: pod extconn-cleanup-",
        "CONNECTOR_NAMESPACE=external-services extconn-operator cleanup",
    );
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(120), "it took {took:?}");
    init(&[&tags[0]]).succeeds();
    init(&[]).changes_nothing();
    story::await_ready(&scenario).unwrap();
    workload::delete(&scenario).unwrap();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn ctrl_c_in_each_step_of_uninstall_leaves_what_the_next_run_finishes() {
    let tags = image_tags();
    let line = "kubectl extconn uninstall --yes";
    let interrupt = |mut terminal: Terminal| {
        terminal.press(Key::CtrlC).unwrap();
        let ended = terminal.end().unwrap();
        assert_eq!(ended.status, INTERRUPTED, "{}", ended.screen);
    };

    let mut on_the_host = Terminal::run(120, line).unwrap();
    on_the_host.wait_for("removing the gateway from").unwrap();
    interrupt(on_the_host);

    let mut in_the_clean_up = Terminal::run(120, line).unwrap();
    // The plan, then the step.
    for _ in 0..2 {
        in_the_clean_up
            .wait_for("remove operator and forwarders")
            .unwrap();
    }
    interrupt(in_the_clean_up);

    let mut terminal = Terminal::run(120, line).unwrap();
    let phase = [
        "get",
        "namespace",
        "external-services",
        "--output=jsonpath={.status.phase}",
    ];
    let deadline = Instant::now() + Duration::from_secs(180);
    while ask::cluster(&phase, "").unwrap().stdout == "Active" {
        assert!(Instant::now() < deadline, "the namespace stays");
    }
    // It may be faster than the key.
    let _ = terminal.press(Key::CtrlC);
    let ended = terminal.end().unwrap();
    assert!([0, INTERRUPTED].contains(&ended.status), "{}", ended.screen);

    uninstall(&[]).succeeds();
    assert_gone();
    install_again(&tags);
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn whoever_thinks_better_of_an_interrupted_uninstallation_runs_init() {
    let line = "kubectl extconn uninstall --yes --keep-gateways & p=$!; \
        until helm status extconn | grep -q 'STATUS: uninstalling'; do kill -0 $p || exit 1; done; \
        pkill -INT -f '[k]ubectl-extconn uninstall'; wait $p; echo ended $?";
    let said = shell(Host::Workstation, line);
    assert!(said.contains("ended 130"), "{said}");
    let told = init(&[]).succeeds();
    let plan = "clear away the helm release that was left uninstalling";
    assert!(told.stderr.contains(plan), "{told:#?}");
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_host_that_is_gone_is_forgotten() {
    write_down("gone", "root@192.168.122.150");
    uninstall(&["--gateway=gone"]).fails(
        COULD_NOT_RUN,
        "failed to log in on root@192.168.122.150",
        "forget it with --forget",
    );
    uninstall(&["--gateway=gone", "--forget"]).succeeds();
    uninstall(&["--gateway=gone", "--forget"]).fails(
        USAGE,
        "no gateway host gone is written down",
        "name one of these: root@",
    );
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_gateway_of_another_cluster_is_not_removed() {
    let kubeconfig = "clusters: [{name: extconn, cluster: {server: https://192.0.2.9:6443, certificate-authority-data: eA==}}]";
    let make = format!("mkdir /etc/extconn && echo '{kubeconfig}' > /etc/extconn/kubeconfig");
    let _foreign = Change::of(Host::Gateway2, &make, "rm -r /etc/extconn");
    let before = gateway::fingerprint(Host::Gateway2).unwrap();
    write_down("taken", &format!("root@{GATEWAY2}"));
    uninstall(&["--gateway=taken"]).fails(
        FAILED,
        "is the gateway of another cluster, https://192.0.2.9:6443",
        "--forget` makes this cluster forget the host",
    );
    uninstall(&["--gateway=taken", "--forget"]).succeeds();
    assert_eq!(gateway::fingerprint(Host::Gateway2).unwrap(), before);
}

/// What `init` writes down of a host.
fn write_down(name: &str, ssh: &str) {
    let note = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": format!("extconn-gateway-{name}"), "namespace": "external-services",
            "labels": {"app.kubernetes.io/name": "extconn", "app.kubernetes.io/component": "gateway-host"},
        },
        "data": {"name": name, "ssh": ssh, "sshEndpoint": "192.168.122.150:2022", "sourceIPs": ""},
    });
    ask::cluster_ok(&["apply", "-f", "-"], &note.to_string()).unwrap();
}
