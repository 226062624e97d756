//! The forwarder's end: accepts connections of pods, opens flows to gateways, and dials the
//! Services that the external server asks for.

pub mod config;
mod egress;
mod flows;
mod hold;
mod ingress;
mod probe;
pub mod recent;
pub mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::identity::PrivateKey;
use crate::listen::{accept, listen_proxied};
use crate::relay::counters::{Counters, Snapshot};
use crate::relay::drain::drain;
use crate::relay::table::{Entry, FlowTable};
use crate::tunnel::flow::FlowStream;
use crate::tunnel::link::Incoming;
use crate::tunnel::pool::{Pool, PoolOptions};
use crate::tunnel::reason::Reason;
use crate::tunnel::ssh::settings::REKEY_AFTER;
use crate::tunnel::window::Budget;
use crate::workers::Workers;
use flows::ForwarderFlow;
use hold::Held;
use recent::Recent;

pub use crate::tunnel::pool::TunnelCounts;
pub use config::{ForwarderConfig, GatewayEndpoint, LookedUp, Peers, Pod};
pub use hold::Strangers;
pub use recent::{Opened, Outcome};
pub use report::{ForwarderReport, TunnelReport, TunnelState};

/// Connections to each gateway unless told otherwise.
pub const DEFAULT_CONNECTIONS: usize = 2;

/// Bytes that all windows may grow by in sum, unless told otherwise.
pub const DEFAULT_WINDOW_BUDGET: usize = 256 * 1024 * 1024;

/// What a forwarder is started with and keeps for life.
#[derive(Clone, Debug)]
pub struct ForwarderOptions {
    /// The key by which gateways know this forwarder.
    pub key: PrivateKey,
    /// Address on which egress ports are opened.
    pub listen: Ipv4Addr,
    /// ssh connections to each gateway.
    pub connections: usize,
    /// Bytes after which an ssh connection exchanges keys again, at most 1 GiB.
    pub rekey_after: usize,
    /// Bytes that the windows of all flows may grow by in sum, above the 64 KiB that each has.
    pub window_budget: usize,
}

impl ForwarderOptions {
    /// Options as they are in a pod: listens on every address.
    pub fn new(key: PrivateKey) -> Self {
        Self {
            key,
            listen: Ipv4Addr::UNSPECIFIED,
            connections: DEFAULT_CONNECTIONS,
            rekey_after: REKEY_AFTER,
            window_budget: DEFAULT_WINDOW_BUDGET,
        }
    }
}

/// A part of a configuration that could not be put into effect. The rest of it is in effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A port could not be opened.
    #[error("listen on {address} for egress: {error}")]
    Listen {
        /// Address and port.
        address: SocketAddrV4,
        /// Why.
        error: io::Error,
    },
}

/// A running forwarder. Dropping it cuts everything.
pub struct Forwarder {
    shared: Arc<Shared>,
    /// One configuration at a time.
    applying: tokio::sync::Mutex<()>,
}

/// What the forwarder's tasks share. They hold it, so it must not hold what ends them: that is
/// done by [`Forwarder`]'s end.
struct Shared {
    workers: Arc<Workers>,
    options: ForwarderOptions,
    config: ArcSwap<ForwarderConfig>,
    seen_tx: watch::Sender<Seen>,
    pools: Mutex<BTreeMap<GatewayEndpoint, UsedPool>>,
    listeners: Mutex<BTreeMap<u16, AbortOnDropHandle<()>>>,
    refused_nodes: Mutex<BTreeSet<Ipv4Addr>>,
    flows: FlowTable<ForwarderFlow>,
    /// Connections that wait for their pod.
    strangers: Held,
    /// Connections that wait for their tunnel.
    waiting: Semaphore,
    counters: Counters,
    recent: Recent,
    budget: Arc<Budget>,
    report_tx: watch::Sender<ForwarderReport>,
}

/// Who may connect, and when the last of the pods came or was known to be on its way.
struct Seen {
    peers: Peers,
    pods_came: Instant,
}

impl Seen {
    fn new() -> Self {
        Self {
            peers: Peers::default(),
            pods_came: Instant::now(),
        }
    }

    fn replace(&mut self, peers: Peers) {
        if peers.have_come_since(&self.peers) {
            self.pods_came = Instant::now();
        }
        let coming = peers.coming.map(Instant::from_std);
        self.pods_came = coming.map_or(self.pods_came, |coming| coming.max(self.pods_came));
        self.peers = peers;
    }
}

