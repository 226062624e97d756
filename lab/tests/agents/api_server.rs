//! The API server is away for a while, and what is in the cluster follows it again afterwards.

use std::time::Duration;

use extconn_lab::host;
use extconn_lab::kubernetes::POD_IMAGE;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::{Scenario, ask, workload};
use serde_json::json;

use crate::world::waited;

/// Longest wait until all parts of the cluster follow the API server again: each tries with pauses
/// that grow to a minute.
const CATCHING_UP: Duration = Duration::from_secs(150);

/// Name of what is made after an outage.
const NEWCOMER: &str = "after-the-outage";

/// The API server does not run. When this ends it does, and the cluster's own parts have heard of
/// it: controllers, scheduler, kubelets, kube-proxies and DNS.
pub struct Outage<'a> {
    scenario: &'a Scenario,
}

impl<'a> Outage<'a> {
    /// Stops the API server; the namespace of the scenario's first source is to look from.
    pub fn begin(scenario: &'a Scenario) -> Self {
        host::stop_unit(Host::Node1, "kube-apiserver").unwrap();
        Self { scenario }
    }

    fn end(&self) -> Result<(), String> {
        host::resume_unit(Host::Node1, "kube-apiserver").map_err(|error| error.to_string())?;
        let namespace = &self.scenario.sources[0].namespace;
        waited(CATCHING_UP, || kubectl(&["get", "--raw", "/readyz"]))?;
        waited(CATCHING_UP, || make_newcomer(namespace))?;
        let name = format!("daemonset/{NEWCOMER}");
        let limit = format!("--timeout={}s", CATCHING_UP.as_secs());
        kubectl(&["rollout", "status", "-n", namespace, &name, &limit])?;
        let url = format!("http://{NEWCOMER}.{namespace}.svc.cluster.local/");
        for pod in newcomers(namespace)?.split_whitespace() {
            let ask = ["exec", "-n", namespace, pod, "--", "witness", "get", &url];
            waited(CATCHING_UP, || kubectl(&ask))?;
        }
        let delete = ["delete", "-n", namespace, &name];
        kubectl(&delete)
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        match self.end() {
            Err(error) if std::thread::panicking() => eprintln!("{error}"),
            ended => ended.expect("the cluster follows its API server again"),
        }
    }
}

/// A pod on each node and a Service before them, as every part of the cluster must hear of them.
fn make_newcomer(namespace: &str) -> Result<(), String> {
    let labels = json!({"app": NEWCOMER});
    let metadata = json!({"name": NEWCOMER, "namespace": namespace});
    let pods = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "witness", "image": POD_IMAGE, "imagePullPolicy": "IfNotPresent",
                    }],
                },
            },
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    workload::apply(&[pods, service]).map_err(|error| format!("{error:#}"))
}

/// Names of its pods.
fn newcomers(namespace: &str) -> Result<String, String> {
    let label = format!("app={NEWCOMER}");
    let names = "-o=jsonpath={.items[*].metadata.name}";
    let list = ["get", "pods", "-n", namespace, "-l", &label, names];
    ask::cluster_ok(&list, "").map_err(|error| error.to_string())
}

fn kubectl(args: &[&str]) -> Result<(), String> {
    let said = ask::cluster(args, "").map_err(|error| error.to_string())?;
    said.success.then_some(()).ok_or(said.stderr)
}
