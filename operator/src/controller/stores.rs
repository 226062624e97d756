//! What the operator watches: one store for each kind, and the stream that feeds it and says
//! what has changed.

use std::fmt::Debug;
use std::sync::Arc;

use extconn_api::{ExternalService, Forwarder, Gateway, names};
use futures::stream::BoxStream;
use futures::{StreamExt, TryFutureExt, future};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::reconcile::ownership;

/// What is known of the cluster.
#[derive(Clone)]
pub struct Stores {
    /// Connector namespace.
    pub connector_namespace: String,
    /// All ExternalServices.
    pub external_services: Store<ExternalService>,
    /// All Services: sources, and those that the operator made.
    pub services: Store<Service>,
    /// All Forwarders.
    pub forwarders: Store<Forwarder>,
    /// All Gateways.
    pub gateways: Store<Gateway>,
    /// Forwarders' Deployments.
    pub deployments: Store<Deployment>,
    /// Forwarders' ServiceAccounts.
    pub service_accounts: Store<ServiceAccount>,
    /// Forwarders' Roles.
    pub roles: Store<Role>,
    /// Forwarders' RoleBindings, in all namespaces.
    pub role_bindings: Store<RoleBinding>,
    /// Names and labels of forwarders' pods.
    pub pods: Store<PartialObjectMeta<Pod>>,
}

/// Changes of one kind.
pub type Changes<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// Changes of everything watched. Whoever polls them fills the stores.
pub struct Watches {
    /// Of ExternalServices.
    pub external_services: Changes<ExternalService>,
    /// Of Services.
    pub services: Changes<Service>,
    /// Of Forwarders.
    pub forwarders: Changes<Forwarder>,
    /// Of Gateways.
    pub gateways: Changes<Gateway>,
    /// Of Deployments.
    pub deployments: Changes<Deployment>,
    /// Of ServiceAccounts.
    pub service_accounts: Changes<ServiceAccount>,
    /// Of Roles.
    pub roles: Changes<Role>,
    /// Of RoleBindings.
    pub role_bindings: Changes<RoleBinding>,
    /// Of pods.
    pub pods: Changes<PartialObjectMeta<Pod>>,
}

/// Stores, and the watches that fill them.
pub fn watch(client: &Client, connector_namespace: &str) -> (Stores, Watches) {
    let everything = watcher::Config::default();
    let ours = || {
        let selector = format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY);
        watcher::Config::default().labels(&selector)
    };
    let (external_services, external_service_changes) =
        stored(watcher(Api::all(client.clone()), everything.clone()));
    let (services, service_changes) = stored(watcher(Api::all(client.clone()), everything.clone()));
    let (forwarders, forwarder_changes) = stored(watcher(
        connector(client, connector_namespace),
        everything.clone(),
    ));
    let (gateways, gateway_changes) =
        stored(watcher(connector(client, connector_namespace), everything));
    let (deployments, deployment_changes) =
        stored(watcher(connector(client, connector_namespace), ours()));
    let (service_accounts, service_account_changes) =
        stored(watcher(connector(client, connector_namespace), ours()));
    let (roles, role_changes) = stored(watcher(connector(client, connector_namespace), ours()));
    let (role_bindings, role_binding_changes) = stored(watcher(Api::all(client.clone()), ours()));
    let (pods, pod_changes) = stored(watcher(connector(client, connector_namespace), ours()));
    let stores = Stores {
        connector_namespace: connector_namespace.to_owned(),
        external_services,
        services,
        forwarders,
        gateways,
        deployments,
        service_accounts,
        roles,
        role_bindings,
        pods,
    };
    let watches = Watches {
        external_services: external_service_changes,
        services: service_changes,
        forwarders: forwarder_changes,
        gateways: gateway_changes,
        deployments: deployment_changes,
        service_accounts: service_account_changes,
        roles: role_changes,
        role_bindings: role_binding_changes,
        pods: pod_changes,
    };
    (stores, watches)
}

fn connector<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

/// The store of one kind and the stream that fills it.
pub fn stored<K>(
    events: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
) -> (Store<K>, Changes<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let changes = events
        .default_backoff()
        // Often the larger half of an object, and nobody here reads it.
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .touched_objects()
        .boxed();
    (store, changes)
}

impl Stores {
    /// Waits until every store has seen everything that there is.
    pub async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        let Self {
            connector_namespace: _,
            external_services,
            services,
            forwarders,
            gateways,
            deployments,
            service_accounts,
            roles,
            role_bindings,
            pods,
        } = self;
        future::try_join5(
            external_services.wait_until_ready(),
            services.wait_until_ready(),
            forwarders.wait_until_ready(),
            gateways.wait_until_ready(),
            deployments.wait_until_ready(),
        )
        .and_then(|_| {
            future::try_join4(
                service_accounts.wait_until_ready(),
                roles.wait_until_ready(),
                role_bindings.wait_until_ready(),
                pods.wait_until_ready(),
            )
        })
        .await?;
        Ok(())
    }

    /// Other ExternalServices of the same name or with a source IP in common.
    pub fn rivals(&self, external_service: &ExternalService) -> Vec<Arc<ExternalService>> {
        self.external_services
            .state_filter(|other| ownership::are_rivals(external_service, other))
    }
}