struct UsedPool {
    pool: Pool,
    _reporting: AbortOnDropHandle<()>,
}

impl Forwarder {
    /// Starts with nothing to do. Must be called inside a tokio runtime.
    pub fn start(options: ForwarderOptions) -> Self {
        let budget = Arc::new(Budget::new(options.window_budget));
        Self {
            shared: Arc::new(Shared {
                workers: Arc::new(Workers::start()),
                options,
                config: ArcSwap::default(),
                seen_tx: watch::Sender::new(Seen::new()),
                pools: Mutex::default(),
                listeners: Mutex::default(),
                refused_nodes: Mutex::default(),
                flows: FlowTable::default(),
                strangers: Held::default(),
                waiting: Semaphore::new(hold::MAX_WAITING),
                counters: Counters::default(),
                recent: Recent::default(),
                budget,
                report_tx: watch::Sender::default(),
            }),
            applying: tokio::sync::Mutex::default(),
        }
    }

    /// Puts a configuration into effect. Parts that stay the same keep their listeners and flows;
    /// flows of parts that are gone are cut.
    ///
    /// # Errors
    /// A port could not be opened. Everything else is in effect; apply again to retry.
    pub async fn apply(&self, config: ForwarderConfig) -> Result<(), ApplyError> {
        let _applying = self.applying.lock().await;
        self.shared.config.store(Arc::new(config.clone()));
        self.shared.use_pools(&config);
        let listened = self.shared.use_listeners(&config);
        self.shared.cut_what_is_not_allowed();
        self.shared.publish();
        listened
    }

    /// Says who may connect. Flows of a pod that is gone or has another UID are cut.
    pub fn set_peers(&self, peers: Peers) {
        self.shared
            .refused_nodes
            .lock()
            .retain(|node| peers.nodes.contains(node));
        self.shared.seen_tx.send_modify(|seen| seen.replace(peers));
        self.shared.cut_what_is_not_allowed();
        self.shared.publish();
    }

    /// State, which changes as things happen.
    pub fn report(&self) -> watch::Receiver<ForwarderReport> {
        self.shared.report_tx.subscribe()
    }

    /// Who waits for somebody to say which pod it is; changes as addresses come and go.
    pub fn strangers(&self) -> watch::Receiver<Strangers> {
        self.shared.strangers.subscribe()
    }

    /// Counts since the start.
    pub fn metrics(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }

    /// Flows alive, in both directions.
    pub fn flows(&self) -> usize {
        self.shared.flows.len()
    }

    /// What the tunnels to each gateway used have been through.
    pub fn tunnel_counts(&self) -> BTreeMap<SocketAddrV4, TunnelCounts> {
        let pools = self.shared.pools.lock();
        let counts = pools
            .iter()
            .map(|(endpoint, used)| (endpoint.address, used.pool.counts()));
        counts.collect()
    }

    /// Stops accepting, lets flows finish for at most `within`, then resets the rest.
    pub async fn drain(&self, within: Duration) {
        let _applying = self.applying.lock().await;
        self.shared.listeners.lock().clear();
        self.shared.publish();
        let links = || {
            let pools = self.shared.pools.lock();
            pools.values().flat_map(|used| used.pool.links()).collect()
        };
        drain(links, &self.shared.flows, within).await;
        self.shared.stop();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.stop();
        self.shared.workers.stop();
    }
}

impl Shared {
    fn stop(&self) {
        self.listeners.lock().clear();
        // Dropped outside the lock: their ends want it.
        let pools = std::mem::take(&mut *self.pools.lock());
        drop(pools);
    }

    fn use_pools(self: &Arc<Self>, config: &ForwarderConfig) {
        let wanted: BTreeSet<_> = config.gateways.values().collect();
        let mut pools = self.pools.lock();
        let (kept, gone) = std::mem::take(&mut *pools)
            .into_iter()
            .partition(|(endpoint, _)| wanted.contains(endpoint));
        *pools = kept;
        for endpoint in wanted {
            if !pools.contains_key(endpoint) {
                pools.insert(endpoint.clone(), self.start_pool(endpoint));
            }
        }
        drop(pools);
        let gone: BTreeMap<GatewayEndpoint, UsedPool> = gone;
        for endpoint in gone.into_keys() {
            info!(gateway = %endpoint.address, "gateway no longer used");
        }
    }

