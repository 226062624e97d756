//! The gateway's end: admits forwarders by key, dials the external server from the source IP,
//! and takes the external server's connections into the tunnel.

pub mod config;
mod egress;
mod flows;
mod ingress;
pub mod report;
mod tunnels;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use crate::identity::{PrivateKey, PublicKey};
use crate::listen::listen;
use crate::nat::NatError;
use crate::nat::keeper::Keeper;
use crate::nat::ruleset::Ruleset;
use crate::relay::counters::{Counters, Snapshot};
use crate::relay::drain::drain;
use crate::relay::table::{Entry, FlowTable};
use crate::tunnel::flow::FlowStream;
use crate::tunnel::link::Incoming;
use crate::tunnel::policy::GatewayPolicy;
use crate::tunnel::reason::Reason;
use crate::tunnel::ssh::listen::accept_tunnels;
use crate::tunnel::ssh::server::{Admission, Admitted, AdmittedTunnel};
use crate::tunnel::ssh::settings::REKEY_AFTER;
use crate::tunnel::window::Budget;
use crate::workers::Workers;
use flows::GatewayFlow;
use ingress::Relays;
use tunnels::Tunnels;

pub use crate::nat::BackEnd;
pub use config::{EgressGrant, GatewayConfig, IngressGrant};
pub use report::{GatewayReport, GatewayUse, RulesState, SshState};

/// Port of the ssh server unless told otherwise.
pub const DEFAULT_SSH_PORT: u16 = 2022;

/// What a gateway is started with and keeps for life.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Address of the ssh server.
    pub listen: SocketAddrV4,
    /// The key by which forwarders know this gateway.
    pub host_key: PrivateKey,
    /// What writes the NAT rules; `None` to find out what this host uses.
    pub back_end: Option<BackEnd>,
    /// Bytes after which an ssh connection exchanges keys again, at most 1 GiB.
    pub rekey_after: usize,
    /// Bytes that the windows of all flows may grow by in sum, above the 64 KiB that each has.
    pub window_budget: usize,
}

impl GatewayOptions {
    /// Options as they are on a gateway host: port 2022 of every address.
    pub fn new(host_key: PrivateKey) -> Self {
        Self {
            listen: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, DEFAULT_SSH_PORT),
            host_key,
            back_end: None,
            rekey_after: REKEY_AFTER,
            window_budget: crate::forwarder::DEFAULT_WINDOW_BUDGET,
        }
    }
}

/// Time before the ssh port is tried again when somebody else has it.
const LISTEN_RETRY: Duration = Duration::from_secs(1);

/// A part of a configuration that could not be put into effect. The rest of it is in effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The rules that bring the external server's connections in could not be written.
    #[error("apply nat rules: {0}")]
    Nat(#[from] NatError),
    /// No relay port could be opened.
    #[error("open a relay port: {error}")]
    Relay {
        /// Why.
        error: io::Error,
    },
}

/// A running gateway. Dropping it cuts everything but leaves its NAT rules, which lead nowhere
/// then; see [`Gateway::remove_rules`].
pub struct Gateway {
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    keeper: Keeper,
    _reporting: AbortOnDropHandle<()>,
    address: SocketAddrV4,
    /// One configuration at a time.
    applying: tokio::sync::Mutex<()>,
}

/// What the gateway's tasks share. They hold it, so it must not hold what ends them: that is done
/// by [`Gateway`]'s end.
struct Shared {
    policy: ArcSwap<GatewayPolicy>,
    accepting: Mutex<Option<AbortOnDropHandle<()>>>,
    relays: Mutex<Relays>,
    tunnels: Tunnels,
    flows: FlowTable<GatewayFlow>,
    counters: Counters,
    report_tx: watch::Sender<GatewayReport>,
}

