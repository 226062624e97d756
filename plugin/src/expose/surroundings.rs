//! Reads what a new ExternalService has to fit into. Whatever may not be read is left unknown.

use extconn_api::permission::{self, Denied, Namespaces, Trust};
use extconn_api::{ExternalService, Gateway, NamespacedName};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cluster::gateway_hosts::{self, GatewayHost};
use crate::cluster::{Cluster, api, installation, is_forbidden, is_not_found};
use crate::failure::Failure;
use crate::status::observe::not_installed;

/// What the cluster has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Where extconn runs.
    pub connector_namespace: String,
    /// Whether an operator is there, if that could be read.
    pub has_operator: Option<bool>,
    /// Other namespaces whose ExternalServices may list Services of every namespace, if that could
    /// be read.
    pub trusted: Option<Namespaces>,
    /// Services that could be read.
    pub services: Vec<Service>,
    /// In which namespaces Services could be read.
    pub services_seen_in: Seen,
    /// ExternalServices of all namespaces, as far as they could be read.
    pub external_services: Vec<ExternalService>,
    /// Gateways, as far as they could be read.
    pub gateways: Vec<Gateway>,
    /// Gateway hosts that `init` has set up.
    pub gateway_hosts: Vec<GatewayHost>,
}

/// In which namespaces something could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Everywhere.
    Everywhere,
    /// In one.
    In(String),
    /// Nowhere.
    #[default]
    Nowhere,
}

impl Seen {
    /// Whether an object of `namespace` would have been seen.
    pub(crate) fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::In(seen) => seen == namespace,
            Self::Nowhere => false,
        }
    }
}

impl Surroundings {
    /// The Service of this name, if it was seen.
    pub(crate) fn service(&self, key: &NamespacedName) -> Option<&Service> {
        self.services.iter().find(|service| {
            service.metadata.namespace.as_ref() == Some(&key.namespace)
                && service.metadata.name.as_ref() == Some(&key.name)
        })
    }

    /// Whether ExternalServices of the namespace `by` may list this Service, as far as what was
    /// seen tells.
    pub(crate) fn may_list(&self, key: &NamespacedName, by: &str) -> Result<(), Denied> {
        let annotations = self.service(key).map(ResourceExt::annotations);
        let consent = annotations.and_then(|a| a.get(permission::EXPOSED_TO));
        let trust = Trust {
            connector_namespace: self.connector_namespace.clone(),
            others: self.trusted.clone().unwrap_or_default(),
        };
        permission::check_service(key, consent.map(String::as_str), by, &trust)
    }
}

/// Reads it all.
///
/// # Errors
/// extconn is not installed, or the API server's refusal other than a missing permission.
pub(crate) async fn observe(
    cluster: &Cluster,
    connector_namespace: &str,
) -> Result<Surroundings, Failure> {
    let everything = ListParams::default();
    let client = || cluster.client.clone();
    let (services, services_seen_in) = services(cluster).await?;
    let all: Api<ExternalService> = Api::all(client());
    let external_services = match all.list(&everything).await {
        Ok(list) => list.items,
        Err(error) if is_not_found(&error) => return Err(not_installed()),
        Err(error) if is_forbidden(&error) => {
            let own: Api<ExternalService> = Api::namespaced(client(), &cluster.namespace);
            let own = own.list(&everything).await;
            own.map(|list| list.items)
                .or_else(empty_if_forbidden("list ExternalServices"))?
        }
        Err(error) => return Err(api("list ExternalServices")(error)),
    };
    let gateways: Api<Gateway> = Api::namespaced(client(), connector_namespace);
    let gateways = gateways.list(&everything).await.map(|list| list.items);
    Ok(Surroundings {
        connector_namespace: connector_namespace.to_owned(),
        has_operator: has_operator(cluster, connector_namespace).await?,
        trusted: installation::trusted_namespaces(cluster, connector_namespace).await?,
        services,
        services_seen_in,
        external_services,
        gateways: gateways.or_else(empty_if_forbidden("list Gateways"))?,
        gateway_hosts: gateway_hosts::list(cluster, connector_namespace).await?,
    })
}

async fn has_operator(cluster: &Cluster, namespace: &str) -> Result<Option<bool>, Failure> {
    match installation::operators(cluster, Some(namespace)).await {
        Ok(found) => Ok(Some(!found.is_empty())),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(api("look for the operator")(error)),
    }
}

async fn services(cluster: &Cluster) -> Result<(Vec<Service>, Seen), Failure> {
    let all: Api<Service> = Api::all(cluster.client.clone());
    match all.list(&ListParams::default()).await {
        Ok(list) => return Ok((list.items, Seen::Everywhere)),
        Err(error) if is_forbidden(&error) => {}
        Err(error) => return Err(api("list Services")(error)),
    }
    let own: Api<Service> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    match own.list(&ListParams::default()).await {
        Ok(list) => Ok((list.items, Seen::In(cluster.namespace.clone()))),
        Err(error) if is_forbidden(&error) => Ok((Vec::new(), Seen::Nowhere)),
        Err(error) => Err(api("list Services")(error)),
    }
}

fn empty_if_forbidden<T>(
    action: &'static str,
) -> impl FnOnce(kube::Error) -> Result<Vec<T>, Failure> {
    move |error| {
        if is_forbidden(&error) {
            Ok(Vec::new())
        } else {
            Err(api(action)(error))
        }
    }
}
