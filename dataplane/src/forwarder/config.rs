//! Pure: what a forwarder is told to do.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::identity::PublicKey;

/// What a forwarder does, as one value. It changes when somebody edits an object; who the pods
/// are changes far more often and is apart, in [`Peers`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwarderConfig {
    /// Ports on which to accept connections of pods, and the external server's address to which
    /// each leads.
    pub egress: BTreeMap<u16, SocketAddrV4>,
    /// Where a connection from the external server leads: (source IP, port) that it dialled, to
    /// the Service's (cluster IP, port). What is not in here is refused.
    pub ingress: BTreeMap<SocketAddrV4, SocketAddrV4>,
    /// The gateway that holds each source IP. Several source IPs may share one gateway: equal
    /// endpoints are one tunnel.
    pub gateways: BTreeMap<Ipv4Addr, GatewayEndpoint>,
}

/// Where a gateway is, and the key by which to know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayEndpoint {
    /// Address of the gateway's ssh server.
    pub address: SocketAddrV4,
    /// The only host key that is accepted there.
    pub host_key: PublicKey,
}

/// Who may connect, by peer address. Replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Pods behind the listed Services.
    pub pods: HashMap<Ipv4Addr, Pod>,
    /// Addresses of nodes: refused at once and reported, since the pods behind such an address
    /// cannot be told apart.
    pub nodes: HashSet<Ipv4Addr>,
}

/// A pod behind a listed Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `namespace/name`, for the gateway's audit log.
    pub name: String,
    /// Unique ID of the pod object: another pod that takes over the address is another pod, and
    /// flows of the first one are cut.
    pub uid: String,
    /// The address that the external server shall see.
    pub source_ip: Ipv4Addr,
}
