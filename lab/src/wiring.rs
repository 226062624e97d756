//! Pure: the `ip` and `iptables` commands that join the hosts, as values.
//!
//! Both bridges live in the router, so that the machine's own network has no
//! interface, route or rule of the lab.

use crate::topology::{Host, Lan, POD_CIDR};

/// A command and the host in whose network namespace it runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Wire {
    /// Whose network namespace.
    pub host: Host,
    /// Program and arguments.
    pub argv: Vec<String>,
}

fn wire(host: Host, line: &str) -> Wire {
    let argv = line.split_whitespace().map(String::from).collect();
    Wire { host, argv }
}

/// What the router needs before any cable: bridges, addresses, forwarding.
pub fn router() -> Vec<Wire> {
    let mut wires = vec![
        wire(Host::Router, "ip link set lo up"),
        wire(Host::Router, "sysctl -qw net.ipv4.ip_forward=1"),
    ];
    for lan in Lan::ALL {
        let bridge = lan.bridge();
        wires.push(wire(
            Host::Router,
            &format!("ip link add {bridge} type bridge"),
        ));
        wires.push(wire(
            Host::Router,
            &format!("ip addr add {}/24 dev {bridge}", lan.router()),
        ));
        wires.push(wire(Host::Router, &format!("ip link set {bridge} up")));
    }
    wires
}

/// The cable from the router to `host`, whose processes `pid` names, then the
/// host's addresses and routes. Empty for the router itself.
pub fn cable(host: Host, pid: i32) -> Vec<Wire> {
    let Some((lan, addresses)) = host.uplink() else {
        return Vec::new();
    };
    let mut wires = vec![
        wire(
            Host::Router,
            &format!("ip link add {host} type veth peer name eth0 netns {pid}"),
        ),
        wire(
            Host::Router,
            &format!("ip link set {host} master {} up", lan.bridge()),
        ),
        wire(host, "ip link set lo up"),
    ];
    for address in addresses {
        wires.push(wire(host, &format!("ip addr add {address}/24 dev eth0")));
    }
    wires.push(wire(host, "ip link set eth0 up"));
    wires.push(wire(
        host,
        &format!("ip route add default via {}", lan.router()),
    ));
    wires.extend(pod_routes(host));
    wires
}

/// A node reaches the other's pods through the other node, and lets its own
/// pods out of the cluster under its own address, as most networks of clusters do.
fn pod_routes(host: Host) -> Vec<Wire> {
    let Some(own) = host.pod_cidr() else {
        return Vec::new();
    };
    let mut wires = vec![
        wire(host, "sysctl -qw net.ipv4.ip_forward=1"),
        // A pod that calls a Service may get a pod of its own node: without
        // this the answer takes the bridge and misses the NAT on its way back.
        wire(host, "sysctl -qw net.bridge.bridge-nf-call-iptables=1"),
        wire(
            host,
            &format!(
                "iptables -t nat -A POSTROUTING -s {own} ! -d {POD_CIDR} -o eth0 -j MASQUERADE"
            ),
        ),
    ];
    for other in Host::NODES.into_iter().filter(|other| *other != host) {
        if let Some(pods) = other.pod_cidr() {
            let route = format!("ip route add {pods} via {}", other.address());
            wires.push(wire(host, &route));
        }
    }
    wires
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(wires: Vec<Wire>) -> Vec<String> {
        wires
            .into_iter()
            .map(|wire| format!("{}: {}", wire.host, wire.argv.join(" ")))
            .collect()
    }

    #[test]
    fn the_gateway_host_holds_its_own_address_and_both_source_ips() {
        assert_eq!(
            lines(cable(Host::Gateway, 7)),
            [
                "router: ip link add gateway type veth peer name eth0 netns 7",
                "router: ip link set gateway master premises up",
                "gateway: ip link set lo up",
                "gateway: ip addr add 192.168.122.10/24 dev eth0",
                "gateway: ip addr add 192.168.122.200/24 dev eth0",
                "gateway: ip addr add 192.168.122.201/24 dev eth0",
                "gateway: ip link set eth0 up",
                "gateway: ip route add default via 192.168.122.1",
            ]
        );
    }

    #[test]
    fn a_node_reaches_the_pods_of_the_other_through_it() {
        let node1 = lines(cable(Host::Node1, 7));
        assert!(node1.contains(&"node1: ip route add 10.244.2.0/24 via 172.30.0.12".into()));
    }

    #[test]
    fn no_command_runs_outside_the_hosts_of_the_lab() {
        assert_eq!(cable(Host::Router, 7), []);
        assert!(router().iter().all(|wire| wire.host == Host::Router));
    }
}
