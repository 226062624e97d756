//! All that an operator has made and said, without what differs from one time to the next.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::{CONNECTOR, World};

/// By kind, namespace and name.
pub type Snapshot = BTreeMap<String, Value>;

/// Lists whatever the operator may write, whoever wrote it.
pub async fn snapshot(world: &World) -> Snapshot {
    let ours = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dextconn-operator";
    let lists = [
        "/apis/submariner.io/v1alpha1/externalservices".to_owned(),
        format!("/apis/extconn.submariner.io/v1alpha1/namespaces/{CONNECTOR}/forwarders"),
        format!("/apis/extconn.submariner.io/v1alpha1/namespaces/{CONNECTOR}/gateways"),
        format!("/apis/extconn.submariner.io/v1alpha1/namespaces/{CONNECTOR}/permissions"),
        format!("/apis/apps/v1/namespaces/{CONNECTOR}/deployments"),
        format!("/apis/policy/v1/namespaces/{CONNECTOR}/poddisruptionbudgets?{ours}"),
        format!("/api/v1/namespaces/{CONNECTOR}/services"),
        format!("/api/v1/namespaces/{CONNECTOR}/serviceaccounts?{ours}"),
        format!("/api/v1/namespaces/{CONNECTOR}/configmaps?{ours}"),
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{CONNECTOR}/roles?{ours}"),
        format!("/apis/rbac.authorization.k8s.io/v1/rolebindings?{ours}"),
    ];
    let mut all = Snapshot::new();
    for list in &lists {
        let kind = list.rsplit('/').next().unwrap_or_default();
        let kind = kind.split('?').next().unwrap_or_default();
        for (key, object) in world.list(list).await {
            all.insert(format!("{kind} {key}"), timeless(object));
        }
    }
    all
}

/// Without what the API server makes up anew for each object, and without times.
fn timeless(mut object: Value) -> Value {
    let generation = object["metadata"]["generation"].clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| {
            ["labels", "finalizers", "deletionTimestamp"].contains(&field.as_str())
        });
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.retain(|field, _| !["clusterIP", "clusterIPs"].contains(&field.as_str()));
    }
    // A list by name: who came first does not matter.
    if let Some(grants) = object["spec"]["forwarders"].as_array_mut() {
        grants.sort_by_key(|grant| grant["name"].to_string());
    }
    // "Looked at" is what matters, not which generation it was.
    let observed = |value: &mut Value| {
        if let Some(observed) = value.get_mut("observedGeneration") {
            *observed = (*observed == generation).into();
        }
    };
    observed(&mut object["status"]);
    if let Some(conditions) = object["status"]["conditions"].as_array_mut() {
        for condition in conditions {
            observed(condition);
            condition
                .as_object_mut()
                .map(|c| c.remove("lastTransitionTime"));
        }
    }
    object
}

/// What is there and should not be, what is not, and what is otherwise.
pub fn difference(expected: &Snapshot, there: &Snapshot) -> String {
    let mut lines = vec![];
    for (key, object) in expected {
        match there.get(key) {
            None => lines.push(format!("missing: {key}")),
            Some(other) if other != object => {
                lines.push(format!(
                    "otherwise: {key}\n  expected {object}\n  there {other}"
                ));
            }
            Some(_) => {}
        }
    }
    let surplus = there.keys().filter(|key| !expected.contains_key(*key));
    lines.extend(surplus.map(|key| format!("left over: {key}")));
    lines.join("\n")
}
