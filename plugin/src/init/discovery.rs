//! Finds out what is in the cluster before anything is asked or changed.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::Api;

use crate::cli::ConnectorNamespace;
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::cluster::permissions::{self, Permission};
use crate::cluster::{Cluster, api, installation, is_forbidden};
use crate::failure::Failure;
use crate::helm::ReleaseName;

/// Oldest Kubernetes that the chart takes.
const OLDEST: (u32, u32) = (1, 31);

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct Discovery {
    /// `v1.37.2`.
    pub kubernetes: String,
    /// Namespace in which extconn runs or will run.
    pub connector_namespace: String,
    /// The helm release that installed it, or the one to make.
    pub release: ReleaseName,
    /// Whether an operator is there.
    pub installed: bool,
    /// Whether it would have been seen.
    pub may_look: bool,
    /// Whether all is there that nothing runs without: the operator and the CRDs.
    pub is_whole: bool,
    /// Whether the Submariner project is there, which may be so.
    pub submariner: bool,
    /// Gateway hosts that were set up before.
    pub gateway_hosts: Vec<GatewayHost>,
    /// What the user may not do but must.
    pub missing: Vec<Permission>,
}

/// Looks around.
///
/// # Errors
/// The cluster is too old, holds somebody else's CRDs of our names, or does not answer.
pub(crate) async fn discover(
    cluster: &Cluster,
    arg: &ConnectorNamespace,
) -> Result<Discovery, Failure> {
    let version = cluster
        .client
        .apiserver_version()
        .await
        .map_err(api("ask for the version of Kubernetes"))?;
    let digits = |text: &str| {
        text.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap_or(0)
    };
    if (digits(&version.major), digits(&version.minor)) < OLDEST {
        return Err(Failure::could_not_run(format!(
            "Kubernetes {} is too old",
            version.git_version
        ))
        .next(format!(
            "upgrade the cluster to {}.{} or later",
            OLDEST.0, OLDEST.1
        )));
    }
    let connector_namespace = installation::connector_namespace(cluster, arg).await?;
    let operators = installation::operators(cluster, Some(&connector_namespace)).await;
    let may_look = !matches!(&operators, Err(error) if is_forbidden(error));
    let operators = match operators {
        Ok(operators) => operators,
        Err(_) if !may_look => Vec::new(),
        Err(error) => return Err(api("look for the operator")(error)),
    };
    installation::refuse_elsewhere(cluster, arg).await?;
    let release = installation::release_name(cluster, &connector_namespace).await?;
    let crds = look_at_crds(cluster).await?;
    let needed = permissions::of_init(&connector_namespace, &release.namespace);
    Ok(Discovery {
        kubernetes: version.git_version,
        installed: !operators.is_empty(),
        may_look,
        is_whole: !operators.is_empty() && crds.ours == extconn_api::crds().len(),
        submariner: crds.submariner,
        gateway_hosts: gateway_hosts::list(cluster, &connector_namespace).await?,
        missing: permissions::missing(cluster, needed).await?,
        connector_namespace,
        release,
    })
}

/// Whether the namespace is this release's, or not there yet: one that is somebody's stays theirs.
///
/// # Errors
/// It is being deleted, or the API server's refusal.
pub(crate) async fn is_namespace_ours(
    cluster: &Cluster,
    name: &str,
    release: &ReleaseName,
) -> Result<bool, Failure> {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let found = namespaces.get_opt(name).await;
    let Some(found) = found.map_err(api(format_args!("read namespace {name}")))? else {
        return Ok(true);
    };
    if found.metadata.deletion_timestamp.is_some() {
        return Err(Failure::failed(format!("namespace {name} is still being deleted")).next(
            format!("run this again when it is gone; if ExternalServices hold it, `kubectl extconn uninstall` releases them, and `kubectl get namespace {name} -o yaml` says what else it waits for"),
        ));
    }
    Ok(installation::release_of(&found).as_ref() == Some(release))
}

/// What is there of CustomResourceDefinitions.
#[derive(Default)]
struct Crds {
    /// How many of ours.
    ours: usize,
    /// Whether the Submariner project's are.
    submariner: bool,
}

/// Looks at them; nothing is seen by those who may not read them.
///
/// # Errors
/// A CRD of our name belongs to somebody else.
async fn look_at_crds(cluster: &Cluster) -> Result<Crds, Failure> {
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut seen = Crds::default();
    for ours in extconn_api::crds() {
        let name = ours.name_any();
        let found = match crds.get_opt(&name).await {
            Ok(found) => found,
            Err(error) if is_forbidden(&error) => return Ok(Crds::default()),
            Err(error) => {
                return Err(api(format_args!("read CustomResourceDefinition {name}"))(
                    error,
                ));
            }
        };
        let Some(found) = found else {
            continue;
        };
        let version = &ours.spec.versions[0].name;
        if found.spec.versions.iter().all(|v| v.name != *version) {
            return Err(Failure::could_not_run(format!(
                "CustomResourceDefinition {name} is there and is not ours"
            ))
            .next("two programs cannot share it: remove the other one first"));
        }
        seen.ours += 1;
    }
    let submariner = crds.get_opt("gateways.submariner.io").await;
    seen.submariner = submariner.map_err(api("look for Submariner"))?.is_some();
    Ok(seen)
}
