//! What is in the cluster already: the Submariner project, and what cannot be shared.

use extconn_lab::walkthrough::leftovers;
use serde_json::{Value, json};

use crate::OUR_CRDS;
use crate::ask::{apply, helm, kubectl};

/// Kinds of the Submariner project's group `submariner.io`, version v1: plural, kind, scope.
const SUBMARINER: [(&str, &str, &str); 6] = [
    ("gateways", "Gateway", "Namespaced"),
    ("clusters", "Cluster", "Namespaced"),
    ("endpoints", "Endpoint", "Namespaced"),
    ("globalingressips", "GlobalIngressIP", "Namespaced"),
    ("globalegressips", "GlobalEgressIP", "Namespaced"),
    ("gatewayroutes", "GatewayRoute", "Namespaced"),
];

fn crd(plural: &str, kind: &str, scope: &str, version: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.submariner.io")},
        "spec": {
            "group": "submariner.io",
            "scope": scope,
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{
                "name": version, "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

/// Submariner's definitions, and a Gateway of its own.
pub fn put_submariner() {
    for (plural, kind, scope) in SUBMARINER {
        apply(&crd(plural, kind, scope, "v1"));
    }
    let definition = "crd/gateways.submariner.io";
    kubectl(&[
        "wait",
        "--for=condition=Established",
        definition,
        "--timeout=30s",
    ]);
    apply(&json!({
        "apiVersion": "submariner.io/v1", "kind": "Gateway",
        "metadata": {"name": "node1", "namespace": "default"}, "spec": {},
    }));
}

/// Fails unless Submariner has kept what it had; takes it away.
pub fn take_submariner() {
    kubectl(&["get", "gateways.submariner.io", "-n", "default", "node1"]);
    kubectl(&["delete", "gateways.submariner.io", "-n", "default", "node1"]);
    for (plural, _, _) in SUBMARINER {
        kubectl(&["delete", "crd", &format!("{plural}.submariner.io")]);
    }
}

pub fn refuses_a_foreign_definition(chart: &str, values: &str) {
    apply(&crd(
        "externalservices",
        "ExternalService",
        "Namespaced",
        "v1",
    ));
    let refused = helm(&["install", "extconn", chart, values]);
    assert!(!refused.success);
    let sentence = "the CustomResourceDefinition externalservices.submariner.io is there already and is not extconn's";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
    kubectl(&["delete", "crd", OUR_CRDS[0]]);
    assert_eq!(leftovers::of_chart().unwrap(), Vec::<String>::new());
}

pub fn refuses_a_second_installation(chart: &str, values: &str) {
    let refused = helm(&["install", "another", chart, values, "--namespace=default"]);
    assert!(!refused.success);
    let sentence =
        "extconn is already installed in this cluster, as release extconn of namespace default";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
}
