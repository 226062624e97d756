//! Nodes are drained while connections are made: none fails.

use std::time::{Duration, Instant};

use extconn_lab::topology::Host;
use extconn_lab::walkthrough::ask::{self, Said};
use extconn_lab::walkthrough::{Observation, Scenario, dump, removal, story, workload};
use serde_json::json;

use crate::NAMESPACE;
use crate::ask::kubectl;
use crate::traffic::Traffic;

/// A node that takes no pods until this is dropped.
struct Drained {
    node: Host,
    said: Said,
}

impl Drained {
    /// Evicts what is extconn's from a node: the lab's test pods have nobody who makes them anew.
    fn new(node: Host) -> Self {
        let drain = [
            "drain",
            node.name(),
            "--ignore-daemonsets",
            "--timeout=180s",
        ];
        let ours = ["--pod-selector=app.kubernetes.io/part-of=extconn"];
        let said = ask::cluster(&[&drain[..], &ours].concat(), "").unwrap();
        let drained = Self { node, said };
        let said = &drained.said;
        assert!(
            said.success,
            "{node} is not drained: {}{}",
            said.stdout, said.stderr
        );
        drained
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        kubectl(&["uncordon", self.node.name()]);
    }
}

/// An ExternalService whose source IP no gateway has: its forwarder is never ready.
fn in_trouble(scenario: &Scenario) -> String {
    let name = format!("{}-in-trouble", scenario.name);
    let mut object = scenario.external_service();
    object["metadata"]["name"] = json!(name);
    object["spec"]["sources"]
        .as_array_mut()
        .unwrap()
        .truncate(1);
    object["spec"]["sources"][0]["sourceIP"] = json!("192.168.122.99");
    workload::apply(&[object]).unwrap();
    name
}

/// Waits until a forwarder has both replicas, ready or not, and its budget knows.
fn until_counted(name: &str) {
    let budget = format!("poddisruptionbudget/forwarder-{name}");
    let path = "-o=jsonpath={.status.expectedPods}";
    let begin = Instant::now();
    let get = ["get", "-n", NAMESPACE, &budget, path];
    while !ask::cluster(&get, "").unwrap().stdout.contains('2') {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{budget} counts no pods"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn until_rolled_out(scenario: &Scenario) {
    let deployment = format!("deployment/forwarder-{}", scenario.name);
    let status = ["rollout", "status", "--timeout=120s", &deployment];
    kubectl(&[&status[..], &["-n", NAMESPACE]].concat());
}

fn drain_both(scenario: &Scenario) {
    workload::create(scenario).unwrap();
    workload::apply(&[scenario.external_service()]).unwrap();
    story::await_ready(scenario).unwrap();
    until_counted(&scenario.name);
    let troubled = in_trouble(scenario);
    until_counted(&troubled);

    let traffic = Traffic::start(scenario);
    drop(Drained::new(Host::Node2));
    until_rolled_out(scenario);
    // Both replicas are on this one, and its budget holds the second back until the first has a
    // successor. The other forwarder, which has no ready pod at all, holds nobody back.
    let drained = Drained::new(Host::Node1);
    let held_back = &drained.said.stderr;
    let budget = "would violate the pod's disruption budget";
    let refused = held_back.lines().filter(|line| line.contains(budget));
    let refused: Vec<_> = refused.collect();
    assert!(
        !refused.is_empty(),
        "no eviction was held back: {held_back}"
    );
    assert!(
        refused.iter().all(|line| !line.contains(&troubled)),
        "{held_back}"
    );
    drop(drained);
    until_rolled_out(scenario);
    traffic.end();
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn drained_nodes_lose_no_connection_that_is_being_made() {
    let scenario = Scenario::temporary(&format!("drain-{:x}", std::process::id()));
    let outcome = std::panic::catch_unwind(|| drain_both(&scenario));
    if outcome.is_err() {
        dump::write(&scenario);
    }
    let troubled = format!("{}-in-trouble", scenario.name);
    let delete = [
        "delete",
        "extsvc",
        "--ignore-not-found",
        "-n",
        &scenario.namespace,
    ];
    kubectl(&[&delete[..], &[&troubled]].concat());
    let removed = workload::delete(&scenario).and_then(|()| removal::leaves_nothing(&scenario));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    removed.and_then(Observation::require).unwrap();
}
