//! Pure: which flows a forwarder's configuration allows.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::config::{ForwarderConfig, Peers};

/// A flow that is alive, and what it was allowed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForwarderFlow {
    /// From a pod.
    Egress {
        listen: u16,
        destination: SocketAddrV4,
        pod: Ipv4Addr,
        uid: String,
        source_ip: Ipv4Addr,
        gateway: SocketAddrV4,
    },
    /// To a Service.
    Ingress {
        listen: SocketAddrV4,
        service: SocketAddrV4,
        gateway: SocketAddrV4,
    },
}

impl ForwarderFlow {
    /// Whether the configuration says still what it said when the flow began.
    pub(crate) fn allowed(&self, config: &ForwarderConfig, peers: &Peers) -> bool {
        match self {
            Self::Egress {
                listen,
                destination,
                pod,
                uid,
                source_ip,
                gateway,
            } => {
                let same_pod = peers
                    .holder(*pod)
                    .is_some_and(|pod| pod.uid == *uid && pod.source_ip == *source_ip);
                same_pod
                    && !peers.nodes.contains(pod)
                    && config.egress.get(listen) == Some(destination)
                    && holds(config, *source_ip, *gateway)
            }
            Self::Ingress {
                listen,
                service,
                gateway,
            } => {
                config.ingress.get(listen) == Some(service) && holds(config, *listen.ip(), *gateway)
            }
        }
    }
}

fn holds(config: &ForwarderConfig, source_ip: Ipv4Addr, gateway: SocketAddrV4) -> bool {
    let holder = config.gateways.get(&source_ip);
    holder.is_some_and(|endpoint| endpoint.address == gateway)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarder::{GatewayEndpoint, Pod};
    use crate::identity::PrivateKey;

    const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 5);
    const SOURCE_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

    fn address(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn pod(uid: &str, source_ip: Ipv4Addr) -> Pod {
        Pod {
            name: "ns1/my-pod1".to_owned(),
            uid: uid.to_owned(),
            source_ip,
        }
    }

    fn world() -> (ForwarderConfig, Peers) {
        let mut config = ForwarderConfig::default();
        config.egress.insert(8000, address("203.0.113.7:8000"));
        let listen = address("192.0.2.10:80");
        config.ingress.insert(listen, address("10.96.3.4:80"));
        let endpoint = GatewayEndpoint {
            address: address("192.0.2.1:2022"),
            host_key: PrivateKey::generate().public_key(),
        };
        config.gateways.insert(SOURCE_IP, endpoint);
        let mut peers = Peers::default();
        peers.pods.insert(POD, pod("uid-1", SOURCE_IP));
        (config, peers)
    }

    fn flows() -> [ForwarderFlow; 2] {
        let egress = ForwarderFlow::Egress {
            listen: 8000,
            destination: address("203.0.113.7:8000"),
            pod: POD,
            uid: "uid-1".to_owned(),
            source_ip: SOURCE_IP,
            gateway: address("192.0.2.1:2022"),
        };
        let ingress = ForwarderFlow::Ingress {
            listen: address("192.0.2.10:80"),
            service: address("10.96.3.4:80"),
            gateway: address("192.0.2.1:2022"),
        };
        [egress, ingress]
    }

    /// Whether (egress, ingress) are allowed after a change.
    fn after(change: impl Fn(&mut ForwarderConfig, &mut Peers)) -> (bool, bool) {
        let (mut config, mut peers) = world();
        change(&mut config, &mut peers);
        let [egress, ingress] = flows();
        (
            egress.allowed(&config, &peers),
            ingress.allowed(&config, &peers),
        )
    }

    #[test]
    fn flows_outlive_changes_that_do_not_concern_them() {
        assert_eq!(after(|_, _| {}), (true, true));
        let unrelated = |config: &mut ForwarderConfig, peers: &mut Peers| {
            config.egress.insert(9000, address("203.0.113.7:9000"));
            peers
                .pods
                .insert(Ipv4Addr::new(10, 244, 1, 6), pod("uid-2", SOURCE_IP));
        };
        assert_eq!(after(unrelated), (true, true));
    }

    #[test]
    fn flows_end_with_what_allowed_them() {
        let other_ip = Ipv4Addr::new(192, 0, 2, 11);
        assert_eq!(after(|_, peers| peers.pods.clear()), (false, true));
        let reused = |_: &mut _, peers: &mut Peers| {
            peers.pods.insert(POD, pod("uid-2", SOURCE_IP));
        };
        assert_eq!(after(reused), (false, true));
        let moved = |_: &mut _, peers: &mut Peers| {
            peers.pods.insert(POD, pod("uid-1", other_ip));
        };
        assert_eq!(after(moved), (false, true));
        let node = |_: &mut _, peers: &mut Peers| {
            peers.nodes.insert(POD);
        };
        assert_eq!(after(node), (false, true));
        assert_eq!(after(|config, _| config.egress.clear()), (false, true));
        assert_eq!(after(|config, _| config.ingress.clear()), (true, false));
        assert_eq!(after(|config, _| config.gateways.clear()), (false, false));
        let redirected = |config: &mut ForwarderConfig, _: &mut _| {
            config.egress.insert(8000, address("203.0.113.8:8000"));
        };
        assert_eq!(after(redirected), (false, true));
    }
}
