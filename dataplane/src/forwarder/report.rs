//! Pure: what a forwarder tells about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::tunnel::pool::PoolState;

/// State of a forwarder, replaced as a whole at each change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwarderReport {
    /// One entry per source IP configured.
    pub tunnels: BTreeMap<Ipv4Addr, TunnelReport>,
    /// Node addresses that connected and were refused since the last change of the peers.
    pub refused_nodes: BTreeSet<Ipv4Addr>,
    /// Egress ports on which connections are accepted.
    pub listening: BTreeSet<u16>,
}

/// State of the tunnels that serve one source IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelReport {
    /// Whether flows can be opened.
    pub state: TunnelState,
    /// Why there is no tunnel, for a person to read; `None` while there is one.
    pub message: Option<String>,
}

/// Whether flows can be opened through a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelState {
    /// The first attempt is under way.
    Connecting,
    /// At least one ssh connection is authenticated.
    Up,
    /// The last attempt failed or the connection broke; retried for ever.
    Down,
}

impl From<PoolState> for TunnelReport {
    fn from(pool: PoolState) -> Self {
        match (pool.up, pool.trouble) {
            (0, None) => Self {
                state: TunnelState::Connecting,
                message: None,
            },
            (0, trouble) => Self {
                state: TunnelState::Down,
                message: trouble,
            },
            _ => Self {
                state: TunnelState::Up,
                message: None,
            },
        }
    }
}
