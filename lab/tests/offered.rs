//! What the chart makes when it is asked for, on the real API server: monitoring for the Prometheus
//! operator, whose definitions come from its own module, and NetworkPolicies. No Prometheus operator
//! runs in the lab and its network enforces no policy: what is tried is that the API server takes
//! every field, and that what is selected is there and what is needed is allowed.

#![allow(clippy::unwrap_used)]

use std::fs;

use extconn_lab::topology::{GATEWAY, Host};
use extconn_lab::walkthrough::ask::{self, cluster_ok};
use extconn_lab::walkthrough::scenario::CONNECTOR_NAMESPACE;
use extconn_lab::walkthrough::{Observation, Scenario, dump, removal, story, workload};
use extconn_lab::{definitions, installation};
use serde_json::Value;

const MONITORING: &str = "monitoring.podMonitor.enabled=true,monitoring.alerts.enabled=true,monitoring.dashboard.enabled=true";
const POLICIES: &str = "networkPolicy.enabled=true";

/// Upgrades the installation, with its own values and `set`.
fn upgrade(set: &str) {
    let chart = installation::tree().join("chart").display().to_string();
    let set = format!("--set={set}");
    let helm = [
        "helm",
        "upgrade",
        "extconn",
        &chart,
        "--reuse-values",
        "--wait",
        &set,
    ];
    let said = ask::host(Host::Workstation, &helm).unwrap();
    assert!(said.success, "{}", said.stderr);
}

fn get(args: &[&str]) -> Value {
    let text = cluster_ok(&[&["get", "-o=json"], args].concat(), "").unwrap();
    serde_json::from_str(&text).unwrap()
}

fn items(args: &[&str]) -> Vec<Value> {
    get(args)["items"].as_array().unwrap().clone()
}

/// Fails if the API server does not know a field of what the release has made of these kinds:
/// unlike Helm, it then refuses it.
fn every_field_is_known(kinds: &str) -> Vec<Value> {
    let release = ask::host(Host::Workstation, &["helm", "get", "manifest", "extconn"]).unwrap();
    let documents = release.stdout.split("\n---\n");
    let objects = documents.map(|text| serde_yaml::from_str::<Value>(text).unwrap());
    let of_kinds: Vec<Value> = objects
        .filter(|o| kinds.split(',').any(|kind| o["kind"] == kind))
        .collect();
    for object in &of_kinds {
        let create = [
            "replace",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            "-",
        ];
        cluster_ok(&create, &object.to_string()).unwrap();
    }
    of_kinds
}

/// The pods that a label selector selects in the connector namespace.
fn selected(selector: &Value) -> Vec<Value> {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut terms: Vec<String> = labels
        .map(|(label, value)| format!("{label}={}", value.as_str().unwrap()))
        .collect();
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        assert_eq!(expression["operator"], "In");
        let values = expression["values"].as_array().unwrap().iter();
        let values: Vec<_> = values.map(|value| value.as_str().unwrap()).collect();
        terms.push(format!(
            "{} in ({})",
            expression["key"].as_str().unwrap(),
            values.join(",")
        ));
    }
    let selector = format!("--selector={}", terms.join(","));
    let mut pods = items(&["pods", "-n", CONNECTOR_NAMESPACE, &selector]);
    // The test before may have left some that drain.
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    pods
}

fn names(pods: &[Value]) -> Vec<&str> {
    pods.iter()
        .map(|pod| pod["metadata"]["name"].as_str().unwrap())
        .collect()
}

/// Whether a pod has a container port of this name.
fn has_port(pod: &Value, name: &str) -> bool {
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let mut ports = containers
        .iter()
        .flat_map(|c| c["ports"].as_array().into_iter().flatten());
    ports.any(|port| port["name"] == name)
}

/// Whether the selected pods are those of both replicas that a name begins with, and no others.
fn are_both(pods: &[Value], prefix: &str) {
    let names = names(pods);
    let all = names.iter().all(|name| name.starts_with(prefix));
    assert!(
        all && names.len() == 2,
        "not the two pods {prefix}…: {names:?}"
    );
}

