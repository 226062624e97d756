//! Pure: what a gateway tells about itself.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

/// State of a gateway, replaced as a whole at each change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayReport {
    /// Whether the NAT rules are as configured.
    pub rules: RulesState,
    /// Whether the ssh port is open.
    pub ssh: SshState,
    /// Live ssh connections of each forwarder that has any, by name.
    pub tunnels: BTreeMap<String, usize>,
}

/// Whether the NAT rules are as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RulesState {
    /// They were when last looked at.
    #[default]
    Applied,
    /// They could not be written; retried until they can.
    Failed(String),
}

/// Whether forwarders can connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SshState {
    /// The port is open.
    #[default]
    Listening,
    /// It could not be opened, and why; retried until it can.
    Failed(String),
}

impl SshState {
    pub(super) fn failed(address: SocketAddrV4, error: &io::Error) -> Self {
        Self::Failed(format!("listen on {address} for ssh: {error}"))
    }
}

/// What a gateway uses of its host at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayUse {
    /// Flows alive, in both directions.
    pub flows: usize,
    /// Relay ports open.
    pub relay_ports: usize,
    /// For each source IP in use, the source ports towards the destination that has most of
    /// them: the kernel has some 28,000 for each pair.
    pub source_ports: BTreeMap<Ipv4Addr, usize>,
}
