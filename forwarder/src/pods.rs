//! EndpointSlices of the namespaces that the sources are in: one watch for each namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use extconn_agent::view::{Bell, View};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::runtime::watcher;
use tracing::info;

use crate::peers::SERVICE_NAME;

/// The views that are open.
pub struct Pods {
    client: Client,
    bell: Bell,
    namespaces: BTreeMap<String, View<EndpointSlice>>,
}

impl Pods {
    /// No views yet. `bell` rings when one of them changes.
    pub fn new(client: Client, bell: Bell) -> Self {
        Self {
            client,
            bell,
            namespaces: BTreeMap::new(),
        }
    }

    /// Opens and closes views so that there is one for each of `namespaces`. A view that stays
    /// keeps what it has seen.
    pub fn follow(&mut self, namespaces: &BTreeSet<&str>) {
        self.namespaces.retain(|namespace, _| {
            let stays = namespaces.contains(namespace.as_str());
            if !stays {
                info!(namespace, "no source Service is here any more");
            }
            stays
        });
        for &namespace in namespaces {
            if !self.namespaces.contains_key(namespace) {
                info!(namespace, "following the pods of source Services");
                self.namespaces
                    .insert(namespace.to_owned(), self.view(namespace));
            }
        }
    }

    fn view(&self, namespace: &str) -> View<EndpointSlice> {
        View::follow(
            &self.client,
            namespace,
            watcher::Config::default().labels(SERVICE_NAME),
            format!("endpointslices of namespace {namespace}"),
            prune,
            self.bell.clone(),
        )
    }

    /// Namespaces whose pods are not known yet.
    pub fn unseen(&self) -> Vec<&str> {
        let unseen = self
            .namespaces
            .iter()
            .filter(|(_, v)| v.objects().is_none());
        unseen.map(|(namespace, _)| namespace.as_str()).collect()
    }

    /// All EndpointSlices that are known.
    pub fn slices(&self) -> Vec<Arc<EndpointSlice>> {
        let views = self.namespaces.values();
        views.filter_map(View::objects).flatten().collect()
    }
}

/// Drops what nobody reads: a namespace may have thousands of endpoints.
fn prune(slice: &mut EndpointSlice) {
    slice.metadata.annotations = None;
    slice.metadata.owner_references = None;
    slice.ports = None;
    for endpoint in &mut slice.endpoints {
        endpoint.deprecated_topology = None;
        endpoint.hints = None;
        endpoint.hostname = None;
        endpoint.node_name = None;
        endpoint.zone = None;
    }
}
