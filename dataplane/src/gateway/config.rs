//! Pure: what a gateway is told to allow. What is not in here is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::identity::PublicKey;

/// What a gateway allows, as one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Which forwarder each admitted key belongs to: one entry for each live replica.
    pub keys: BTreeMap<PublicKey, String>,
    /// Destinations that each forwarder, by name, may reach, and as whom.
    pub egress: BTreeMap<String, BTreeSet<EgressGrant>>,
    /// Which forwarder, by name, receives a connection of the external server.
    pub ingress: BTreeMap<IngressGrant, String>,
}

/// One destination that may be reached from one source IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EgressGrant {
    /// Address that the external server sees.
    pub source_ip: Ipv4Addr,
    /// Address and port of the external server.
    pub destination: SocketAddrV4,
}

/// One port of a source IP that one peer may dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IngressGrant {
    /// Source IP and port that the external server dials.
    pub listen: SocketAddrV4,
    /// Address of the external server, the only peer allowed.
    pub peer: Ipv4Addr,
}
