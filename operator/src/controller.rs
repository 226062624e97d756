//! Decides when to reconcile which ExternalService; how is `reconcile`'s business.

pub mod backoff;
pub mod index;
mod memory;
pub mod orphans;
pub mod stores;
mod triggers;
pub mod wish;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use extconn_api::{ExternalService, Gateway};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
use kube::runtime::controller::{Action, Config, Error as ControllerError};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, Resource};

use crate::metrics::{Ended, Meters};
use crate::reconcile::{Error, ownership, reconcile};
use crate::settings::Settings;
use backoff::Backoff;
use memory::Memory;
use stores::{Changes, Stores, Watches};
use triggers::Claim;

/// Changes that follow each other closer than this are reconciled together.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// What every reconcile works with.
pub struct Context {
    /// Client of the API server.
    pub client: Client,
    /// What the administrator chose.
    pub settings: Settings,
    /// What is known of the cluster.
    pub stores: Stores,
    /// Publishes Events.
    pub recorder: Recorder,
    /// Failures so far.
    pub backoff: Backoff,
    /// What is counted.
    pub meters: Arc<Meters>,
}

impl Context {
    /// A context; events name the operator as their source.
    pub fn new(client: Client, settings: Settings, stores: Stores, meters: Arc<Meters>) -> Self {
        let reporter = Reporter {
            controller: "extconn-operator".into(),
            instance: None,
        };
        let recorder = Recorder::new(client.clone(), reporter);
        Self {
            client,
            settings,
            stores,
            recorder,
            backoff: Backoff::default(),
            meters,
        }
    }

    /// Objects of the connector namespace.
    pub fn connector<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        self.namespaced(&self.settings.connector_namespace)
    }

    /// Objects of a namespace.
    pub fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Reconciles until `stop` resolves, then finishes what has begun.
pub async fn run(
    context: Arc<Context>,
    watches: Watches,
    concurrency: u16,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let Watches {
        external_services,
        services,
        forwarders,
        gateways,
        deployments,
        disruption_budgets,
        service_accounts,
        roles,
        role_bindings,
        pods,
    } = watches;
    let all = context.stores.external_services.clone();
    let wishing = context.stores.external_services_by_wish.clone();
    let by_service = {
        let (wishing, namespace) = (
            wishing.clone(),
            context.settings.connector_namespace.clone(),
        );
        move |service: Service| {
            let listing = wishing.with(&triggers::wishes_for_service(&service, &namespace));
            let listing: Vec<_> = listing
                .iter()
                .map(|es| ObjectRef::from_obj(&**es))
                .collect();
            listing.into_iter().chain(triggers::by_owner(&service))
        }
    };
    let by_gateway = {
        let mut memory = Memory::new(context.stores.gateways.clone());
        let by_gateway = Mutex::new(move |changed: Gateway| {
            let (before, now) = memory.step(&changed);
            let (before, now) = (before.as_deref(), now.as_deref());
            let wishing = wishing.with(&triggers::wishes_for_gateway(before, now));
            triggers::by_gateway(before, now, &wishing)
        });
        move |gateway| (by_gateway.lock().unwrap_or_else(PoisonError::into_inner))(gateway)
    };
    let external_services = with_rivals(external_services, context.stores.clone());
    Controller::for_stream(external_services, all)
        .with_config(
            Config::default()
                .concurrency(concurrency)
                .debounce(DEBOUNCE),
        )
        .trigger_backoff(backoff::of_watch())
        .watches_stream(services, by_service)
        .watches_stream(gateways, by_gateway)
        .watches_stream(forwarders, |o| triggers::by_owner(&o))
        .watches_stream(deployments, |o| triggers::by_owner(&o))
        .watches_stream(disruption_budgets, |o| triggers::by_owner(&o))
        .watches_stream(service_accounts, |o| triggers::by_owner(&o))
        .watches_stream(roles, |o| triggers::by_owner(&o))
        .watches_stream(role_bindings, |o| triggers::by_owner(&o))
        .watches_stream(pods, |o| triggers::by_owner(&o))
        .graceful_shutdown_on(stop)
        .run(measured, retry, context.clone())
        .for_each(|result| {
            log(result, &context);
            std::future::ready(())
        })
        .await;
}

/// A change of one ExternalService is a change for those that wait for its name or source IP.
/// One stream does both, because a second watch could run ahead of the store.
fn with_rivals(
    changes: Changes<ExternalService>,
    stores: Stores,
) -> impl Stream<Item = Result<ExternalService, watcher::Error>> {
    let mut memory = Memory::new(stores.external_services.clone());
    changes.flat_map(move |change| {
        let rivals = match &change {
            Ok(changed) => {
                let (before, now) = memory.step(changed);
                if before.as_deref().map(Claim::of) == now.as_deref().map(Claim::of) {
                    vec![]
                } else {
                    // What it has given up matters as much as what it claims.
                    let claims = before.iter().chain(&now);
                    claims
                        .flat_map(|claim| stores.younger_rivals(claim))
                        .collect()
                }
            }
            Err(_) => vec![],
        };
        let rivals = rivals.into_iter().map(|rival| Ok((*rival).clone()));
        futures::stream::iter(std::iter::once(change).chain(rivals))
    })
}

/// Reconciles, and notes how that ended and how long it took.
async fn measured(
    external_service: Arc<ExternalService>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let began = Instant::now();
    let result = reconcile(external_service, context.clone()).await;
    let ended = match &result {
        Ok(_) => Ended::Well,
        Err(_) => Ended::Badly,
    };
    context.meters.reconciled(ended, began.elapsed());
    result
}

fn retry(external_service: Arc<ExternalService>, _: &Error, context: Arc<Context>) -> Action {
    Action::requeue(context.backoff.failed(&ownership::key(&*external_service)))
}

type Reconciled =
    Result<(ObjectRef<ExternalService>, Action), ControllerError<Error, watcher::Error>>;

fn log(result: Reconciled, context: &Context) {
    let key = |object: &ObjectRef<ExternalService>| extconn_api::NamespacedName {
        namespace: object.namespace.clone().unwrap_or_default(),
        name: object.name.clone(),
    };
    match result {
        Ok((object, _)) => {
            let external_service = key(&object);
            tracing::debug!(%external_service, "reconciled");
            context.backoff.succeeded(&external_service);
        }
        // Gone while it waited for its turn.
        Err(ControllerError::ObjectNotFound(object)) => {
            context
                .backoff
                .succeeded(&key(&object.into_kind_unchecked(())));
        }
        Err(ControllerError::ReconcilerFailed(error, object)) => {
            let external_service = object.name;
            let namespace = object.namespace.unwrap_or_default();
            tracing::warn!(%external_service, %namespace, %error, "failed to reconcile, trying again");
        }
        Err(ControllerError::QueueError(error)) => {
            context.meters.watch_failed();
            tracing::warn!(%error, "a watch failed, trying again");
        }
        Err(error) => tracing::warn!(%error, "the controller failed, trying again"),
    }
}
