//! The connections to one gateway: a few, so that one loss or one busy core does not stop all,
//! each made again for ever.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::link::{Incoming, Link, Side};
use super::ssh::client::dial;
use super::ssh::settings::PULSE;
use super::window::Budget;
use crate::forwarder::GatewayEndpoint;
use crate::identity::PrivateKey;
use crate::workers::Workers;

/// Time before the first try again, and the longest between two.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lived so long broke for a reason of its own: the next try comes early.
const PROVEN_AFTER: Duration = Duration::from_secs(10);
/// Silence after which a tunnel is suspected to be dead: two signs of life are missing.
const SUSPECT_AFTER: Duration = PULSE.saturating_mul(2);
/// Bytes that the windows of one tunnel may grow by in sum.
const TUNNEL_BUDGET: usize = 128 * 1024 * 1024;

/// What all connections of a pool have in common.
pub(crate) struct PoolOptions {
    pub(crate) endpoint: GatewayEndpoint,
    pub(crate) key: PrivateKey,
    pub(crate) connections: usize,
    pub(crate) rekey_after: usize,
    pub(crate) budget: Arc<Budget>,
    pub(crate) workers: Arc<Workers>,
    /// Takes the flows that the gateway asks for; must not block.
    pub(crate) on_incoming: Arc<dyn Fn(Incoming) + Send + Sync>,
}

/// How a pool stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolState {
    /// Connections that are up.
    pub(crate) up: usize,
    /// Why the last try failed or the last connection broke; `None` before there was one.
    pub(crate) trouble: Option<String>,
}

/// What a pool has been through since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelCounts {
    /// Connections that came up. Each beyond the pool's size is a reconnect.
    pub connects: u64,
    /// Tries that failed.
    pub failures: u64,
}

/// The connections to one gateway. Dropping it cuts them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    _connections: JoinSet<()>,
}

struct Shared {
    options: PoolOptions,
    links: Mutex<Links>,
    state_tx: watch::Sender<PoolState>,
    counts: Mutex<TunnelCounts>,
}

#[derive(Default)]
struct Links {
    up: Vec<Link>,
    closed: bool,
}

impl Links {
    /// Whether the pool still wants it.
    fn add(&mut self, link: Link) -> bool {
        if !self.closed {
            self.up.push(link);
        }
        !self.closed
    }
}

impl Pool {
    /// Begins to connect.
    pub(crate) fn start(options: PoolOptions) -> Self {
        let shared = Arc::new(Shared {
            options,
            links: Mutex::default(),
            state_tx: watch::Sender::default(),
            counts: Mutex::default(),
        });
        let mut connections = JoinSet::new();
        for _ in 0..shared.options.connections.max(1) {
            let worker = shared.options.workers.idlest();
            connections.spawn_on(keep_connected(Arc::clone(&shared)), worker);
        }
        Self {
            shared,
            _connections: connections,
        }
    }

    /// The tunnel that carries the fewest flows, if any is up.
    pub(crate) fn least_loaded(&self) -> Option<Link> {
        least_loaded(self.shared.links.lock().up.iter())
    }

    /// The tunnels that are up.
    pub(crate) fn links(&self) -> Vec<Link> {
        self.shared.links.lock().up.clone()
    }

    /// What it has been through.
    pub(crate) fn counts(&self) -> TunnelCounts {
        *self.shared.counts.lock()
    }

    /// How the pool stands, as it changes.
    pub(crate) fn state(&self) -> watch::Receiver<PoolState> {
        self.shared.state_tx.subscribe()
    }
}

/// Of tunnels that take flows, the one that carries the fewest. One that has been silent for
/// longer than it should may be dead, and is taken only if all have.
pub(crate) fn least_loaded<'a>(links: impl Iterator<Item = &'a Link>) -> Option<Link> {
    let (_, link) = links
        .filter_map(|link| Some((link.load()?, link)))
        .min_by_key(|(flows, link)| (link.silence() > SUSPECT_AFTER, *flows))?;
    Some(link.clone())
}

impl Drop for Pool {
    fn drop(&mut self) {
        let links = {
            let mut links = self.shared.links.lock();
            links.closed = true;
            std::mem::take(&mut links.up)
        };
        for link in links {
            link.close("the gateway is no longer used");
        }
    }
}

/// Connects, again and again.
async fn keep_connected(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let proven = shared.connect_once().await;
        if proven {
            pause = FIRST_PAUSE;
        }
        // Between half and the whole: many forwarders that lost one gateway do not come back to
        // it all at once.
        let share = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(share)).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

impl Shared {
    /// One connection from its beginning to its end; whether it proved that the gateway works.
    async fn connect_once(&self) -> bool {
        let options = &self.options;
        let gateway = options.endpoint.address;
        let on_incoming = Arc::clone(&options.on_incoming);
        let budget = Arc::new(Budget::within(Arc::clone(&options.budget), TUNNEL_BUDGET));
        let link = Link::new(
            Side::Dialler,
            budget,
            Box::new(move |incoming| on_incoming(incoming)),
        );
        if let Err(error) = dial(&options.endpoint, &options.key, options.rekey_after, &link).await
        {
            warn!(%gateway, %error, "no tunnel, trying again");
            self.counts.lock().failures += 1;
            self.state_tx
                .send_modify(|state| state.trouble = Some(error.to_string()));
            return false;
        }
        let up_since = tokio::time::Instant::now();
        if !self.links.lock().add(link.clone()) {
            link.close("the gateway is no longer used");
            return false;
        }
        info!(%gateway, "tunnel up");
        self.counts.lock().connects += 1;
        self.state_tx.send_modify(|state| state.up += 1);
        link.closed().await;
        let why = link.why_closed().unwrap_or_default();
        warn!(%gateway, error = why, "tunnel lost, connecting again");
        self.links.lock().up.retain(|link| !link.is_closed());
        self.state_tx.send_modify(|state| {
            state.up -= 1;
            state.trouble = Some(format!("gateway {gateway}: {why}"));
        });
        up_since.elapsed() >= PROVEN_AFTER
    }
}
