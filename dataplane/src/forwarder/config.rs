//! Pure: what a forwarder is told to do.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::identity::PublicKey;

/// A connection that came this long after somebody asked whose its address is, or later, is not the
/// answer's: the pod may be gone by then, and its address another's.
const ANSWER_HOLDS: Duration = Duration::from_millis(500);

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
    /// Pods that are not known to be behind a listed Service but by asking for their addresses.
    /// What they have opened goes on; only connections that are no newer than the answer are theirs.
    pub looked_up: HashMap<Ipv4Addr, LookedUp>,
    /// When pods were last known to be on their way that are not in here: a connection that is
    /// nobody's may be theirs.
    pub coming: Option<Instant>,
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

/// A pod that was found by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedUp {
    /// The pod.
    pub pod: Pod,
    /// When the pod was made, or some time before: an older connection is somebody else's.
    pub made: Instant,
    /// When somebody asked: the answer is no older.
    pub asked: Instant,
}

impl Peers {
    /// Whose a connection is that came from `address` at `arrived`.
    pub(crate) fn pod(&self, address: Ipv4Addr, arrived: Instant) -> Option<&Pod> {
        let looked_up = || {
            let found = self.looked_up.get(&address)?;
            let answered = found.made..found.asked + ANSWER_HOLDS;
            answered.contains(&arrived).then_some(&found.pod)
        };
        self.pods.get(&address).or_else(looked_up)
    }

    /// Whose flows from `address` may go on.
    pub(crate) fn holder(&self, address: Ipv4Addr) -> Option<&Pod> {
        let looked_up = || self.looked_up.get(&address).map(|found| &found.pod);
        self.pods.get(&address).or_else(looked_up)
    }

    /// Whether a pod is in here that is not in `before`.
    pub(crate) fn have_come_since(&self, before: &Self) -> bool {
        let mut addresses = self.pods.keys().chain(self.looked_up.keys());
        addresses.any(|address| before.holder(*address).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);

    fn pod(uid: &str) -> Pod {
        Pod {
            name: "shop/web".to_owned(),
            uid: uid.to_owned(),
            source_ip: Ipv4Addr::new(192, 0, 2, 10),
        }
    }

    #[test]
    fn an_answer_is_for_connections_of_the_pods_lifetime_that_were_there_when_it_was_asked_for() {
        let asked = Instant::now();
        let found = LookedUp {
            pod: pod("found"),
            made: asked - Duration::from_secs(3),
            asked,
        };
        let mut peers = Peers::default();
        peers.looked_up.insert(ADDRESS, found);
        let whose = |peers: &Peers, arrived| peers.pod(ADDRESS, arrived).map(|p| p.uid.clone());
        let found = Some("found".to_owned());
        assert_eq!(whose(&peers, asked - Duration::from_secs(4)), None);
        assert_eq!(whose(&peers, asked - Duration::from_secs(2)), found);
        assert_eq!(whose(&peers, asked + Duration::from_millis(499)), found);
        assert_eq!(whose(&peers, asked + ANSWER_HOLDS), None);
        assert_eq!(peers.holder(ADDRESS).unwrap().uid, "found");
        peers.pods.insert(ADDRESS, pod("listed"));
        assert_eq!(whose(&peers, asked), Some("listed".to_owned()));
        assert_eq!(peers.holder(ADDRESS).unwrap().uid, "listed");
    }

    #[test]
    fn a_pod_comes_once() {
        let (nobody, mut found, mut listed) =
            (Peers::default(), Peers::default(), Peers::default());
        let asked = Instant::now();
        let pod_found = LookedUp {
            pod: pod("a"),
            made: asked,
            asked,
        };
        found.looked_up.insert(ADDRESS, pod_found);
        listed.pods.insert(ADDRESS, pod("a"));
        for (peers, before, come) in [
            (&found, &nobody, true),
            (&listed, &nobody, true),
            (&listed, &found, false),
            (&listed, &listed, false),
            (&nobody, &listed, false),
        ] {
            assert_eq!(peers.have_come_since(before), come, "{peers:?} {before:?}");
        }
    }
}
