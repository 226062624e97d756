//! Pure: hosts, addresses and routes, as values.
//!
//! ```text
//!  client                 forwarder                gateway              server
//!  10.244.1.5…12 ──pods── 10.244.0.2
//!  10.96.3.4              172.30.0.2 ──────wan──── 172.30.0.1
//!                                                  192.0.2.10 ──lan──── 203.0.113.7
//! ```
//! Forwarder and gateway also route, so that a connection without any proxy can be measured
//! over the same hops.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A host of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Where pods run.
    Client,
    /// Where the tunnel begins.
    Forwarder,
    /// Where the tunnel ends.
    Gateway,
    /// The external server.
    Server,
}

impl Host {
    /// From the pods to the external server.
    pub const ALL: [Host; 4] = [Host::Client, Host::Forwarder, Host::Gateway, Host::Server];
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Host::Client => "client",
            Host::Forwarder => "forwarder",
            Host::Gateway => "gateway",
            Host::Server => "server",
        })
    }
}

/// Pods: several, because one address has too few ports for 60,000 connections to one port.
pub const PODS: [Ipv4Addr; 8] = [
    Ipv4Addr::new(10, 244, 1, 5),
    Ipv4Addr::new(10, 244, 1, 6),
    Ipv4Addr::new(10, 244, 1, 7),
    Ipv4Addr::new(10, 244, 1, 8),
    Ipv4Addr::new(10, 244, 1, 9),
    Ipv4Addr::new(10, 244, 1, 10),
    Ipv4Addr::new(10, 244, 1, 11),
    Ipv4Addr::new(10, 244, 1, 12),
];
/// What pods dial.
pub const FORWARDER: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 2);
/// The gateway's end of the wan.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
/// What the external server sees and dials.
pub const SOURCE_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The external server.
pub const TARGET: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 8000);
/// The Service behind which the pods are.
pub const SERVICE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 96, 3, 4), 80);

/// Set in each namespace before any socket is opened there, so that contenders differ in nothing
/// but themselves. 32 MiB so that a connection can fill 1 Gbit/s at 50 ms.
pub const SYSCTLS: [(&str, &str); 6] = [
    ("net.ipv4.tcp_rmem", "4096 131072 33554432"),
    ("net.ipv4.tcp_wmem", "4096 65536 33554432"),
    ("net.ipv4.ip_local_port_range", "1024 65535"),
    ("net.ipv4.ip_forward", "1"),
    ("net.core.somaxconn", "65535"),
    // A path's figures must not depend on which contender ran before.
    ("net.ipv4.tcp_no_metrics_save", "1"),
];

/// A veth pair: an interface of the same name on both hosts.
#[derive(Clone, Copy, Debug)]
pub struct Cable {
    /// Nearer to the pods.
    pub left: Host,
    /// Nearer to the external server.
    pub right: Host,
    name: &'static str,
}

impl Cable {
    /// Whether this is the one between forwarder and gateway.
    pub fn is_wan(&self) -> bool {
        self.left == Host::Forwarder
    }

    /// The `ip` arguments that lay it from the left host to the namespace of the right one.
    pub fn command(&self, right: &str) -> String {
        let name = self.name;
        format!("link add {name} type veth peer name {name} netns {right}")
    }
}

/// All cables.
pub const CABLES: [Cable; 3] = [
    Cable {
        left: Host::Client,
        right: Host::Forwarder,
        name: "pods",
    },
    Cable {
        left: Host::Forwarder,
        right: Host::Gateway,
        name: "wan",
    },
    Cable {
        left: Host::Gateway,
        right: Host::Server,
        name: "lan",
    },
];

/// The `ip` arguments of a host, once its interfaces are there.
///
/// Connections use cubic, as on most machines, whatever this machine's default is. The routes say
/// so, because a namespace may not choose as its default what the machine restricts.
pub fn wiring(host: Host) -> &'static [&'static str] {
    match host {
        Host::Client => &[
            "link set lo up",
            "link set pods up",
            "address add 10.244.1.5/16 dev pods noprefixroute",
            "address add 10.244.1.6/32 dev pods",
            "address add 10.244.1.7/32 dev pods",
            "address add 10.244.1.8/32 dev pods",
            "address add 10.244.1.9/32 dev pods",
            "address add 10.244.1.10/32 dev pods",
            "address add 10.244.1.11/32 dev pods",
            "address add 10.244.1.12/32 dev pods",
            "address add 10.96.3.4/32 dev lo",
            "route add 10.244.0.0/16 dev pods src 10.244.1.5 congctl cubic",
            "route add default via 10.244.0.2 congctl cubic",
        ],
        Host::Forwarder => &[
            "link set lo up",
            "link set pods up",
            "link set wan up",
            "address add 10.244.0.2/16 dev pods noprefixroute",
            "address add 172.30.0.2/24 dev wan noprefixroute",
            "route add 10.244.0.0/16 dev pods src 10.244.0.2 congctl cubic",
            "route add 172.30.0.0/24 dev wan src 172.30.0.2 congctl cubic",
            "route add 10.96.0.0/12 via 10.244.1.5 congctl cubic",
            "route add default via 172.30.0.1 congctl cubic",
        ],
        Host::Gateway => &[
            "link set lo up",
            "link set wan up",
            "link set lan up",
            "address add 172.30.0.1/24 dev wan noprefixroute",
            "address add 192.0.2.10/32 dev lan",
            "route add 172.30.0.0/24 dev wan src 172.30.0.1 congctl cubic",
            "route add 203.0.113.0/24 dev lan src 192.0.2.10 congctl cubic",
            "route add default via 172.30.0.2 congctl cubic",
        ],
        Host::Server => &[
            "link set lo up",
            "link set lan up",
            "address add 203.0.113.7/32 dev lan",
            "route add default via 192.0.2.10 dev lan onlink congctl cubic",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_the_plan_is_put_on_some_host() {
        let all: Vec<&str> = Host::ALL
            .iter()
            .flat_map(|host| wiring(*host))
            .copied()
            .collect();
        let mut addresses = vec![FORWARDER, GATEWAY, SOURCE_IP, *TARGET.ip(), *SERVICE.ip()];
        addresses.extend(PODS);
        for address in addresses {
            let wanted = format!("address add {address}/");
            assert!(
                all.iter().any(|line| line.starts_with(&wanted)),
                "{address}"
            );
        }
    }
}
