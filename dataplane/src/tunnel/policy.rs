//! Pure: who may open which flow. What nobody allowed is refused.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::gateway::{EgressGrant, GatewayConfig, IngressGrant};
use crate::identity::PublicKey;
use crate::tunnel::reason::Reason;

/// What a gateway allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GatewayPolicy {
    config: GatewayConfig,
}

impl GatewayPolicy {
    pub(crate) fn new(config: GatewayConfig) -> Self {
        Self { config }
    }

    /// The forwarder that a key belongs to.
    pub(crate) fn forwarder(&self, key: &PublicKey) -> Option<&str> {
        self.config.keys.get(key).map(String::as_str)
    }

    /// Whether a forwarder may reach a destination from a source IP.
    ///
    /// # Errors
    /// [`Reason::Forbidden`]: it is not granted, or no grant may allow it.
    pub(crate) fn egress(&self, forwarder: &str, grant: &EgressGrant) -> Result<(), Reason> {
        let granted = self
            .config
            .egress
            .get(forwarder)
            .is_some_and(|grants| grants.contains(grant));
        if granted && may_be_destination(grant.destination) {
            Ok(())
        } else {
            Err(Reason::Forbidden)
        }
    }

    /// The forwarder that takes a connection of `peer` to `listen`.
    ///
    /// # Errors
    /// [`Reason::Forbidden`]: nobody does.
    pub(crate) fn ingress(&self, listen: SocketAddrV4, peer: Ipv4Addr) -> Result<&str, Reason> {
        self.config
            .ingress
            .get(&IngressGrant { listen, peer })
            .map(String::as_str)
            .ok_or(Reason::Forbidden)
    }

    /// Ports and peers for which connections are taken in.
    pub(crate) fn ingress_grants(&self) -> impl Iterator<Item = &IngressGrant> {
        self.config.ingress.keys()
    }
}

/// Whether an address may be reached through a gateway at all: what is or may be the gateway host
/// itself, or more than one host, may not, whatever is granted.
fn may_be_destination(destination: SocketAddrV4) -> bool {
    let ip = destination.ip();
    let [first, ..] = ip.octets();
    let this_network = first == 0;
    let reserved = first >= 240;
    destination.port() != 0
        && !(this_network
            || reserved
            || ip.is_loopback()
            || ip.is_link_local()
            || ip.is_multicast()
            || ip.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PrivateKey;
    use std::collections::{BTreeMap, BTreeSet};

    fn address(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn grant(source_ip: &str, destination: &str) -> EgressGrant {
        EgressGrant {
            source_ip: source_ip.parse().unwrap(),
            destination: address(destination),
        }
    }

    /// One forwarder that may reach `destination` from 192.0.2.10, and one that may do nothing.
    fn policy(destination: &str) -> GatewayPolicy {
        GatewayPolicy::new(GatewayConfig {
            keys: BTreeMap::from([(PrivateKey::generate().public_key(), "shop".to_owned())]),
            egress: BTreeMap::from([
                (
                    "shop".to_owned(),
                    BTreeSet::from([grant("192.0.2.10", destination)]),
                ),
                (
                    "bank".to_owned(),
                    BTreeSet::from([grant("192.0.2.11", destination)]),
                ),
            ]),
            ingress: BTreeMap::from([(
                IngressGrant {
                    listen: address("192.0.2.10:80"),
                    peer: Ipv4Addr::new(203, 0, 113, 7),
                },
                "shop".to_owned(),
            )]),
        })
    }

    #[test]
    fn exactly_what_is_granted_may_be_reached() {
        let policy = policy("203.0.113.7:8000");
        let check = |forwarder, source_ip, destination, expect| {
            assert_eq!(
                policy.egress(forwarder, &grant(source_ip, destination)),
                expect,
                "{forwarder} as {source_ip} to {destination}"
            );
        };
        let no = Err(Reason::Forbidden);
        check("shop", "192.0.2.10", "203.0.113.7:8000", Ok(()));
        check("shop", "192.0.2.11", "203.0.113.7:8000", no);
        check("shop", "192.0.2.10", "203.0.113.7:8001", no);
        check("shop", "192.0.2.10", "203.0.113.8:8000", no);
        check("bank", "192.0.2.10", "203.0.113.7:8000", no);
        check("bank", "192.0.2.11", "203.0.113.7:8000", Ok(()));
        check("", "192.0.2.10", "203.0.113.7:8000", no);
    }

    #[test]
    fn no_grant_makes_the_gateway_host_or_a_group_a_destination() {
        for destination in [
            "127.0.0.1:22",
            "127.255.255.254:22",
            "0.0.0.0:22",
            "0.1.2.3:22",
            "169.254.169.254:80",
            "224.0.0.1:80",
            "239.255.255.255:80",
            "255.255.255.255:80",
            "240.0.0.1:80",
            "203.0.113.7:0",
        ] {
            let granted = grant("192.0.2.10", destination);
            let refused = policy(destination).egress("shop", &granted);
            assert_eq!(refused, Err(Reason::Forbidden), "{destination}");
        }
    }

    #[test]
    fn only_the_peer_of_a_grant_is_taken_in() {
        let policy = policy("203.0.113.7:8000");
        let peer = Ipv4Addr::new(203, 0, 113, 7);
        let third_host = Ipv4Addr::new(203, 0, 113, 66);
        assert_eq!(policy.ingress(address("192.0.2.10:80"), peer), Ok("shop"));
        for (listen, peer) in [
            ("192.0.2.10:80", third_host),
            ("192.0.2.10:81", peer),
            ("192.0.2.11:80", peer),
        ] {
            let refused = policy.ingress(address(listen), peer);
            assert_eq!(refused, Err(Reason::Forbidden), "{peer} to {listen}");
        }
    }
}
