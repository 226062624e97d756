//! The forwarder's end: accepts connections of pods, opens flows to gateways, and dials the
//! Services that the external server asks for.

pub mod config;
pub mod report;

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::watch;

use crate::identity::PrivateKey;

pub use config::{ForwarderConfig, GatewayEndpoint, Peers, Pod};
pub use report::{ForwarderReport, TunnelReport, TunnelState};

/// What a forwarder is started with and keeps for life.
#[derive(Clone, Debug)]
pub struct ForwarderOptions {
    /// The key by which gateways know this forwarder.
    pub key: PrivateKey,
    /// Address on which egress ports are opened.
    pub listen: Ipv4Addr,
}

impl ForwarderOptions {
    /// Options as they are in a pod: listens on every address.
    pub fn new(key: PrivateKey) -> Self {
        Self {
            key,
            listen: Ipv4Addr::UNSPECIFIED,
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
        address: std::net::SocketAddrV4,
        /// Why.
        error: std::io::Error,
    },
}

/// A running forwarder. Dropping it cuts everything.
#[derive(Debug)]
pub struct Forwarder {
    report_tx: watch::Sender<ForwarderReport>,
}

impl Forwarder {
    /// Starts with nothing to do. Must be called inside a tokio runtime.
    pub fn start(_options: ForwarderOptions) -> Self {
        Self {
            report_tx: watch::Sender::default(),
        }
    }

    /// Puts a configuration into effect. Parts that stay the same keep their listeners and flows;
    /// flows of parts that are gone are cut.
    ///
    /// # Errors
    /// A port could not be opened. Everything else is in effect; apply again to retry.
    pub async fn apply(&self, _config: ForwarderConfig) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Says who may connect. Flows of a pod that is gone or has another UID are cut.
    pub fn set_peers(&self, _peers: Peers) {}

    /// State, which changes as things happen.
    pub fn report(&self) -> watch::Receiver<ForwarderReport> {
        self.report_tx.subscribe()
    }

    /// Stops accepting, lets flows finish for at most `within`, then resets the rest.
    pub async fn drain(&self, _within: Duration) {}
}
