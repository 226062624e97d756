//! Finds what of extconn is in a cluster.

use extconn_api::names;
use extconn_api::permission::{self, Namespaces};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::{Cluster, api, is_forbidden};
use crate::cli::ConnectorNamespace;
use crate::failure::Failure;
use crate::helm::ReleaseName;

/// Annotations that helm puts on what it installs.
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

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
        [] => Ok(names::CONNECTOR_NAMESPACE.to_owned()),
        [one] => Ok(one.clone()),
        several => Err(Failure::usage(format!(
            "extconn runs in several namespaces: {}",
            several.join(", ")
        ))
        .next("say which with --connector-namespace")),
    }
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

/// The helm release that installed the operator, from what helm wrote on it.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn release(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<Option<ReleaseName>, Failure> {
    match operators(cluster, Some(connector_namespace)).await {
        Ok(operators) => Ok(operators.first().and_then(release_of)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api("look for the operator")(error)),
    }
}

/// The helm release that installed this operator.
pub(crate) fn release_of(operator: &Deployment) -> Option<ReleaseName> {
    let annotations = operator.annotations();
    Some(ReleaseName {
        name: annotations.get(RELEASE_NAME)?.clone(),
        namespace: annotations.get(RELEASE_NAMESPACE)?.clone(),
    })
}
