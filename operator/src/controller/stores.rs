//! What the operator watches: one store for each kind, and the stream that feeds it and says
//! what has changed.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use extconn_api::{ExternalService, Forwarder, Gateway, NamespacedName, names};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Lookup, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::controller::backoff;
use crate::controller::index::{self, Index};
use crate::controller::wish::Wish;
use crate::reconcile::ownership;
use crate::reconcile::validate::is_older;

/// Whether a store has seen everything that there is. Any number of tasks may wait for it.
pub type AllSeen = tokio::sync::watch::Receiver<bool>;

/// A watch has ended: the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a watch has ended")]
pub struct WatchEnded;

/// Waits until everything has been seen.
///
/// # Errors
/// The watch has ended.
pub async fn wait_for(all_seen: &AllSeen) -> Result<(), WatchEnded> {
    let mut all_seen = all_seen.clone();
    all_seen
        .wait_for(|seen| *seen)
        .await
        .map(|_| ())
        .map_err(|_| WatchEnded)
}

/// What is known of the cluster.
#[derive(Clone)]
pub struct Stores {
    /// Connector namespace.
    pub connector_namespace: String,
    /// One for each store.
    pub all_seen: Vec<AllSeen>,
    /// All ExternalServices.
    pub external_services: Store<ExternalService>,
    /// ExternalServices by what they want.
    pub external_services_by_wish: Index<ExternalService, Wish>,
    /// All Services: sources, and those that the operator made.
    pub services: Store<Service>,
    /// All Services by cluster IP.
    pub services_by_cluster_ip: Index<Service, String>,
    /// All nodes by address.
    pub nodes_by_address: Index<Node, String>,
    /// All Forwarders.
    pub forwarders: Store<Forwarder>,
    /// All Gateways.
    pub gateways: Store<Gateway>,
    /// Gateways by the names of the forwarders that they grant something to.
    pub gateways_by_grant: Index<Gateway, String>,
    /// Forwarders' Deployments.
    pub deployments: Store<Deployment>,
    /// Forwarders' PodDisruptionBudgets.
    pub disruption_budgets: Store<PodDisruptionBudget>,
    /// Forwarders' ServiceAccounts.
    pub service_accounts: Store<ServiceAccount>,
    /// Forwarders' Roles.
    pub roles: Store<Role>,
    /// Forwarders' RoleBindings, in all namespaces.
    pub role_bindings: Store<RoleBinding>,
    /// The same, by the ExternalService that they were made for.
    pub role_bindings_by_owner: Index<RoleBinding, NamespacedName>,
    /// Names and labels of forwarders' pods, by the ExternalService that they were made for.
    pub pods_by_owner: Index<PartialObjectMeta<Pod>, NamespacedName>,
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
    /// Of PodDisruptionBudgets.
    pub disruption_budgets: Changes<PodDisruptionBudget>,
    /// Of ServiceAccounts.
    pub service_accounts: Changes<ServiceAccount>,
    /// Of Roles.
    pub roles: Changes<Role>,
    /// Of RoleBindings.
    pub role_bindings: Changes<RoleBinding>,
    /// Of pods.
    pub pods: Changes<PartialObjectMeta<Pod>>,
}

/// Stores, and the watches that fill them; that of nodes is apart, for no change of a node is one
/// for an ExternalService.
pub fn watch(client: &Client, connector_namespace: &str) -> (Stores, Watches, Watched<Node>) {
    let everything = watcher::Config::default;
    let ours = || {
        let selector = format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY);
        watcher::Config::default().labels(&selector)
    };
    let (external_services, external_services_by_wish) =
        indexed(Api::all(client.clone()), everything(), Wish::of);
    let (services, services_by_cluster_ip) =
        indexed(Api::all(client.clone()), everything(), cluster_ips);
    let (nodes, nodes_by_address) = indexed(Api::all(client.clone()), everything(), node_addresses);
    let forwarders = watched(connector(client, connector_namespace), everything());
    let (gateways, gateways_by_grant) = indexed(
        connector(client, connector_namespace),
        everything(),
        granted,
    );
    let deployments = watched(connector(client, connector_namespace), ours());
    let disruption_budgets = watched(connector(client, connector_namespace), ours());
    let service_accounts = watched(connector(client, connector_namespace), ours());
    let roles = watched(connector(client, connector_namespace), ours());
    let (role_bindings, role_bindings_by_owner) = indexed(Api::all(client.clone()), ours(), owner);
    let (pods, pods_by_owner) = indexed(connector(client, connector_namespace), ours(), owner);
    let stores = Stores {
        connector_namespace: connector_namespace.to_owned(),
        all_seen: vec![
            external_services.all_seen,
            services.all_seen,
            nodes.all_seen.clone(),
            forwarders.all_seen,
            gateways.all_seen,
            deployments.all_seen,
            disruption_budgets.all_seen,
            service_accounts.all_seen,
            roles.all_seen,
            role_bindings.all_seen,
            pods.all_seen,
        ],
        external_services: external_services.store,
        external_services_by_wish,
        services: services.store,
        services_by_cluster_ip,
        nodes_by_address,
        forwarders: forwarders.store,
        gateways: gateways.store,
        gateways_by_grant,
        deployments: deployments.store,
        disruption_budgets: disruption_budgets.store,
        service_accounts: service_accounts.store,
        roles: roles.store,
        role_bindings: role_bindings.store,
        role_bindings_by_owner,
        pods_by_owner,
    };
    let watches = Watches {
        external_services: external_services.changes,
        services: services.changes,
        forwarders: forwarders.changes,
        gateways: gateways.changes,
        deployments: deployments.changes,
        disruption_budgets: disruption_budgets.changes,
        service_accounts: service_accounts.changes,
        roles: roles.changes,
        role_bindings: role_bindings.changes,
        pods: pods.changes,
    };
    (stores, watches, nodes)
}

