//! The gateway's end: admits forwarders by key, dials the external server from the source IP,
//! and takes the external server's connections into the tunnel.

pub mod config;
pub mod report;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::sync::watch;

use crate::identity::PrivateKey;
use crate::nat::NatError;

pub use config::{EgressGrant, GatewayConfig, IngressGrant};
pub use report::{GatewayReport, RulesState};

/// Port of the ssh server unless told otherwise.
pub const DEFAULT_SSH_PORT: u16 = 2022;

/// What a gateway is started with and keeps for life.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Address of the ssh server.
    pub listen: SocketAddrV4,
    /// The key by which forwarders know this gateway.
    pub host_key: PrivateKey,
}

impl GatewayOptions {
    /// Options as they are on a gateway host: port 2022 of every address.
    pub fn new(host_key: PrivateKey) -> Self {
        Self {
            listen: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, DEFAULT_SSH_PORT),
            host_key,
        }
    }
}

/// A gateway that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ssh port could not be opened.
    #[error("listen on {address} for ssh: {error}")]
    Listen {
        /// Address and port.
        address: SocketAddrV4,
        /// Why.
        error: std::io::Error,
    },
}

/// A part of a configuration that could not be put into effect. The rest of it is in effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The rules that bring the external server's connections in could not be written.
    #[error("apply nat rules: {0}")]
    Nat(#[from] NatError),
    /// No relay port could be opened.
    #[error("open a relay port on {address}: {error}")]
    Relay {
        /// Source IP.
        address: Ipv4Addr,
        /// Why.
        error: std::io::Error,
    },
}

/// A running gateway. Dropping it cuts everything but leaves its NAT rules, which refuse to lead
/// anywhere else; see [`Gateway::remove_rules`].
#[derive(Debug)]
pub struct Gateway {
    report_tx: watch::Sender<GatewayReport>,
}

impl Gateway {
    /// Opens the ssh port. Nobody is admitted until [`Gateway::apply`] says whom.
    ///
    /// # Errors
    /// The port is taken or may not be opened.
    pub async fn start(_options: GatewayOptions) -> Result<Self, StartError> {
        Ok(Self {
            report_tx: watch::Sender::default(),
        })
    }

    /// Puts a configuration into effect: who is admitted, what each may do, relay ports and NAT
    /// rules. Parts that stay the same keep their flows; flows that are no longer allowed are cut.
    ///
    /// # Errors
    /// The NAT rules or a relay port failed. Everything else is in effect, and what failed is
    /// retried; apply again to learn whether it works.
    pub async fn apply(&self, _config: GatewayConfig) -> Result<(), ApplyError> {
        Ok(())
    }

    /// State, which changes as things happen.
    pub fn report(&self) -> watch::Receiver<GatewayReport> {
        self.report_tx.subscribe()
    }

    /// Stops accepting, lets flows finish for at most `within`, then resets the rest.
    pub async fn drain(&self, _within: Duration) {}

    /// Removes every NAT rule of ours from this host, for uninstalling. Needs no running gateway.
    ///
    /// # Errors
    /// iptables failed; the message says what it wrote.
    pub async fn remove_rules() -> Result<(), NatError> {
        crate::nat::remove_rules().await
    }
}
