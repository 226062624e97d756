//! Keeps the addresses of all nodes in one ConfigMap, so that forwarders can refuse connections
//! from nodes without reading Nodes themselves. See docs/decisions/0011-node-addresses.md.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use extconn_api::names;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::Client;
use kube::api::{Api, ObjectMeta};
use kube::runtime::watcher;
use tokio::time::timeout;

use crate::controller::Context;
use crate::controller::stores::{Watched, wait_for, watched};
use crate::reconcile::put;

/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Keeps the ConfigMap in line with the Nodes; ends with its watches.
pub async fn publish(client: Client, context: Arc<Context>, nodes: Watched<Node>) {
    let own =
        watcher::Config::default().fields(&format!("metadata.name={}", names::NODE_ADDRESSES));
    let namespace = &context.settings.connector_namespace;
    let published = watched(Api::<ConfigMap>::namespaced(client, namespace), own);
    // An empty list makes no change, so that all has been seen is one of its own.
    let all_seen = async {
        wait_for(&nodes.all_seen).await?;
        wait_for(&published.all_seen).await
    };
    let changes = stream::select(
        stream::select(
            nodes.changes.map(|change| change.map(|_| ())),
            published.changes.map(|change| change.map(|_| ())),
        ),
        stream::once(all_seen).map(|_| Ok(())),
    );
    let mut changes = std::pin::pin!(changes);
    let api: Api<ConfigMap> = context.connector();
    loop {
        match timeout(RETRY, changes.next()).await {
            Ok(None) => return,
            Ok(Some(Err(error))) => {
                tracing::warn!(%error, "a watch for the node addresses failed, trying again");
            }
            Ok(Some(Ok(()))) | Err(_) => {}
        }
        // Half a list would let the other nodes through.
        if !(*nodes.all_seen.borrow() && *published.all_seen.borrow()) {
            continue;
        }
        let addresses = nodes
            .store
            .state()
            .iter()
            .flat_map(|node| addresses(node))
            .collect();
        let desired = config_map(namespace, &addresses);
        let observed = published.store.state().pop();
        if let Err(error) = put(&api, desired, observed.as_deref()).await {
            tracing::warn!(%error, "failed to publish the node addresses, trying again");
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

fn config_map(namespace: &str, addresses: &BTreeSet<IpAddr>) -> ConfigMap {
    let label = (
        names::LABEL_MANAGED_BY.to_owned(),
        names::MANAGED_BY.to_owned(),
    );
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(names::NODE_ADDRESSES.into()),
            namespace: Some(namespace.to_owned()),
            labels: Some([label].into()),
            ..ObjectMeta::default()
        },
        data: Some(extconn_api::node_addresses::to_config_map(addresses)),
        ..ConfigMap::default()
    }
}