impl Gateway {
    /// Opens the ssh port, or goes on trying: the report says how it stands. Nobody is admitted
    /// until [`Gateway::apply`] says whom. Must be called inside a tokio runtime.
    pub fn start(options: GatewayOptions) -> Self {
        let listener = listen(options.listen);
        let chosen = listener.as_ref().map(TcpListener::local_addr);
        let port = match chosen {
            Ok(Ok(address)) => address.port(),
            _ => options.listen.port(),
        };
        let workers = Arc::new(Workers::start());
        let shared = Arc::new(Shared {
            policy: ArcSwap::default(),
            accepting: Mutex::default(),
            relays: Mutex::default(),
            tunnels: Tunnels::default(),
            flows: FlowTable::default(),
            counters: Counters::default(),
            report_tx: watch::Sender::default(),
        });
        if let Err(error) = &listener {
            shared.publish_ssh(options.listen, SshState::failed(options.listen, error));
        }
        let (opener, to_workers) = (Arc::clone(&shared), Arc::clone(&workers));
        let accepting = tokio::spawn(async move {
            accept_tunnels(
                opener.listen_patiently(options.listen, listener).await,
                options.host_key,
                options.rekey_after,
                opener,
                Arc::new(Budget::new(options.window_budget)),
                to_workers,
            )
            .await;
        });
        *shared.accepting.lock() = Some(AbortOnDropHandle::new(accepting));
        let keeper = Keeper::start(options.back_end);
        let reporting = tokio::spawn(report_rules(Arc::clone(&shared), keeper.state()));
        Self {
            shared,
            workers,
            keeper,
            _reporting: AbortOnDropHandle::new(reporting),
            address: SocketAddrV4::new(*options.listen.ip(), port),
            applying: tokio::sync::Mutex::default(),
        }
    }

    /// Address of the ssh server; the port is the one that the kernel chose if none was given.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Puts a configuration into effect: who is admitted, what each may do, relay ports and NAT
    /// rules. Parts that stay the same keep their flows; flows that are no longer allowed are cut.
    ///
    /// # Errors
    /// The NAT rules or a relay port failed. Everything else is in effect, and what failed is
    /// retried; apply again to learn whether it works.
    pub async fn apply(&self, config: GatewayConfig) -> Result<(), ApplyError> {
        let _applying = self.applying.lock().await;
        let shared = &self.shared;
        shared.policy.store(Arc::new(GatewayPolicy::new(config)));
        shared.cut_what_is_not_allowed();
        let policy = shared.policy.load_full();
        let dialled: BTreeSet<u16> = policy
            .ingress_grants()
            .map(|grant| grant.listen.port())
            .collect();
        let opened = shared.relays.lock().open(&dialled, shared);
        // Opened before rules lead there, closed after none does.
        let relay_ports = shared.relays.lock().ports();
        let ruleset = Ruleset::new(policy.ingress_grants(), &relay_ports);
        let written = self.keeper.apply(ruleset).await;
        if written.is_ok() {
            shared.relays.lock().close_others(&dialled);
        }
        shared.publish();
        opened.map_err(|error| ApplyError::Relay { error })?;
        Ok(written?)
    }

    /// State, which changes as things happen.
    pub fn report(&self) -> watch::Receiver<GatewayReport> {
        self.shared.report_tx.subscribe()
    }

    /// Counts since the start.
    pub fn metrics(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }

    /// What is in use at this moment.
    pub fn in_use(&self) -> GatewayUse {
        let mut flows = 0;
        let mut ports: HashMap<EgressGrant, usize> = HashMap::new();
        self.shared.flows.look(|flow| {
            flows += 1;
            if let GatewayFlow::Egress { grant, .. } = flow {
                *ports.entry(*grant).or_default() += 1;
            }
        });
        let mut source_ports = BTreeMap::new();
        for (grant, count) in ports {
            let most = source_ports.entry(grant.source_ip).or_default();
            *most = count.max(*most);
        }
        GatewayUse {
            flows,
            relay_ports: self.shared.relays.lock().ports().len(),
            source_ports,
        }
    }

    /// Stops accepting, lets flows finish for at most `within`, then resets the rest.
    pub async fn drain(&self, within: Duration) {
        let _applying = self.applying.lock().await;
        let shared = &self.shared;
        shared.accepting.lock().take();
        shared.relays.lock().close_others(&BTreeSet::new());
        drain(|| shared.tunnels.retire(), &shared.flows, within).await;
        shared.tunnels.cut_unless(|_, _| false);
    }

