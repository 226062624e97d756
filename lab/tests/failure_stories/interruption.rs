//! Ctrl-C in every step of a first `init`: each next run takes up what the last one left.

use extconn_lab::terminal::{Key, Terminal};
use extconn_lab::topology::{GATEWAY, SOURCE_IPS};
use extconn_lab::walkthrough::ask;

use crate::stage::{INTERRUPTED, image_tags, init, workstation};

/// Moments of a run, in their order: words on the screen that begin them.
const STEPS: [&str; 8] = [
    "looking at the cluster",
    "logging in on",
    "checking root@",
    "looking at the helm release",
    "installing extconn with helm",
    "installing the gateway",
    "waiting for gateway",
    "from a pod",
];

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn ctrl_c_in_each_step_leaves_nothing_that_the_next_run_cannot_finish() {
    let tags = image_tags();
    workstation(&["kubectl", "extconn", "uninstall", "--yes"]).succeeds();
    let line = format!(
        "kubectl extconn init --yes --gateway root@{GATEWAY} --source-ip {} --source-ip {} {}",
        SOURCE_IPS[0],
        SOURCE_IPS[1],
        tags.join(" ")
    );
    for step in STEPS {
        let mut terminal = Terminal::run(120, &line).unwrap();
        terminal.wait_for(step).unwrap();
        terminal.press(Key::CtrlC).unwrap();
        let ended = terminal.end().unwrap();
        assert_eq!(ended.status, INTERRUPTED, "at {step:?}: {}", ended.screen);
        let error = ended.screen.contains("error: interrupted");
        assert!(error, "at {step:?}: {}", ended.screen);
    }
    // What only served the runs is not there any more.
    let left = ask::cluster_ok(
        &[
            "get",
            "pods,configmaps,gateways.extconn.submariner.io",
            "--all-namespaces",
            "--selector=app.kubernetes.io/managed-by=kubectl-extconn,app.kubernetes.io/component!=gateway-host",
            "--output=name",
        ],
        "",
    );
    assert_eq!(left.unwrap(), "");
    init(&[&tags[0], &tags[1]]).succeeds();
    init(&[]).changes_nothing();
}