    fn start_pool(self: &Arc<Self>, endpoint: &GatewayEndpoint) -> UsedPool {
        let shared = Arc::downgrade(self);
        let gateway = endpoint.address;
        let on_incoming = move |incoming: Incoming| {
            // Without anybody to serve it, dropping the flow resets it.
            if let Some(shared) = shared.upgrade() {
                tokio::spawn(ingress::serve(shared, gateway, incoming));
            }
        };
        let pool = Pool::start(PoolOptions {
            endpoint: endpoint.clone(),
            key: self.options.key.clone(),
            connections: self.options.connections,
            rekey_after: self.options.rekey_after,
            budget: Arc::clone(&self.budget),
            workers: Arc::clone(&self.workers),
            on_incoming: Arc::new(on_incoming),
        });
        let mut state_rx = pool.state();
        let shared = Arc::downgrade(self);
        let reporting = tokio::spawn(async move {
            while state_rx.changed().await.is_ok() {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                shared.publish();
            }
        });
        UsedPool {
            pool,
            _reporting: AbortOnDropHandle::new(reporting),
        }
    }

    fn use_listeners(self: &Arc<Self>, config: &ForwarderConfig) -> Result<(), ApplyError> {
        let mut listeners = self.listeners.lock();
        listeners.retain(|port, _| config.egress.contains_key(port));
        let mut listened = Ok(());
        for port in config.egress.keys() {
            if listeners.contains_key(port) {
                continue;
            }
            let address = SocketAddrV4::new(self.options.listen, *port);
            match listen_proxied(address) {
                Ok(listener) => {
                    let accepting = tokio::spawn(accept_pods(Arc::clone(self), listener, *port));
                    listeners.insert(*port, AbortOnDropHandle::new(accepting));
                }
                Err(error) => {
                    warn!(%address, %error, "an egress port cannot be opened");
                    listened = listened.and(Err(ApplyError::Listen { address, error }));
                }
            }
        }
        listened
    }

    /// Enters a flow into the table, if it is allowed.
    fn enter(
        &self,
        what: ForwarderFlow,
        flow: &FlowStream,
    ) -> Result<Entry<ForwarderFlow>, Reason> {
        let entry = self.flows.insert(what.clone(), flow.cutter());
        // What changed while it was being made did not find it in the table.
        let allowed = what.allowed(&self.config.load(), &self.seen_tx.borrow().peers);
        if allowed {
            Ok(entry)
        } else {
            Err(Reason::Revoked)
        }
    }

    fn cut_what_is_not_allowed(&self) {
        let config = self.config.load();
        let seen = self.seen_tx.borrow();
        let allowed = |flow: &ForwarderFlow| flow.allowed(&config, &seen.peers);
        let flows = self.flows.cut_unless(allowed, Reason::Revoked);
        if flows > 0 {
            info!(flows, "flows cut that are no longer allowed");
        }
    }

    fn report_refused_node(&self, address: Ipv4Addr) {
        if self.refused_nodes.lock().insert(address) {
            warn!(peer = %address, "connection from a node's address refused: its pods cannot be told apart");
            self.publish();
        }
    }

    fn publish(&self) {
        let config = self.config.load();
        let pools = self.pools.lock();
        let tunnel = |endpoint: &GatewayEndpoint| {
            let state = pools
                .get(endpoint)
                .map(|used| used.pool.state().borrow().clone());
            TunnelReport::from(state.unwrap_or_default())
        };
        let report = ForwarderReport {
            tunnels: config
                .gateways
                .iter()
                .map(|(source_ip, endpoint)| (*source_ip, tunnel(endpoint)))
                .collect(),
            refused_nodes: self.refused_nodes.lock().clone(),
            listening: self.listeners.lock().keys().copied().collect(),
        };
        drop(pools);
        self.report_tx.send_if_modified(|published| {
            let changed = *published != report;
            *published = report;
            changed
        });
    }
}

async fn accept_pods(shared: Arc<Shared>, listener: TcpListener, port: u16) {
    loop {
        if let Some((stream, SocketAddr::V4(peer))) = accept(&listener).await {
            tokio::spawn(egress::serve(Arc::clone(&shared), stream, peer, port));
        }
    }
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarder")
            .field("flows", &self.shared.flows.len())
            .finish_non_exhaustive()
    }
}
