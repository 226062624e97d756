//! Questions to the API server about the pods of the sources' namespaces.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use extconn_agent::client::WATCH_SECONDS;
use extconn_agent::logs::causes;
use extconn_api::NamespacedName;
use futures::StreamExt;
use futures::future::{ready, try_join_all};
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Error, ResourceExt};
use parking_lot::Mutex;
use tracing::{debug, info};

use super::answer;
use crate::build::Source;
use crate::metrics::{Lookup, Meters};
use crate::peers::Found;

/// Pause before a namespace is asked about again of which we may know nothing.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(10);

/// Who is asked, and about what.
pub struct Questions {
    client: Client,
    meters: Arc<Meters>,
    sources: Mutex<Arc<[Source]>>,
    /// Until when we do not ask about a namespace.
    forbidden: Mutex<HashMap<String, Instant>>,
}

impl Questions {
    /// About nobody yet.
    pub fn new(client: Client, meters: Arc<Meters>) -> Self {
        Self {
            client,
            meters,
            sources: Mutex::new(Arc::from([])),
            forbidden: Mutex::default(),
        }
    }

    /// About pods of these Services from now on.
    pub fn follow(&self, sources: &[Source]) {
        let mut followed = self.sources.lock();
        if followed.as_ref() != sources {
            *followed = Arc::from(sources);
        }
    }

    /// Whose an address is; `None` if no listed Service's, or if it is not certain.
    pub async fn whose(&self, address: Ipv4Addr) -> Result<Option<Found>, Error> {
        let answer = self.look_up(address).await;
        self.counted(answer)
    }

    /// What is to be known now of a pod that was found.
    pub async fn again(&self, found: &Found, address: Ipv4Addr) -> Result<Option<Found>, Error> {
        let answer = self.confirm(&found.pod, address).await;
        self.counted(answer)
    }

    fn counted(&self, answer: Result<Option<Found>, Error>) -> Result<Option<Found>, Error> {
        self.meters.looked_up(match &answer {
            Ok(Some(_)) => Lookup::Found,
            Ok(None) => Lookup::Nobody,
            Err(_) => Lookup::Failed,
        });
        answer
    }

    /// Whether a node has a pod of the sources' namespaces whose address is not known yet.
    pub async fn anybody_coming(&self) -> Result<bool, Error> {
        let listed = self.listed(answer::UNADDRESSED).await?;
        Ok(!listed.is_empty())
    }

    /// Namespaces of the sources that may be asked about.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let sources = Arc::clone(&self.sources.lock());
        let forbidden = self.forbidden.lock();
        let now = Instant::now();
        let namespaces = sources.iter().map(|source| &source.service.namespace);
        let allowed = namespaces
            .filter(|namespace| forbidden.get(*namespace).is_none_or(|until| *until < now));
        allowed.cloned().collect()
    }

    /// Addresses of the pods of a namespace that change from now on. Ends when the API server ends
    /// it, or what it says cannot be read.
    pub async fn addresses(&self, namespace: &str) -> Result<BoxStream<'static, Ipv4Addr>, Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let one = ListParams::default().limit(1);
        let now = self.heard(namespace, pods.list_metadata(&one).await)?;
        let version = now.metadata.resource_version.unwrap_or_default();
        let addressed = WatchParams::default()
            .fields(answer::ADDRESSED)
            .timeout(WATCH_SECONDS);
        let events = self.heard(namespace, pods.watch(&addressed, &version).await)?;
        let readable =
            events.take_while(|event| ready(!matches!(event, Err(_) | Ok(WatchEvent::Error(_)))));
        let addresses = readable.filter_map(|event| ready(event.ok().and_then(answer::address_in)));
        Ok(addresses.boxed())
    }

    /// Notes what an answer about a namespace says of our permissions.
    fn heard<T>(&self, namespace: &str, answer: Result<T, Error>) -> Result<T, Error> {
        let Err(error) = &answer else {
            return answer;
        };
        if !is_forbidden(error) {
            debug!(namespace, error = causes(error), "cannot ask about pods");
            return answer;
        }
        let until = Instant::now() + FORBIDDEN_PAUSE;
        let before = self.forbidden.lock().insert(namespace.to_owned(), until);
        if before.is_none() {
            info!(
                namespace,
                error = causes(error),
                "may not ask about pods: new ones wait for their EndpointSlice"
            );
        }
        answer
    }

    async fn look_up(&self, address: Ipv4Addr) -> Result<Option<Found>, Error> {
        let listed = self.listed(&answer::with_address(address)).await?;
        let Some(PartialObjectMeta { metadata, .. }) = answer::only_live(listed) else {
            return Ok(None);
        };
        let (Some(namespace), Some(name)) = (metadata.namespace, metadata.name) else {
            return Ok(None);
        };
        self.confirm(&NamespacedName { namespace, name }, address)
            .await
    }

    /// What is relied on, from the API server's store: a list may be from a cache.
    async fn confirm(
        &self,
        key: &NamespacedName,
        address: Ipv4Addr,
    ) -> Result<Option<Found>, Error> {
        let NamespacedName { namespace, name } = key;
        let asked = Instant::now();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pod = self.heard(namespace, pods.get_opt(name).await)?;
        let Some(pod) = pod.filter(|pod| answer::address(pod) == Some(address)) else {
            return Ok(None);
        };
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let sources = Arc::clone(&self.sources.lock());
        for source in sources.iter() {
            let service = &source.service;
            if service.namespace != *namespace {
                continue;
            }
            let read = self.heard(namespace, services.get_opt(&service.name).await)?;
            if read.is_some_and(|read| answer::is_behind(&pod, &read)) {
                let made =
                    answer::age(&pod, Timestamp::now()).and_then(|age| asked.checked_sub(age));
                return Ok(pod.uid().zip(made).map(|(uid, made)| Found {
                    pod: key.clone(),
                    uid,
                    service: service.clone(),
                    made,
                    asked,
                }));
            }
        }
        Ok(None)
    }

    /// Pods of the sources' namespaces that a field selector selects. A cache of the API server will
    /// do: one as new as its store may take it a tenth of a second.
    async fn listed(&self, fields: &str) -> Result<Vec<PartialObjectMeta<Pod>>, Error> {
        let selected = &ListParams::default().fields(fields).match_any();
        let lists = self.namespaces().into_iter().map(|namespace| async move {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
            match self.heard(&namespace, pods.list_metadata(selected).await) {
                Ok(list) => Ok(list.items),
                Err(error) if is_forbidden(&error) => Ok(vec![]),
                Err(error) => Err(error),
            }
        });
        Ok(try_join_all(lists).await?.concat())
    }
}

fn is_forbidden(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 403)
}
