//! Does what is left of the chart's clean-up where no pod of it can start any more: the connector
//! namespace, with all else that the operator has made, is going or gone.

use extconn_api::{ExternalService, condition, names};
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, api, is_not_found};
use crate::failure::Failure;

/// Takes the operator's finalizer off every ExternalService, and its RoleBindings out of the
/// namespaces of their sources.
///
/// # Errors
/// The API server's refusal; it may be called again.
pub(super) async fn release(cluster: &Cluster) -> Result<(), Failure> {
    let all: Api<ExternalService> = Api::all(cluster.client.clone());
    let found = match all.list(&ListParams::default()).await {
        // The kind itself is gone, or never came.
        Err(error) if is_not_found(&error) => return Ok(()),
        found => found.map_err(api("list ExternalServices"))?,
    };
    for object in found {
        let done = release_one(cluster, &object).await;
        if let Err(error) = done
            && !is_not_found(&error)
        {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            return Err(api(format_args!(
                "release ExternalService {namespace}/{name}"
            ))(error));
        }
    }
    let of_operator = format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY);
    let all: Api<RoleBinding> = Api::all(cluster.client.clone());
    let found = all.list(&ListParams::default().labels(&of_operator)).await;
    for object in found.map_err(api("list RoleBindings"))? {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let within: Api<RoleBinding> = Api::namespaced(cluster.client.clone(), &namespace);
        match within.delete(&name, &DeleteParams::default()).await {
            Err(error) if !is_not_found(&error) => {
                return Err(api(format_args!("delete RoleBinding {namespace}/{name}"))(
                    error,
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn release_one(cluster: &Cluster, object: &ExternalService) -> kube::Result<()> {
    let namespace = object.namespace().unwrap_or_default();
    let within: Api<ExternalService> = Api::namespaced(cluster.client.clone(), &namespace);
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != names::FINALIZER);
    if finalizers.len() == object.finalizers().len() {
        return Ok(());
    }
    let name = object.name_any();
    let parameters = PatchParams::default();
    let mut status = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    condition::uninstalled(&mut status.conditions, generation, &Time(Timestamp::now()));
    let status = json!({ "status": status });
    within
        .patch_status(&name, &parameters, &Patch::Merge(status))
        .await?;
    // The resourceVersion is left out: the status has just changed it.
    let without = json!({"metadata": {"finalizers": finalizers}});
    within
        .patch(&name, &parameters, &Patch::Merge(without))
        .await?;
    Ok(())
}