/// The forwarders to which a gateway grants something, by name.
pub fn granted(gateway: &Gateway) -> Vec<String> {
    let grants = gateway.spec.forwarders.iter();
    grants.map(|grant| grant.name.clone()).collect()
}

/// The addresses at which a Service is reached in the cluster.
pub fn cluster_ips(service: &Service) -> Vec<String> {
    let spec = service.spec.as_ref();
    let all = spec.into_iter().flat_map(|spec| spec.cluster_ips.iter());
    all.flatten().cloned().collect()
}

/// The addresses of a node.
pub fn node_addresses(node: &Node) -> Vec<String> {
    let status = node.status.as_ref();
    let all = status
        .into_iter()
        .flat_map(|status| status.addresses.iter());
    all.flatten()
        .map(|address| address.address.clone())
        .collect()
}

/// The ExternalService that an object was made for.
pub fn owner<K: Resource>(object: &K) -> Vec<NamespacedName> {
    ownership::made_for(object).into_iter().collect()
}

fn connector<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

/// A store of one kind, and the stream that fills it.
pub struct Watched<K: Lookup<DynamicType = ()> + Clone + 'static> {
    /// What is known.
    pub store: Store<K>,
    /// Whether the store holds everything that there is.
    ///
    /// `Store::wait_until_ready` is of no use: it wakes only the last of those who wait, and the
    /// Controller is one of them.
    pub all_seen: AllSeen,
    /// What changes.
    pub changes: Changes<K>,
}

/// Watches objects of one kind.
pub fn watched<K>(api: Api<K>, config: watcher::Config) -> Watched<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    stored(reflector::store(), watcher(api, config), |_| {})
}

/// As [`watched`], with an index of the store by these tags.
fn indexed<K, T>(
    api: Api<K>,
    config: watcher::Config,
    tags: fn(&K) -> Vec<T>,
) -> (Watched<K>, Index<K, T>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    T: Clone + Eq + Hash + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let (index, mut indexer) = index::index(store.clone(), tags);
    let see = move |event: &watcher::Event<K>| indexer.see(event);
    let watched = stored((store, writer), watcher(api, config), see);
    (watched, index)
}

/// `see` is shown each event once the store has taken it in.
fn stored<K>(
    (store, writer): (Store<K>, Writer<K>),
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    mut see: impl FnMut(&watcher::Event<K>) + Send + 'static,
) -> Watched<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (all_seen_tx, all_seen) = tokio::sync::watch::channel(false);
    let changes = events
        .backoff(backoff::of_watch())
        // Often the larger half of an object, and nobody here reads it.
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect_ok(move |event| {
            see(event);
            if matches!(event, watcher::Event::InitDone) {
                all_seen_tx.send_replace(true);
            }
        })
        .touched_objects()
        .boxed();
    Watched {
        store,
        all_seen,
        changes,
    }
}

impl Stores {
    /// Whether every store has seen everything that there is.
    pub fn are_ready(&self) -> bool {
        self.all_seen.iter().all(|all_seen| *all_seen.borrow())
    }

    /// Waits until every store has seen everything that there is.
    ///
    /// # Errors
    /// A watch has ended: the process is stopping.
    pub async fn wait_until_ready(&self) -> Result<(), WatchEnded> {
        for all_seen in &self.all_seen {
            wait_for(all_seen).await?;
        }
        Ok(())
    }

    /// Other ExternalServices of the same name or with a source IP in common.
    pub fn rivals(&self, external_service: &ExternalService) -> Vec<Arc<ExternalService>> {
        let wishes = Wish::of(external_service);
        let mut rivals = self.external_services_by_wish.with(&wishes);
        rivals.retain(|other| ownership::are_rivals(external_service, other));
        rivals
    }

    /// Of the rivals, those that come after it.
    pub fn younger_rivals(&self, external_service: &ExternalService) -> Vec<Arc<ExternalService>> {
        let mut rivals = self.rivals(external_service);
        rivals.retain(|rival| is_older(external_service, rival));
        rivals
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use kube::runtime::watcher::Event;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_for_a_store_is_woken() {
        let mut service = Service::default();
        service.metadata.name = Some("shop".into());
        let (event_tx, mut event_rx) = mpsc::unbounded_channel();
        let events = futures::stream::poll_fn(move |cx| event_rx.poll_recv(cx));
        let Watched {
            store: _,
            all_seen,
            mut changes,
        } = stored::<Service>(reflector::store(), events, |_| {});
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let all_seen = all_seen.clone();
                tokio::spawn(async move { wait_for(&all_seen).await })
            })
            .collect();
        tokio::task::yield_now().await;
        for event in [Event::Init, Event::InitApply(service)] {
            event_tx.send(Ok(event)).unwrap();
        }
        assert!(changes.next().now_or_never().is_some());
        assert!(wait_for(&all_seen).now_or_never().is_none());
        event_tx.send(Ok(Event::InitDone)).unwrap();
        let _ = changes.next().now_or_never();
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Ok(()));
        }
    }
}
