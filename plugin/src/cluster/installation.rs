//! Finds what of extconn is in a cluster.

use extconn_api::names;
use extconn_api::permission::{self, Namespaces};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::{Cluster, api, is_forbidden};
use crate::cli::ConnectorNamespace;
use crate::failure::Failure;
use crate::helm::ReleaseName;

/// Annotations that helm puts on what it installs.
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// ClusterRole of the operator, and its binding: there is one in a cluster with extconn in it.
pub(crate) const CLUSTER_ROLE: &str = "extconn-operator";

/// Labels of the operator's Deployment.
pub(crate) const OPERATOR_LABELS: &str =
    "app.kubernetes.io/name=extconn,app.kubernetes.io/component=operator";

/// The namespace in which extconn runs: the one that the user names, else the one with an
/// operator in it, else the default.
///
/// # Errors
/// Several operators, so that the user must say which; or the API server's refusal.
pub(crate) async fn connector_namespace(
    cluster: &Cluster,
    arg: &ConnectorNamespace,
) -> Result<String, Failure> {
    if let Some(name) = &arg.connector_namespace {
        return Ok(name.clone());
    }
    let there = where_it_runs(cluster).await?;
    Ok(there.unwrap_or_else(|| names::CONNECTOR_NAMESPACE.to_owned()))
}

/// The namespace in which extconn runs, also if its operator has gone; `None` if it does not, or
/// that may not be read.
///
/// # Errors
/// Several operators, or the API server's refusal.
pub(crate) async fn where_it_runs(cluster: &Cluster) -> Result<Option<String>, Failure> {
    let namespaces: Vec<String> = match operators(cluster, None).await {
        Ok(found) => found
            .into_iter()
            .filter_map(|operator| operator.metadata.namespace)
            .collect(),
        // Who may not list Deployments everywhere can still look at the default.
        Err(error) if is_forbidden(&error) => Vec::new(),
        Err(error) => return Err(api("look for the operator")(error)),
    };
    match namespaces.as_slice() {
        [] => namespace_of_binding(cluster).await,
        [one] => Ok(Some(one.clone())),
        several => Err(Failure::usage(format!(
            "extconn runs in several namespaces: {}",
            several.join(", ")
        ))
        .next("say which with --connector-namespace")),
    }
}

/// Refuses a connector namespace that the user names although extconn runs in another one.
///
/// # Errors
/// Names both.
pub(crate) async fn refuse_elsewhere(
    cluster: &Cluster,
    arg: &ConnectorNamespace,
) -> Result<(), Failure> {
    let Some(named) = &arg.connector_namespace else {
        return Ok(());
    };
    match where_it_runs(cluster).await? {
        Some(there) if there != *named => Err(Failure::failed(format!(
            "extconn runs in namespace {there}, and not in {named}"
        ))
        .next("leave --connector-namespace out; to move it, first `kubectl extconn uninstall`")),
        _ => Ok(()),
    }
}

/// The namespace of the operator's ServiceAccount, from the binding that helm leaves alone when
/// somebody deletes the operator.
async fn namespace_of_binding(cluster: &Cluster) -> Result<Option<String>, Failure> {
    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
    match bindings.get_opt(CLUSTER_ROLE).await {
        Ok(found) => Ok(found
            .and_then(|binding| binding.subjects?.into_iter().next())
            .and_then(|subject| subject.namespace)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api(format_args!("read ClusterRoleBinding {CLUSTER_ROLE}"))(
            error,
        )),
    }
}

/// The operator's ClusterRole; `None` also for those who may not read it.
///
/// # Errors
/// The API server's refusal, other than a missing permission.
pub(crate) async fn cluster_role(cluster: &Cluster) -> Result<Option<ClusterRole>, Failure> {
    let roles: Api<ClusterRole> = Api::all(cluster.client.clone());
    match roles.get_opt(CLUSTER_ROLE).await {
        Ok(found) => Ok(found),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api(format_args!("read ClusterRole {CLUSTER_ROLE}"))(error)),
    }
}

/// The helm release that installed extconn: from the operator, else from its ClusterRole, which an
/// interrupted uninstallation removes later.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn release_name(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<ReleaseName, Failure> {
    if let Some(name) = release(cluster, connector_namespace).await? {
        return Ok(name);
    }
    let role = cluster_role(cluster).await?;
    Ok(role.as_ref().and_then(release_of).unwrap_or_default())
}

/// The operator's Deployments, in one namespace or in all.
///
/// # Errors
/// As the API server's.
pub(crate) async fn operators(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Vec<Deployment>, kube::Error> {
    let deployments: Api<Deployment> = match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let found = deployments
        .list(&ListParams::default().labels(OPERATOR_LABELS))
        .await?;
    Ok(found.items)
}

/// The namespaces, beside its own, whose ExternalServices the operator lets list Services of every
/// namespace; `None` if that may not be read.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn trusted_namespaces(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<Option<Namespaces>, Failure> {
    match operators(cluster, Some(connector_namespace)).await {
        Ok(operators) => Ok(operators.first().map(trusted_by)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api("look for the operator")(error)),
    }
}

fn trusted_by(operator: &Deployment) -> Namespaces {
    let template = operator
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let containers = template.iter().flat_map(|pod| &pod.containers);
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    variables
        .find(|variable| variable.name == permission::TRUSTED_NAMESPACES)
        .and_then(|variable| variable.value.as_deref())
        .map(Namespaces::parse)
        .unwrap_or_default()
}

/// The operator's Deployment and those of all forwarders.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn deployments(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<Vec<Deployment>, Failure> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), connector_namespace);
    let all = deployments.list(&ListParams::default()).await;
    let all = all.map_err(api(format_args!(
        "list Deployments in namespace {connector_namespace}"
    )))?;
    let ours = |deployment: &Deployment| {
        let labels = deployment.metadata.labels.as_ref();
        labels.is_some_and(|labels| {
            labels
                .get("app.kubernetes.io/name")
                .is_some_and(|name| name == "extconn")
                || labels.contains_key(names::LABEL_NAME)
        })
    };
    Ok(all.items.into_iter().filter(ours).collect())
}

/// The Leases that gateways renew; none for those who may not list them.
///
/// # Errors
/// The API server's refusal, other than a missing permission.
pub(crate) async fn gateway_leases(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<Vec<Lease>, Failure> {
    let (label, value) = names::GATEWAY_LEASE_LABEL;
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), connector_namespace);
    let of_gateways = ListParams::default().labels(&format!("{label}={value}"));
    match leases.list(&of_gateways).await {
        Ok(found) => Ok(found.items),
        Err(error) if is_forbidden(&error) => Ok(Vec::new()),
        Err(error) => Err(api("list the Leases of gateways")(error)),
    }
}

/// The helm release that installed the operator, from what helm wrote on it.
///
/// # Errors
/// The API server's refusal.
async fn release(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<Option<ReleaseName>, Failure> {
    match operators(cluster, Some(connector_namespace)).await {
        Ok(operators) => Ok(operators.first().and_then(release_of)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api("look for the operator")(error)),
    }
}

/// The helm release that installed an object.
pub(crate) fn release_of(object: &impl ResourceExt) -> Option<ReleaseName> {
    let annotations = object.annotations();
    Some(ReleaseName {
        name: annotations.get(RELEASE_NAME)?.clone(),
        namespace: annotations.get(RELEASE_NAMESPACE)?.clone(),
    })
}
