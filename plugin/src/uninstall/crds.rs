//! The CustomResourceDefinitions: which are there, and how they go.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};

use crate::cluster::{Cluster, api, is_not_found};
use crate::failure::Failure;

/// How often is looked whether they are gone.
const LOOK: Duration = Duration::from_millis(300);

/// Names of our CRDs that are there.
///
/// # Errors
/// The API server's refusal.
pub(super) async fn present(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut names = Vec::new();
    for ours in extconn_api::crds() {
        let name = ours.name_any();
        let found = crds.get_opt(&name).await;
        if found
            .map_err(api(format_args!("read CustomResourceDefinition {name}")))?
            .is_some()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Deletes the CRDs of these names with all their objects; fine if they are gone already.
///
/// # Errors
/// The API server's refusal, or one is still there after `timeout`.
pub(super) async fn remove(
    cluster: &Cluster,
    names: &[String],
    timeout: Duration,
) -> Result<(), Failure> {
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    for name in names {
        match crds.delete(name, &DeleteParams::foreground()).await {
            Err(error) if !is_not_found(&error) => {
                return Err(api(format_args!("delete CustomResourceDefinition {name}"))(
                    error,
                ));
            }
            _ => {}
        }
    }
    let deadline = tokio::time::Instant::now() + timeout;
    for name in names {
        while crds
            .get_opt(name)
            .await
            .map_err(api(format_args!("read CustomResourceDefinition {name}")))?
            .is_some()
        {
            if tokio::time::Instant::now() >= deadline {
                return Err(Failure::failed(format!(
                    "CustomResourceDefinition {name} is still being deleted"
                ))
                .next(format!(
                    "see which finalizer holds its objects: `kubectl get {name} -A -o yaml`"
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}
