//! Decides when to reconcile which ExternalService; how is `reconcile`'s business.

pub mod backoff;
pub mod orphans;
pub mod stores;
mod triggers;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use extconn_api::ExternalService;
use futures::StreamExt;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config, Error as ControllerError};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource};

use crate::reconcile::{Error, ownership, reconcile};
use crate::settings::Settings;
use backoff::Backoff;
use stores::{Stores, Watches};

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
}

impl Context {
    /// A context; events name the operator as their source.
    pub fn new(client: Client, settings: Settings, stores: Stores) -> Self {
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
        service_accounts,
        roles,
        role_bindings,
        pods,
    } = watches;
    let stores = context.stores.clone();
    let all = stores.external_services.clone();
    // A change of one is a change for those that wait for its name or source IP. One stream
    // does both, because a second watch could run ahead of the store.
    let external_services = external_services.flat_map(move |change| {
        let rivals: Vec<ExternalService> = match &change {
            Ok(changed) => stores
                .rivals(changed)
                .iter()
                .map(|rival| (**rival).clone())
                .collect(),
            Err(_) => vec![],
        };
        futures::stream::iter(std::iter::once(change).chain(rivals.into_iter().map(Ok)))
    });
    let by_service = {
        let (all, namespace) = (all.clone(), context.settings.connector_namespace.clone());
        move |service| triggers::by_service(&service, &all.state(), &namespace)
    };
    let by_gateway = {
        let all = all.clone();
        move |gateway| triggers::by_gateway(&gateway, &all.state())
    };
    Controller::for_stream(external_services, all)
        .with_config(
            Config::default()
                .concurrency(concurrency)
                .debounce(DEBOUNCE),
        )
        .watches_stream(services, by_service)
        .watches_stream(gateways, by_gateway)
        .watches_stream(forwarders, |o| triggers::by_owner(&o))
        .watches_stream(deployments, |o| triggers::by_owner(&o))
        .watches_stream(service_accounts, |o| triggers::by_owner(&o))
        .watches_stream(roles, |o| triggers::by_owner(&o))
        .watches_stream(role_bindings, |o| triggers::by_owner(&o))
        .watches_stream(pods, |o| triggers::by_owner(&o))
        .graceful_shutdown_on(stop)
        .run(reconcile, retry, context.clone())
        .for_each(|result| {
            log(result, &context);
            std::future::ready(())
        })
        .await;
}

fn retry(external_service: Arc<ExternalService>, _: &Error, context: Arc<Context>) -> Action {
    Action::requeue(context.backoff.failed(&ownership::key(&*external_service)))
}

type Reconciled = Result<
    (ObjectRef<ExternalService>, Action),
    ControllerError<Error, kube::runtime::watcher::Error>,
>;

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
            tracing::warn!(%error, "a watch failed, trying again");
        }
        Err(error) => tracing::warn!(%error, "the controller failed, trying again"),
    }
}
