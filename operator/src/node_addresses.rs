//! Keeps the addresses of all nodes in one ConfigMap, so that forwarders can refuse connections
//! from nodes without reading Nodes themselves. See docs/decisions/0011-node-addresses.md.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use extconn_api::names;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::ObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::time::timeout;

use crate::controller::{Context, stores};
use crate::reconcile::put;

/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Publishes the addresses whenever they change; ends with its watch.
pub async fn publish(client: Client, context: Arc<Context>) {
    let nodes = watcher(Api::<Node>::all(client), watcher::Config::default());
    let (nodes, mut changes) = stores::stored(nodes);
    let api: Api<ConfigMap> = context.connector();
    let mut published = None;
    loop {
        match timeout(RETRY, changes.next()).await {
            Ok(None) => return,
            Ok(Some(Err(error))) => {
                tracing::warn!(%error, "the watch of Nodes failed, trying again")
            }
            Ok(Some(Ok(_))) | Err(_) => {}
        }
        // Half a list would let the other nodes through.
        if nodes.wait_until_ready().now_or_never().is_none() {
            continue;
        }
        let addresses: BTreeSet<IpAddr> = nodes
            .state()
            .iter()
            .flat_map(|node| addresses(node))
            .collect();
        if published.as_ref() == Some(&addresses) {
            continue;
        }
        match put(&api, config_map(&addresses), None).await {
            Ok(_) => {
                tracing::info!(addresses = addresses.len(), "published the node addresses");
                published = Some(addresses);
            }
            Err(error) => tracing::warn!(%error, "failed to publish the node addresses"),
        }
    }
}

fn addresses(node: &Node) -> Vec<IpAddr> {
    let addresses = node
        .status
        .iter()
        .flat_map(|status| status.addresses.iter().flatten());
    // The others are names: they do not parse.
    addresses
        .filter_map(|address| address.address.parse().ok())
        .collect()
}

fn config_map(addresses: &BTreeSet<IpAddr>) -> ConfigMap {
    let label = (
        names::LABEL_MANAGED_BY.to_owned(),
        names::MANAGED_BY.to_owned(),
    );
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(names::NODE_ADDRESSES.into()),
            labels: Some([label].into()),
            ..ObjectMeta::default()
        },
        data: Some(extconn_api::node_addresses::to_config_map(addresses)),
        ..ConfigMap::default()
    }
}
