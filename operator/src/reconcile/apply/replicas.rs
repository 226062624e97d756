//! Status entries of forwarder pods that are gone: nobody else would remove them, and gateways
//! admit the keys that they name.

use std::collections::BTreeSet;

use extconn_api::Forwarder;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::write::failure;
use crate::controller::Context;
use crate::reconcile::error::Error;

/// Removes the entries whose pods are not among `pods`, nor anywhere: the watch may be behind
/// the pod that has just written its entry, so the API server is asked.
pub async fn drop_gone(
    forwarder: &Forwarder,
    pods: &BTreeSet<String>,
    context: &Context,
) -> Result<(), Error> {
    let replicas = forwarder
        .status
        .iter()
        .flat_map(|status| &status.replicas)
        .enumerate();
    let mut gone = vec![];
    for (index, replica) in replicas {
        if !pods.contains(&replica.pod_name) && !exists(&replica.pod_name, context).await? {
            gone.push((index, &replica.pod_name));
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    // From the end, so that the indexes stay true; the tests fail if another entry moved in.
    let operations: Vec<_> = gone
        .iter()
        .rev()
        .flat_map(|(index, pod_name)| {
            [
                json!({"op": "test", "path": format!("/status/replicas/{index}/podName"),
                       "value": pod_name}),
                json!({"op": "remove", "path": format!("/status/replicas/{index}")}),
            ]
        })
        .collect();
    let patch = serde_json::from_value(operations.into()).expect("these are JSON patch operations");
    let api: Api<Forwarder> = context.connector();
    api.patch_status(
        &forwarder.name_any(),
        &PatchParams::default(),
        &Patch::Json::<()>(patch),
    )
    .await
    .map_err(failure("drop gone replicas from", forwarder))?;
    Ok(())
}

async fn exists(pod_name: &str, context: &Context) -> Result<bool, Error> {
    let api: Api<Pod> = context.connector();
    let found = api
        .get_metadata_opt(pod_name)
        .await
        .map_err(|source| Error::Request {
            verb: "read",
            object: format!("Pod {}/{pod_name}", context.settings.connector_namespace),
            source,
        })?;
    Ok(found.is_some())
}
