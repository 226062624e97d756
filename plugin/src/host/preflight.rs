//! Pure: whether a gateway can run on a host, and what to do if not.

mod disk;

use std::net::Ipv4Addr;

use super::facts::HostFacts;
use crate::terminal::style::Mood;
pub(crate) use disk::Copies;

/// Largest difference between the host's clock and the cluster's, in seconds: a token counts from
/// the second it was made.
const CLOCK_TOLERANCE: i64 = 30;

/// Architectures for which there is a gateway, by what `uname -m` calls them.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];

/// What is wanted of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Port of the gateway's ssh server.
    pub ssh_port: u16,
    /// Source IPs and, for those that the gateway is to assign itself, the interface.
    pub source_ips: Vec<(Ipv4Addr, Option<String>)>,
    /// `host:port` of the API server as the gateway host reaches it.
    pub api_server: String,
    /// The cluster's clock minus this machine's view of the host's, in seconds.
    pub cluster_clock: i64,
    /// What is to be copied to the host; `None` if all is there already.
    pub copies: Option<Copies>,
}

/// The outcome of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// How it is.
    pub mood: Mood,
    /// What was looked at and found.
    pub text: String,
    /// What to do, unless it is good.
    pub next: String,
}

fn good(text: impl Into<String>) -> Item {
    Item {
        mood: Mood::Good,
        text: text.into(),
        next: String::new(),
    }
}

fn bad(text: impl Into<String>, next: impl Into<String>) -> Item {
    Item {
        mood: Mood::Bad,
        text: text.into(),
        next: next.into(),
    }
}

fn unsure(text: impl Into<String>, next: impl Into<String>) -> Item {
    Item {
        mood: Mood::Unsure,
        text: text.into(),
        next: next.into(),
    }
}

/// The name that Go and Kubernetes have for an architecture of `uname -m`.
pub(crate) fn go_architecture(machine: &str) -> Option<&'static str> {
    ARCHITECTURES
        .iter()
        .find(|(uname, _)| *uname == machine)
        .map(|(_, go)| *go)
}

/// Every look, in the order in which the user reads them.
pub(crate) fn judge(facts: &HostFacts, wanted: &Wanted) -> Vec<Item> {
    let mut items = vec![
        platform(facts),
        systemd(facts),
        iptables(facts),
        port(facts, wanted),
    ];
    items.extend(http_port(facts));
    items.extend(
        wanted
            .source_ips
            .iter()
            .map(|(ip, interface)| source_ip(facts, *ip, interface.as_deref())),
    );
    items.extend([
        clock(facts, wanted),
        api_server(facts, wanted),
        disk::disk(facts, wanted.copies.as_ref()),
    ]);
    items
}

fn platform(facts: &HostFacts) -> Item {
    let text = format!("{} on {}", facts.os, facts.architecture);
    if facts.os != "Linux" {
        return bad(
            format!("the host runs {}", facts.os),
            "a gateway needs Linux: choose another host",
        );
    }
    match go_architecture(&facts.architecture) {
        Some(_) => good(text),
        None => bad(
            format!(
                "there is no gateway for the architecture {}",
                facts.architecture
            ),
            "choose a host with x86_64 or aarch64",
        ),
    }
}

fn systemd(facts: &HostFacts) -> Item {
    match &facts.systemd {
        Some(state) => good(format!(
            "systemd is {}",
            if state.is_empty() { "there" } else { state }
        )),
        None => bad(
            "the host does not run systemd",
            "choose a host with systemd",
        ),
    }
}

fn iptables(facts: &HostFacts) -> Item {
    match &facts.iptables {
        Some(version) if version.contains("legacy") => bad(
            format!(
                "{version}: only root may use the legacy back end, and the gateway is not root"
            ),
            "change to the other one: `update-alternatives --set iptables /usr/sbin/iptables-nft`",
        ),
        Some(_) if facts.iptables_nat.starts_with("-P PREROUTING") => {
            good(facts.iptables.clone().unwrap_or_default())
        }
        Some(version) => bad(
            format!("{version} does not work: {}", facts.iptables_nat),
            "load the kernel's nat support (modprobe nf_nat), or choose the other back end with update-alternatives",
        ),
        None if facts.nft => bad(
            "the host has nft and no iptables",
            "install the package iptables: its nft back end leaves your nftables rules alone",
        ),
        None => bad("iptables is missing", "install the package iptables"),
    }
}

