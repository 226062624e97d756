//! What all checks judge: read once, so that they agree with each other.

use extconn_api::{ExternalService, Forwarder, Gateway};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::cli::ConnectorNamespace;
use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::cluster::permissions::{self, Permission};
use crate::cluster::{Cluster, api, installation, is_forbidden, is_not_found};
use crate::failure::Failure;
use crate::helm::ReleaseName;
use crate::program;

/// What was seen. A list that may not be read is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Where extconn runs.
    pub connector_namespace: String,
    /// Version of the API server, `v1.37.2`.
    pub kubernetes: String,
    /// Programs that are installed on this machine.
    pub programs: Vec<&'static str>,
    /// What the user may not do but must, to install.
    pub missing_permissions: Vec<Permission>,
    /// CRDs of the names that extconn uses.
    pub crds: Option<Vec<CustomResourceDefinition>>,
    /// The operator's and the forwarders' Deployments.
    pub deployments: Option<Vec<Deployment>>,
    /// Pods of the connector namespace.
    pub pods: Option<Vec<Pod>>,
    /// ExternalServices of all namespaces.
    pub external_services: Option<Vec<ExternalService>>,
    /// Forwarders.
    pub forwarders: Option<Vec<Forwarder>>,
    /// Gateways.
    pub gateways: Option<Vec<Gateway>>,
    /// Leases that gateways renew.
    pub gateway_leases: Vec<Lease>,
    /// Gateway hosts that `init` wrote down.
    pub gateway_hosts: Vec<GatewayHost>,
    /// EndpointSlices of all namespaces.
    pub endpoint_slices: Option<Vec<EndpointSlice>>,
}

/// Reads it.
///
/// # Errors
/// The API server does not answer.
pub(crate) async fn take(cluster: &Cluster, arg: &ConnectorNamespace) -> Result<Snapshot, Failure> {
    let connector_namespace = installation::connector_namespace(cluster, arg).await?;
    let version = cluster
        .client
        .apiserver_version()
        .await
        .map_err(api("ask for the version of Kubernetes"))?;
    let needed = permissions::of_init(&connector_namespace, &ReleaseName::default().namespace);
    let inside = connector_namespace.as_str();
    let (missing_permissions, crds, deployments, pods, external_services) = tokio::try_join!(
        permissions::missing(cluster, needed),
        list_all::<CustomResourceDefinition>(cluster),
        list_all::<Deployment>(cluster),
        list_all::<Pod>(cluster),
        list_all::<ExternalService>(cluster),
    )?;
    let (forwarders, gateways, endpoint_slices, gateway_hosts, gateway_leases) = tokio::try_join!(
        list_all::<Forwarder>(cluster),
        list_all::<Gateway>(cluster),
        list_all::<EndpointSlice>(cluster),
        gateway_hosts::list(cluster, inside),
        installation::gateway_leases(cluster, inside),
    )?;
    let ours: Vec<String> = extconn_api::crds()
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    Ok(Snapshot {
        kubernetes: version.git_version,
        programs: ["helm", "ssh"]
            .into_iter()
            .filter(|name| program::is_installed(name))
            .collect(),
        missing_permissions,
        crds: crds.map(|all| {
            all.into_iter()
                .filter(|crd| ours.contains(&crd.name_any()))
                .collect()
        }),
        deployments: within(deployments, inside),
        pods: within(pods, inside),
        external_services,
        forwarders: within(forwarders, inside),
        gateways: within(gateways, inside),
        gateway_leases,
        gateway_hosts,
        endpoint_slices,
        connector_namespace,
    })
}

fn within<K: Resource>(objects: Option<Vec<K>>, namespace: &str) -> Option<Vec<K>> {
    objects.map(|all| {
        all.into_iter()
            .filter(|object| object.namespace().as_deref() == Some(namespace))
            .collect()
    })
}

/// All objects of a kind; none if the kind is not known, `None` if they may not be read.
async fn list_all<K>(cluster: &Cluster) -> Result<Option<Vec<K>>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let all: Api<K> = Api::all(cluster.client.clone());
    match all.list(&ListParams::default()).await {
        Ok(list) => Ok(Some(list.items)),
        Err(error) if is_not_found(&error) => Ok(Some(Vec::new())),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api(format_args!("list {}", K::plural(&())))(error)),
    }
}
