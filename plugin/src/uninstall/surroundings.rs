//! Looks at what of extconn is there before anything is removed.

use extconn_api::ExternalService;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::crds;
use super::hook::{self, Lost, Operator, Phase, Place};
use super::plan::{Counts, Scope};
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::cluster::installation::CLUSTER_ROLE;
use crate::cluster::{Cluster, api, installation, is_forbidden, is_not_found};
use crate::failure::Failure;
use crate::helm::release::Release;
use crate::helm::{CHART_NAME, Helm, Hook, ReleaseName};

/// What is there. Beside the hosts, nothing is looked at that the scope leaves alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// Gateway hosts that `init` wrote down; none if they are to be left alone.
    pub known: Vec<GatewayHost>,
    /// The helm release.
    pub release: Option<Installed>,
    /// CRDs of ours.
    pub crds: Vec<String>,
    /// ExternalServices.
    pub counts: Counts,
    /// ExternalServices that wait for an operator whose namespace is going or gone.
    pub orphans: usize,
}

/// A helm release, how it goes, and what goes with it.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    /// As helm knows it.
    pub release: Release,
    /// Whether the chart's clean-up runs.
    pub hook: Hook,
    /// The namespace that goes with it.
    pub lost: Option<Lost>,
}

/// Looks around.
///
/// # Errors
/// Something may not be read without which extconn would go in part only; helm does not know what
/// is there; or the chart's clean-up must run and cannot.
pub(super) async fn look(
    cluster: &Cluster,
    helm: &Helm,
    connector_namespace: &str,
    scope: &Scope,
) -> Result<Surroundings, Failure> {
    let known = gateway_hosts::list_all(cluster, connector_namespace);
    let Scope::Everything { hosts, .. } = scope else {
        return Ok(Surroundings {
            known: known.await?,
            ..Surroundings::default()
        });
    };
    let known = if *hosts {
        known
            .await
            .map_err(|failure| failure.or("leave the hosts as they are with --keep-gateways"))?
    } else {
        Vec::new()
    };
    let place = place(cluster, connector_namespace, helm.release_name()).await?;
    let counts = counts(cluster, connector_namespace).await?;
    let orphans = if place.phase == Phase::There {
        0
    } else {
        counts.held
    };
    let release = match release(helm).await? {
        Some(release) => Some(Installed {
            release,
            hook: hook::hook(
                &place,
                counts,
                operator(cluster, connector_namespace).await?,
            ),
            lost: place.lost(counts),
        }),
        None if orphans > 0 => None,
        None => {
            refuse_what_helm_does_not_know(cluster, &place).await?;
            None
        }
    };
    Ok(Surroundings {
        known,
        release,
        crds: crds::present(cluster).await?,
        counts,
        orphans,
    })
}

/// The release, if it is of our chart.
async fn release(helm: &Helm) -> Result<Option<Release>, Failure> {
    match helm.release().await? {
        Some(release) if helm.chart_of_release().await? == CHART_NAME => Ok(Some(release)),
        _ => Ok(None),
    }
}

async fn place(cluster: &Cluster, name: &str, release: &ReleaseName) -> Result<Place, Failure> {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let found = namespaces.get_opt(name).await;
    let found = found.map_err(api(format_args!("read namespace {name}")))?;
    Ok(Place::of(name, found.as_ref(), release))
}

/// Counts the ExternalServices; there are none if the cluster does not know the kind.
///
/// # Errors
/// The API server's refusal.
pub(super) async fn counts(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<Counts, Failure> {
    let all: Api<ExternalService> = Api::all(cluster.client.clone());
    match all.list(&ListParams::default()).await {
        Ok(found) => Ok(Counts::of(&found.items, connector_namespace)),
        Err(error) if is_not_found(&error) => Ok(Counts::default()),
        Err(error) => Err(api("list ExternalServices")(error)),
    }
}

async fn operator(cluster: &Cluster, namespace: &str) -> Result<Operator, Failure> {
    let found = installation::operators(cluster, Some(namespace)).await;
    let found = found.map_err(api("look for the operator"))?;
    let mut ready = found
        .iter()
        .filter_map(|operator| operator.status.as_ref()?.ready_replicas);
    Ok(if ready.any(|pods| pods > 0) {
        Operator::Ready
    } else {
        Operator::NotReady
    })
}

/// Without helm's records nothing could be removed, and it must not be said that nothing is there.
async fn refuse_what_helm_does_not_know(cluster: &Cluster, place: &Place) -> Result<(), Failure> {
    let operators = match installation::operators(cluster, None).await {
        Ok(found) => found,
        Err(error) if is_forbidden(&error) => Vec::new(),
        Err(error) => return Err(api("look for the operator")(error)),
    };
    let operator = operators.first().and_then(ResourceExt::namespace);
    let (namespace, what) = match operator {
        Some(namespace) => (namespace.clone(), format!("is in namespace {namespace}")),
        None if place.is_of_release && place.phase == Phase::Leaving => {
            let name = &place.name;
            return Err(
                Failure::failed(format!("namespace {name} is still being deleted")).next(format!(
                    "see what holds it, in the conditions of `kubectl get namespace {name} -o yaml`, then run this again"
                )),
            );
        }
        None if place.is_of_release && place.phase == Phase::There => (
            place.name.clone(),
            format!("is in namespace {}", place.name),
        ),
        None if installation::cluster_role(cluster).await?.is_some() => (
            place.name.clone(),
            format!("left ClusterRole {CLUSTER_ROLE}"),
        ),
        None => return Ok(()),
    };
    Err(
        Failure::failed(format!("helm has no record of the extconn that {what}")).next(format!(
            "`kubectl extconn init --connector-namespace {namespace}` takes it over; then run this again"
        )),
    )
}