fn port(facts: &HostFacts, wanted: &Wanted) -> Item {
    let port = wanted.ssh_port;
    match facts.port_taken_by.as_deref() {
        None => good(format!("port {port} is free")),
        Some("extconn-gateway") => {
            good(format!("port {port} is held by the gateway that is there"))
        }
        Some("unknown") if facts.service == "active" => {
            good(format!("port {port} is held by the gateway that is there"))
        }
        Some(program) => bad(
            format!("port {port} is taken by {}", named(program)),
            "stop it, or choose another port with --ssh-endpoint ADDRESS:PORT",
        ),
    }
}

/// Nothing if the port is free or the gateway's: it is no choice of most users.
fn http_port(facts: &HostFacts) -> Option<Item> {
    let (port, program) = facts.http_taken.as_ref()?;
    if program == "unknown" && facts.service == "active" {
        return None;
    }
    Some(bad(
        format!(
            "port {port}, at which the gateway says how it is, is taken by {}",
            named(program)
        ),
        "stop it, or give the gateway another one: a line `httpListen: 127.0.0.1:PORT` in \
         /etc/extconn/gateway.yaml on the host, beside sshEndpoint and sourceIPs",
    ))
}

fn named(program: &str) -> &str {
    if program == "unknown" {
        "another program"
    } else {
        program
    }
}

fn source_ip(facts: &HostFacts, ip: Ipv4Addr, interface: Option<&str>) -> Item {
    if let Some(link) = facts.elsewhere.get(&ip) {
        return bad(
            format!("source IP {ip} is used by another machine on the LAN ({link})"),
            "choose an address that nobody else has, or take it off that machine",
        );
    }
    if let Some(on) = facts.addresses.get(&ip) {
        return good(format!("source IP {ip} is on {on}"));
    }
    let Some(interface) = interface else {
        return bad(
            format!("source IP {ip} is not on the host"),
            format!("assign it, or let the gateway do so with --source-ip {ip}=INTERFACE"),
        );
    };
    if !facts.addresses.values().any(|known| known == interface) {
        let mut known: Vec<&str> = facts
            .addresses
            .values()
            .map(String::as_str)
            .filter(|name| *name != "lo")
            .collect();
        known.sort_unstable();
        known.dedup();
        return bad(
            format!(
                "source IP {ip} cannot be assigned: the host has no interface {interface} with an address"
            ),
            format!(
                "name one of: {}",
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            ),
        );
    }
    if facts.unchecked.contains(&ip) || facts.off_link.contains(&ip) {
        return unsure(
            format!(
                "the gateway will assign source IP {ip} to {interface}; whether another machine has it could not be checked"
            ),
            "make sure that the address is yours and is routed to this host",
        );
    }
    good(format!(
        "source IP {ip} is free and will be assigned to {interface}"
    ))
}

fn clock(facts: &HostFacts, wanted: &Wanted) -> Item {
    let behind = wanted.cluster_clock - facts.clock;
    if behind.abs() <= CLOCK_TOLERANCE {
        return good("the clock agrees with the cluster's");
    }
    let direction = if behind > 0 { "behind" } else { "ahead of" };
    bad(
        format!("the clock is {} s {direction} the cluster's", behind.abs()),
        "set the clock (timedatectl set-ntp true): the cluster refuses tokens from another time",
    )
}

fn api_server(facts: &HostFacts, wanted: &Wanted) -> Item {
    let address = &wanted.api_server;
    match facts.api_reachable {
        Some(true) => good(format!("the API server answers at {address}")),
        Some(false) => bad(
            format!("the API server does not answer at {address} from there"),
            "open the way through the firewalls, or name another address with --api-server",
        ),
        None => unsure(
            format!(
                "whether the API server answers at {address} could not be tried: the host has no bash"
            ),
            "make sure that it does",
        ),
    }
}

#[cfg(test)]
mod tests;
