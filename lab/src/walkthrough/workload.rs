//! Pods and Services of a scenario: ordinary ones, that know nothing of extconn.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::kubernetes::POD_IMAGE;
use crate::topology::Host;
use crate::walkthrough::ask;
use crate::walkthrough::scenario::{Scenario, Source};

/// Port on which the pods serve; their Services listen on 80.
const POD_PORT: u16 = 8080;

/// How long a pod may take to become ready.
const POD_LIMIT: Duration = Duration::from_secs(60);

/// Makes the namespaces, Services and pods of a scenario and waits until the pods are ready.
///
/// # Errors
/// The API server refuses an object, or a pod is not ready in time.
pub fn create(scenario: &Scenario) -> Result<()> {
    let mut objects = Vec::new();
    for source in &scenario.sources {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": source.namespace, "labels": {"extconn-lab/scenario": scenario.name}},
        }));
        objects.push(service(source));
        objects.push(pod(
            &source.namespace,
            &source.pod,
            Some(&source.service),
            source.node,
        ));
    }
    let home = &scenario.sources[0];
    objects.push(pod(&home.namespace, &scenario.outsider, None, home.node));
    apply(&objects)?;
    for source in &scenario.sources {
        await_ready(&source.namespace, &source.pod)?;
    }
    await_ready(&home.namespace, &scenario.outsider)
}

/// Removes the ExternalService of a scenario, and the namespaces with all that is in them.
///
/// # Errors
/// kubectl fails.
pub fn delete(scenario: &Scenario) -> Result<()> {
    let [first, second] = scenario.sources.each_ref().map(|s| s.namespace.as_str());
    let object = format!("externalservice/{}", scenario.name);
    let namespace = scenario.namespace.as_str();
    ask::cluster_ok(
        &["delete", "-n", namespace, &object, "--ignore-not-found"],
        "",
    )?;
    ask::cluster_ok(
        &[
            "delete",
            "namespace",
            first,
            second,
            "--ignore-not-found",
            "--timeout=60s",
        ],
        "",
    )?;
    Ok(())
}

/// Makes another pod behind the Service of `source`, on `node`, and waits until it is ready.
///
/// # Errors
/// As [`create`].
pub fn add_pod(source: &Source, name: &str, node: Host) -> Result<()> {
    apply(&[pod(&source.namespace, name, Some(&source.service), node)])?;
    await_ready(&source.namespace, name)
}

/// Removes a pod and waits until it is gone.
///
/// # Errors
/// kubectl fails.
pub fn remove_pod(source: &Source, name: &str) -> Result<()> {
    let pod = format!("pod/{name}");
    ask::cluster_ok(
        &["delete", "-n", &source.namespace, &pod, "--timeout=60s"],
        "",
    )?;
    Ok(())
}

/// Applies objects in one call.
///
/// # Errors
/// The API server refuses one.
pub fn apply(objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    ask::cluster_ok(&["apply", "-f", "-"], &list.to_string())?;
    Ok(())
}

fn await_ready(namespace: &str, pod: &str) -> Result<()> {
    let limit = format!("--timeout={}s", POD_LIMIT.as_secs());
    let pod = format!("pod/{pod}");
    ask::cluster_ok(
        &[
            "wait",
            "--for=condition=Ready",
            &limit,
            "-n",
            namespace,
            &pod,
        ],
        "",
    )?;
    Ok(())
}

fn service(source: &Source) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": source.service, "namespace": source.namespace},
        "spec": {
            "selector": {"app": source.service},
            "ports": [{"name": "http", "port": 80, "targetPort": POD_PORT}],
        },
    })
}

/// A pod that answers HTTP requests with its name and who asked, and logs each request.
fn pod(namespace: &str, name: &str, service: Option<&str>, node: Host) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": service.map(|service| json!({"app": service})).unwrap_or_default(),
        },
        "spec": {
            "nodeName": node.name(),
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "witness",
                "image": POD_IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": POD_PORT}],
                "readinessProbe": {"tcpSocket": {"port": POD_PORT}, "periodSeconds": 1},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": true,
                },
            }],
        },
    })
}
