//! Pure: which hosts the lab has, and their addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Pods of both nodes.
pub const POD_CIDR: &str = "10.244.0.0/16";
/// Services.
pub const SERVICE_CIDR: &str = "10.96.0.0/12";
/// ClusterIP of the `kubernetes` Service.
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// ClusterIP of the cluster's DNS.
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// Node 1: control plane and worker.
pub const NODE1: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 11);
/// Node 2: worker.
pub const NODE2: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 12);
/// Where the administrator sits, on the cluster's network.
pub const WORKSTATION: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 2);
/// The gateway host's own address; ssh listens there.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 122, 10);
/// A second gateway host, for whoever wants one; ssh listens there.
pub const GATEWAY2: Ipv4Addr = Ipv4Addr::new(192, 168, 122, 11);
/// Source IP assigned to the second gateway host.
pub const SOURCE_IP2: Ipv4Addr = Ipv4Addr::new(192, 168, 122, 211);
/// Source IPs assigned to the gateway host.
pub const SOURCE_IPS: [Ipv4Addr; 2] = [
    Ipv4Addr::new(192, 168, 122, 200),
    Ipv4Addr::new(192, 168, 122, 201),
];
/// The external server; its HTTP server is on [`EXTERNAL_PORT`].
pub const EXTERNAL: Ipv4Addr = Ipv4Addr::new(192, 168, 122, 139);
/// Where the external server's HTTP server listens.
pub const EXTERNAL_PORT: u16 = 8000;
/// A host beside the external server that must be refused everywhere.
pub const THIRD: Ipv4Addr = Ipv4Addr::new(192, 168, 122, 150);
/// The API server, as seen from every host of the lab.
pub const API_SERVER: &str = "https://172.30.0.11:6443";

/// One machine of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// Joins the two networks.
    Router,
    /// Control plane and worker.
    Node1,
    /// Worker.
    Node2,
    /// The administrator's: kubectl, helm, ssh.
    Workstation,
    /// Debian with systemd and sshd, holds the source IPs.
    Gateway,
    /// Another such host, which holds a source IP of its own.
    Gateway2,
    /// The external server.
    External,
    /// A stranger on the external server's network.
    Third,
}

/// A network of the lab: a bridge in the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lan {
    /// The nodes and the workstation, 172.30.0.0/24.
    Cluster,
    /// The gateway hosts and the external hosts, 192.168.122.0/24.
    Premises,
}

impl Lan {
    /// Both networks.
    pub const ALL: [Lan; 2] = [Lan::Cluster, Lan::Premises];

    /// The bridge's name in the router.
    pub fn bridge(self) -> &'static str {
        match self {
            Lan::Cluster => "cluster",
            Lan::Premises => "premises",
        }
    }

    /// The router's address on this network, every host's default route.
    pub fn router(self) -> Ipv4Addr {
        match self {
            Lan::Cluster => Ipv4Addr::new(172, 30, 0, 1),
            Lan::Premises => Ipv4Addr::new(192, 168, 122, 1),
        }
    }
}

impl Host {
    /// Every host, the router first: the others' cables end in it.
    pub const ALL: [Host; 8] = [
        Host::Router,
        Host::Node1,
        Host::Node2,
        Host::Workstation,
        Host::Gateway,
        Host::Gateway2,
        Host::External,
        Host::Third,
    ];
    /// The hosts in which a Debian of their own is booted.
    pub const GUESTS: [Host; 2] = [Host::Gateway, Host::Gateway2];
    /// The hosts that run pods.
    pub const NODES: [Host; 2] = [Host::Node1, Host::Node2];

    /// The name used on the command line, as host name and in cgroup paths.
    pub fn name(self) -> &'static str {
        match self {
            Host::Router => "router",
            Host::Node1 => "node1",
            Host::Node2 => "node2",
            Host::Workstation => "workstation",
            Host::Gateway => "gateway",
            Host::Gateway2 => "gateway2",
            Host::External => "external",
            Host::Third => "third",
        }
    }

    /// The name of the host's network namespace, as `ip netns` lists it.
    pub fn netns(self) -> String {
        format!("extconn-lab-{}", self.name())
    }

    /// Where the host is plugged in, and its addresses there, own address
    /// first. `None` for the router, which is on both.
    pub fn uplink(self) -> Option<(Lan, Vec<Ipv4Addr>)> {
        Some(match self {
            Host::Router => return None,
            Host::Node1 => (Lan::Cluster, vec![NODE1]),
            Host::Node2 => (Lan::Cluster, vec![NODE2]),
            Host::Workstation => (Lan::Cluster, vec![WORKSTATION]),
            Host::Gateway => (Lan::Premises, vec![GATEWAY, SOURCE_IPS[0], SOURCE_IPS[1]]),
            Host::Gateway2 => (Lan::Premises, vec![GATEWAY2, SOURCE_IP2]),
            Host::External => (Lan::Premises, vec![EXTERNAL]),
            Host::Third => (Lan::Premises, vec![THIRD]),
        })
    }

    /// The host's own address; the router's is that on the cluster's side.
    pub fn address(self) -> Ipv4Addr {
        self.uplink()
            .map_or(Lan::Cluster.router(), |(_, addresses)| addresses[0])
    }

    /// The pods of this node, if it is one.
    pub fn pod_cidr(self) -> Option<&'static str> {
        match self {
            Host::Node1 => Some("10.244.1.0/24"),
            Host::Node2 => Some("10.244.2.0/24"),
            _ => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(name: &str) -> Result<Host, String> {
        Host::ALL
            .into_iter()
            .find(|host| host.name() == name)
            .ok_or_else(|| {
                let known = Host::ALL.map(Host::name).join(", ");
                format!("no host {name} in the lab; its hosts are {known}")
            })
    }
}

/// The hosts file that every host of the lab has.
pub fn hosts_file() -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost\n");
    for host in Host::ALL {
        text.push_str(&format!("{} {host}\n", host.address()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_hosts_share_an_address() {
        let all: Vec<_> = Host::ALL
            .iter()
            .filter_map(|host| host.uplink())
            .flat_map(|(_, addresses)| addresses)
            .chain(Lan::ALL.map(Lan::router))
            .collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn every_host_is_on_the_network_of_its_default_route() {
        for host in Host::ALL {
            let Some((lan, addresses)) = host.uplink() else {
                continue;
            };
            for address in addresses {
                assert_eq!(address.octets()[..3], lan.router().octets()[..3], "{host}");
            }
        }
    }

    #[test]
    fn a_host_is_found_by_its_name_and_a_stranger_is_told_the_names() {
        for host in Host::ALL {
            assert_eq!(host.name().parse(), Ok(host));
        }
        let refusal = "node3".parse::<Host>().unwrap_err();
        assert!(refusal.contains("node3") && refusal.contains("node2"));
    }
}