    /// Removes every NAT rule of ours from this host, for uninstalling. Needs no running gateway.
    ///
    /// # Errors
    /// iptables failed; the message says what it wrote.
    pub async fn remove_rules() -> Result<(), NatError> {
        crate::nat::remove_rules().await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.accepting.lock().take();
        self.shared.relays.lock().close_others(&BTreeSet::new());
        self.shared.tunnels.retire();
        self.shared.tunnels.cut_unless(|_, _| false);
        self.workers.stop();
    }
}

impl Shared {
    /// The listener of the first try, or of the first that succeeds: who holds the port may go.
    async fn listen_patiently(
        &self,
        address: SocketAddrV4,
        mut listener: io::Result<TcpListener>,
    ) -> TcpListener {
        loop {
            let state = match listener {
                Ok(listener) => {
                    self.publish_ssh(address, SshState::Listening);
                    return listener;
                }
                Err(error) => SshState::failed(address, &error),
            };
            self.publish_ssh(address, state);
            tokio::time::sleep(LISTEN_RETRY).await;
            listener = listen(address);
        }
    }

    fn publish_ssh(&self, address: SocketAddrV4, state: SshState) {
        self.report_tx.send_if_modified(|report| {
            let changed = report.ssh != state;
            match &state {
                SshState::Failed(error) if changed => error!(error, "no ssh port, trying again"),
                SshState::Listening if changed => info!(listen = %address, "ssh port open"),
                SshState::Failed(_) | SshState::Listening => {}
            }
            report.ssh = state;
            changed
        });
    }

    /// Enters a flow into the table, if it is allowed.
    fn enter(&self, what: GatewayFlow, flow: &FlowStream) -> Result<Entry<GatewayFlow>, Reason> {
        let entry = self.flows.insert(what.clone(), flow.cutter());
        // What changed while it was being made did not find it in the table.
        if what.allowed(&self.policy.load()) {
            Ok(entry)
        } else {
            Err(Reason::Revoked)
        }
    }

    fn cut_what_is_not_allowed(&self) {
        let policy = self.policy.load();
        let tunnels = self
            .tunnels
            .cut_unless(|key, forwarder| policy.forwarder(key) == Some(forwarder));
        let flows = self
            .flows
            .cut_unless(|flow| flow.allowed(&policy), Reason::Revoked);
        if tunnels + flows > 0 {
            info!(tunnels, flows, "cut what is no longer allowed");
        }
    }

    fn publish(&self) {
        let tunnels = self.tunnels.count();
        self.report_tx.send_if_modified(|report| {
            let changed = report.tunnels != tunnels;
            report.tunnels = tunnels;
            changed
        });
    }
}

async fn report_rules(shared: Arc<Shared>, mut state_rx: watch::Receiver<RulesState>) {
    while state_rx.changed().await.is_ok() {
        let state = state_rx.borrow_and_update().clone();
        shared.report_tx.send_modify(|report| report.rules = state);
    }
}

impl Admission for Shared {
    fn forwarder(&self, key: &PublicKey) -> Option<String> {
        self.policy.load().forwarder(key).map(str::to_owned)
    }

    fn admit(self: Arc<Self>, tunnel: AdmittedTunnel) -> bool {
        let who = tunnel.who.clone();
        let link = tunnel.link.clone();
        if !self.tunnels.add(tunnel) {
            return false;
        }
        info!(forwarder = %who.forwarder, peer = %who.address, "tunnel up");
        self.publish();
        // A key that was withdrawn before this tunnel was in the table was not cut with it.
        let still_admitted = self.policy.load().forwarder(&who.key) == Some(&who.forwarder);
        tokio::spawn(async move {
            link.closed().await;
            let why = link.why_closed().unwrap_or_default();
            info!(forwarder = %who.forwarder, peer = %who.address, error = why, "tunnel gone");
            self.tunnels.forget_closed();
            self.publish();
        });
        still_admitted
    }

    fn on_incoming(self: Arc<Self>, who: &Arc<Admitted>, incoming: Incoming) {
        tokio::spawn(egress::serve(self, Arc::clone(who), incoming));
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.address)
            .field("flows", &self.shared.flows.len())
            .finish_non_exhaustive()
    }
}