fn monitoring(scenario: &Scenario) {
    let files = definitions::prometheus_operator().unwrap();
    let text = files
        .map(|file| fs::read_to_string(file).unwrap())
        .join("\n---\n");
    // Too large for the annotation of a client-side apply.
    cluster_ok(&["apply", "--server-side", "-f", "-"], &text).unwrap();
    let crds = [
        "crd/podmonitors.monitoring.coreos.com",
        "crd/prometheusrules.monitoring.coreos.com",
    ];
    let wait = ["wait", "--for=condition=Established", "--timeout=30s"];
    cluster_ok(&[&wait[..], &crds].concat(), "").unwrap();

    upgrade(MONITORING);
    let made = every_field_is_known("PodMonitor,PrometheusRule");
    assert_eq!(made.len(), 3, "{made:?}");
    for monitor in items(&["podmonitors", "-n", CONNECTOR_NAMESPACE]) {
        let pods = selected(&monitor["spec"]["selector"]);
        match monitor["metadata"]["name"].as_str().unwrap() {
            "extconn-operator" => are_both(&pods, "extconn-operator-"),
            "extconn-forwarder" => are_both(&pods, &format!("forwarder-{}-", scenario.name)),
            other => panic!("a PodMonitor that nobody knows: {other}"),
        }
        let port = monitor["spec"]["podMetricsEndpoints"][0]["port"]
            .as_str()
            .unwrap();
        assert!(
            pods.iter().all(|pod| has_port(pod, port)),
            "no port {port}: {monitor}"
        );
    }
    upgrade(&MONITORING.replace("=true", "=false"));
    assert!(items(&["podmonitors", "-A"]).is_empty());
    cluster_ok(&[&["delete"], &crds[..]].concat(), "").unwrap();
}

/// Whether some rule of a policy lets packets to this port of a host through.
fn lets_out(policy: &Value, port: u64) -> bool {
    let rules = policy["spec"]["egress"].as_array().unwrap();
    rules.iter().any(|rule| {
        let everywhere = rule["to"].as_array().unwrap().iter().any(|peer| {
            // The default of the values: nobody knows where API server and gateways are.
            peer["ipBlock"]["cidr"] == "0.0.0.0/0"
        });
        let ports = rule["ports"].as_array().into_iter().flatten();
        everywhere
            && ports
                .into_iter()
                .any(|p| p["port"] == port && p["protocol"] == "TCP")
    })
}

fn network_policies(scenario: &Scenario) {
    upgrade(POLICIES);
    assert_eq!(every_field_is_known("NetworkPolicy").len(), 2);
    // What has to be reached, from those who listen there.
    let api = get(&["endpointslices", "-n", "default", "kubernetes"]);
    let api = api["ports"][0]["port"].as_u64().unwrap();
    let gateways = items(&["gateways.extconn.submariner.io", "-n", CONNECTOR_NAMESPACE]);
    let endpoint = gateways[0]["status"]["sshEndpoint"].as_str().unwrap();
    let (host, ssh) = endpoint.rsplit_once(':').unwrap();
    assert_eq!(host, GATEWAY.to_string());
    let ssh: u64 = ssh.parse().unwrap();
    for policy in items(&["networkpolicies", "-n", CONNECTOR_NAMESPACE]) {
        let pods = selected(&policy["spec"]["podSelector"]);
        assert!(
            lets_out(&policy, api),
            "the API server's port {api}: {policy}"
        );
        match policy["metadata"]["name"].as_str().unwrap() {
            "extconn-operator" => {
                are_both(&pods, "extconn-operator-");
                assert!(pods.iter().all(|pod| has_port(pod, "http")));
                assert!(
                    !lets_out(&policy, ssh),
                    "an operator needs no gateway: {policy}"
                );
            }
            "extconn-forwarders" => {
                are_both(&pods, &format!("forwarder-{}-", scenario.name));
                assert!(lets_out(&policy, ssh), "the gateway's port {ssh}: {policy}");
            }
            other => panic!("a NetworkPolicy that nobody knows: {other}"),
        }
    }
    upgrade("networkPolicy.enabled=false");
    assert!(items(&["networkpolicies", "-A"]).is_empty());
}

fn in_scenario(test: &str, body: fn(&Scenario)) {
    let scenario = Scenario::temporary(&format!("{test}-{:x}", std::process::id()));
    let outcome = std::panic::catch_unwind(|| {
        workload::create(&scenario).unwrap();
        workload::apply(&[scenario.external_service()]).unwrap();
        story::await_ready(&scenario).unwrap();
        body(&scenario);
    });
    if outcome.is_err() {
        dump::write(&scenario);
    }
    let removed = workload::delete(&scenario).and_then(|()| removal::leaves_nothing(&scenario));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    removed.and_then(Observation::require).unwrap();
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn the_prometheus_operators_definitions_take_the_monitors_and_rules() {
    in_scenario("monitoring", monitoring);
}

#[test]
#[ignore = "needs a lab with extconn in it: make installation"]
fn network_policies_select_what_is_there_and_let_through_what_it_needs() {
    in_scenario("policies", network_policies);
}
