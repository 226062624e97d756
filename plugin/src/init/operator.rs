//! Waits until the operator runs as the chart says, and tells what keeps it from doing so.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cluster::{Cluster, api, installation, pods};
use crate::failure::Failure;
use crate::terminal::progress::Step;

/// How often is looked whether it runs.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until the operator of the latest revision is available; gives its Deployment.
///
/// # Errors
/// It is not within `timeout`, or waits for something that waiting does not bring.
pub(crate) async fn wait(
    cluster: &Cluster,
    namespace: &str,
    step: &Step,
    timeout: Duration,
) -> Result<Deployment, Failure> {
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let found = installation::operators(cluster, Some(namespace)).await;
        let found = found.map_err(api("look for the operator"))?;
        if let Some(operator) = found.into_iter().find(is_rolled_out) {
            return Ok(operator);
        }
        let pods = pods_of_operator(cluster, namespace).await?;
        let hopeless = pods.iter().find(|pod| pods::is_hopeless(pod));
        let why = hopeless
            .or_else(|| pods.iter().find(|pod| pods::trouble(pod).is_some()))
            .and_then(pods::trouble)
            .unwrap_or_else(|| "it has no pod yet".to_owned());
        if hopeless.is_some() || tokio::time::Instant::now() >= deadline {
            return Err(not_running(namespace, &why));
        }
        step.waiting_for(&why);
        tokio::time::sleep(LOOK).await;
    }
}

async fn pods_of_operator(cluster: &Cluster, namespace: &str) -> Result<Vec<Pod>, Failure> {
    let all: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let selected = ListParams::default().labels(installation::OPERATOR_LABELS);
    let found = all.list(&selected).await;
    let mut found = found
        .map_err(api(format_args!("list pods in namespace {namespace}")))?
        .items;
    // The one that an upgrade has made says more than the one that it replaces.
    found.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
    Ok(found)
}

/// Whether what runs is what the Deployment says, and available.
fn is_rolled_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let wanted = wanted.unwrap_or(1);
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == deployment.metadata.generation
            && status.updated_replicas == Some(wanted)
            && status.available_replicas == Some(wanted)
            && status.replicas == Some(wanted)
    })
}

fn not_running(namespace: &str, why: &str) -> Failure {
    let failure = Failure::failed(format!("the operator does not run: {why}"));
    let image = ["ImagePull", "ImageNeverPull", "InvalidImageName"];
    if image.iter().any(|reason| why.contains(reason)) {
        return failure.next(
            "name the registry that has the images with --registry; values of the chart, such as imagePullSecrets, are given with --values or --set",
        );
    }
    failure.next(format!(
        "see `kubectl -n {namespace} describe pods`, then run this again"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(generation: i64, updated: i32, available: i32, replicas: i32, expect: bool) {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": 1, "selector": {}, "template": {}},
            "status": {
                "observedGeneration": generation, "updatedReplicas": updated,
                "availableReplicas": available, "replicas": replicas,
            },
        }))
        .unwrap();
        assert_eq!(is_rolled_out(&deployment), expect);
    }

    #[test]
    fn the_operator_runs_when_only_the_latest_one_is_there_and_available() {
        check(2, 1, 1, 1, true);
        check(1, 1, 1, 1, false);
        check(2, 0, 1, 1, false);
        check(2, 1, 0, 1, false);
        check(2, 1, 1, 2, false);
    }

    #[test]
    fn an_image_that_cannot_be_pulled_names_the_flag() {
        let failure = not_running(
            "external-services",
            "pod x waits: ErrImagePull: no such host",
        );
        assert!(failure.next_step().unwrap().contains("--registry"));
    }
}
