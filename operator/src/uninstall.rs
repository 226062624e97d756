//! `extconn-operator cleanup`: removes what the operator has made and releases the
//! ExternalServices, so that they can be deleted when nobody is left to do it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use extconn_api::{ExternalService, Forwarder, Gateway, Permissions, condition, names};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tokio::time::{interval, timeout};

use crate::cli::CleanupOptions;
use crate::reconcile::{Errors, Written, delete, is_not_found, ownership};
use crate::run::request_client;

/// How often is looked whether pods are gone.
const LOOK: Duration = Duration::from_millis(500);

/// Stops the operator, removes everything, releases the ExternalServices.
///
/// # Errors
/// Something is still there when the time is up. It may be called again.
pub async fn uninstall(options: CleanupOptions, connector_namespace: String) -> anyhow::Result<()> {
    let client = request_client().await?;
    let limit = Duration::from_secs(options.timeout_seconds);
    timeout(limit, async {
        if let Some(name) = &options.stop_operator {
            stop(
                &Api::namespaced(client.clone(), &connector_namespace),
                name,
                &client,
            )
            .await?;
        }
        remove_everything(&client, &connector_namespace).await?;
        release_external_services(&client).await?;
        wait_for_pods(&client, &connector_namespace, &ours_selector()).await?;
        tracing::info!("everything that the operator has made is gone");
        Ok(())
    })
    .await
    .unwrap_or_else(|_| {
        bail!(
            "not done within {} seconds: see the log above for what is left, or pass a longer \
             --timeout-seconds",
            limit.as_secs()
        )
    })
}

async fn stop(api: &Api<Deployment>, name: &str, client: &Client) -> anyhow::Result<()> {
    let none = json!({"spec": {"replicas": 0}});
    let stopped = match api
        .patch(name, &PatchParams::default(), &Patch::Merge(none))
        .await
    {
        Ok(deployment) => deployment,
        Err(error) if is_not_found(&error) => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("failed to stop Deployment {name}"));
        }
    };
    tracing::info!(deployment = name, "stopping the operator");
    let labels = stopped
        .spec
        .and_then(|spec| spec.selector.match_labels)
        .unwrap_or_default();
    let labels = labels
        .iter()
        .map(|(label, value)| format!("{label}={value}"));
    let namespace = stopped.metadata.namespace.unwrap_or_default();
    wait_for_pods(client, &namespace, &labels.collect::<Vec<_>>().join(",")).await
}

async fn remove_everything(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let mut errors = Errors::default();
    let all: Api<RoleBinding> = Api::all(client.clone());
    // First what stops the traffic at once.
    remove::<Gateway>(client, &connector(client, namespace), &mut errors).await?;
    remove::<Forwarder>(client, &connector(client, namespace), &mut errors).await?;
    remove::<Service>(client, &connector(client, namespace), &mut errors).await?;
    remove::<Deployment>(client, &connector(client, namespace), &mut errors).await?;
    remove::<PodDisruptionBudget>(client, &connector(client, namespace), &mut errors).await?;
    remove::<RoleBinding>(client, &all, &mut errors).await?;
    remove::<Role>(client, &connector(client, namespace), &mut errors).await?;
    remove::<ServiceAccount>(client, &connector(client, namespace), &mut errors).await?;
    remove::<Permissions>(client, &connector(client, namespace), &mut errors).await?;
    remove_named::<ConfigMap>(client, namespace, names::NODE_ADDRESSES, &mut errors).await?;
    remove_named::<Lease>(client, namespace, names::OPERATOR_LEASE, &mut errors).await?;
    Ok(errors.into_result()?)
}

async fn remove_named<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    errors: &mut Errors,
) -> anyhow::Result<()>
where
    K: Written + Resource<Scope = NamespaceResourceScope>,
{
    let api: Api<K> = connector(client, namespace);
    if let Some(object) = api.get_opt(name).await? {
        errors.note(delete(&api, &object).await);
    }
    Ok(())
}

fn connector<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

fn ours_selector() -> String {
    format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY)
}

async fn remove<K>(client: &Client, api: &Api<K>, errors: &mut Errors) -> anyhow::Result<()>
where
    K: Written + Resource<Scope = NamespaceResourceScope>,
{
    let objects = match api
        .list(&ListParams::default().labels(&ours_selector()))
        .await
    {
        Ok(objects) => objects,
        // The kind itself is gone.
        Err(error) if is_not_found(&error) => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("failed to list {}", K::plural(&())));
        }
    };
    for object in objects {
        let key = ownership::key(&object);
        tracing::info!(kind = %K::kind(&()), object = %key, "removing");
        errors.note(delete(&connector(client, &key.namespace), &object).await);
    }
    Ok(())
}

async fn release_external_services(client: &Client) -> anyhow::Result<()> {
    let all: Api<ExternalService> = Api::all(client.clone());
    let all = match all.list(&ListParams::default()).await {
        Ok(all) => all,
        Err(error) if is_not_found(&error) => return Ok(()),
        Err(error) => return Err(error).context("failed to list ExternalServices"),
    };
    for external_service in all {
        let key = ownership::key(&external_service);
        match release(client, &external_service).await {
            Err(error) if is_not_found(&error) => {}
            result => {
                result.with_context(|| format!("failed to release ExternalService {key}"))?;
            }
        }
        tracing::info!(external_service = %key, "released");
    }
    Ok(())
}

async fn release(client: &Client, external_service: &ExternalService) -> kube::Result<()> {
    let namespace = external_service.namespace().unwrap_or_default();
    let api: Api<ExternalService> = Api::namespaced(client.clone(), &namespace);
    let name = external_service.name_any();
    let mut status = external_service.status.clone().unwrap_or_default();
    let generation = external_service.metadata.generation;
    condition::uninstalled(&mut status.conditions, generation, &Time(Timestamp::now()));
    let patch = json!({
        "apiVersion": ExternalService::api_version(&()),
        "kind": ExternalService::kind(&()),
        "metadata": {"name": name},
        "status": status,
    });
    let parameters = PatchParams::apply(names::field_manager::OPERATOR).force();
    api.patch_status(&name, &parameters, &Patch::Apply(patch))
        .await?;

    let finalizers = external_service.finalizers();
    let Some(index) = finalizers.iter().position(|f| f == names::FINALIZER) else {
        return Ok(());
    };
    let path = format!("/metadata/finalizers/{index}");
    let patch = serde_json::from_value(json!([
        {"op": "test", "path": path, "value": names::FINALIZER},
        {"op": "remove", "path": path},
    ]))
    .expect("these are JSON patch operations");
    api.patch(&name, &PatchParams::default(), &Patch::Json::<()>(patch))
        .await?;
    Ok(())
}

async fn wait_for_pods(client: &Client, namespace: &str, selector: &str) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut look = interval(LOOK);
    let mut left = usize::MAX;
    loop {
        look.tick().await;
        let names = pods
            .list_metadata(&ListParams::default().labels(selector))
            .await?;
        let names: Vec<String> = names.iter().map(ResourceExt::name_any).collect();
        if names.is_empty() {
            return Ok(());
        }
        if names.len() != left {
            left = names.len();
            tracing::info!(pods = names.join(", "), "waiting for pods to stop");
        }
    }
}
