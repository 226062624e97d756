//! What of a release is not in the cluster as helm once applied it: helm itself remembers, and
//! does not look.

use std::fmt::Display;

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{self, Scope};
use serde_json::{Value, json};

use crate::cluster::{Cluster, api, is_forbidden, is_not_found};
use crate::failure::Failure;
use crate::helm::release;

/// How many objects are asked for at once.
const AT_ONCE: usize = 8;

/// An object that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drift {
    /// Kind and name.
    pub object: String,
    /// What became of it: `Deployment x is gone`.
    pub text: String,
    /// What brings its replicas back, if it is there.
    pub scaled_down: Option<ScaledDown>,
}

/// A Deployment that somebody has scaled down. helm 4 would not write over what is another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScaledDown {
    namespace: String,
    name: String,
    replicas: i64,
}

impl ScaledDown {
    /// Scales it to what helm applied.
    ///
    /// # Errors
    /// The API server's refusal.
    pub(crate) async fn undo(&self, cluster: &Cluster) -> Result<(), Failure> {
        let Self {
            namespace,
            name,
            replicas,
        } = self;
        let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let done = deployments
            .patch(name, &PatchParams::default(), &patch)
            .await;
        done.map(drop)
            .map_err(api(format_args!("scale Deployment {namespace}/{name}")))
    }
}

impl Display for ScaledDown {
    /// The command that does the same.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            namespace,
            name,
            replicas,
        } = self;
        write!(
            f,
            "kubectl scale deployment {name} -n {namespace} --replicas={replicas}"
        )
    }
}

/// The objects of a manifest that are gone or have fewer replicas; those that may not be read
/// count as there.
///
/// # Errors
/// The API server does not answer.
pub(crate) async fn drifted(
    cluster: &Cluster,
    manifest: &str,
    release_namespace: &str,
) -> Result<Vec<Drift>, Failure> {
    let objects = release::documents(manifest).map_err(|error| {
        Failure::failed(format!("failed to understand helm's manifest: {error}"))
    })?;
    let looks = objects
        .into_iter()
        .map(|wanted| async move { one(cluster, &wanted, release_namespace).await });
    let found: Vec<Option<Drift>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn one(
    cluster: &Cluster,
    wanted: &Value,
    release_namespace: &str,
) -> Result<Option<Drift>, Failure> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&wanted["kind"]), text(&wanted["metadata"]["name"]));
    let (group, version) = match wanted["apiVersion"].as_str().unwrap_or_default() {
        core if !core.contains('/') => (String::new(), core.to_owned()),
        full => {
            let (group, version) = full.split_once('/').unwrap_or_default();
            (group.to_owned(), version.to_owned())
        }
    };
    let kind_of = GroupVersionKind::gvk(&group, &version, &kind);
    let drift = |what: String, scaled_down: Option<ScaledDown>| Drift {
        object: format!("{kind} {name}"),
        text: format!("{kind} {name} {what}"),
        scaled_down,
    };
    let is_gone = || Some(drift("is gone".to_owned(), None));
    let (resource, capabilities) = match discovery::pinned_kind(&cluster.client, &kind_of).await {
        Ok(found) => found,
        Err(error) if is_forbidden(&error) => return Ok(None),
        Err(kube::Error::Discovery(_)) => return Ok(is_gone()),
        Err(error) if is_not_found(&error) => return Ok(is_gone()),
        Err(error) => return Err(api(format_args!("look for the kind {kind}"))(error)),
    };
    let objects = objects(
        cluster,
        wanted,
        &resource,
        &capabilities.scope,
        release_namespace,
    );
    match objects.get_opt(&name).await {
        Ok(Some(found)) => Ok(scaled(wanted, &found).map(|(what, replicas)| {
            let scaled_down = (kind == "Deployment").then(|| ScaledDown {
                namespace: found.namespace().unwrap_or_default(),
                name: name.clone(),
                replicas,
            });
            drift(what, scaled_down)
        })),
        Ok(None) => Ok(is_gone()),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api(format_args!("read {kind} {name}"))(error)),
    }
}

fn objects(
    cluster: &Cluster,
    wanted: &Value,
    resource: &ApiResource,
    scope: &Scope,
    release_namespace: &str,
) -> Api<DynamicObject> {
    let client = cluster.client.clone();
    if *scope == Scope::Cluster {
        return Api::all_with(client, resource);
    }
    let namespace = wanted["metadata"]["namespace"].as_str();
    Api::namespaced_with(client, namespace.unwrap_or(release_namespace), resource)
}

/// Whether somebody has scaled it down; up may be an autoscaler's doing.
fn scaled(wanted: &Value, found: &DynamicObject) -> Option<(String, i64)> {
    let (wanted, found) = (
        wanted["spec"]["replicas"].as_i64()?,
        found.data["spec"]["replicas"].as_i64()?,
    );
    (found < wanted).then(|| (format!("has {found} replicas instead of {wanted}"), wanted))
}
