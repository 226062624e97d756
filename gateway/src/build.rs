//! Pure: Gateway and Forwarder objects in the data plane's words, within what the host allows.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use extconn_api::gateway::ForwarderGrant;
use extconn_api::{Forwarder, Gateway, Protocol, names, permission};
use extconn_dataplane::gateway::{EgressGrant, GatewayConfig, IngressGrant};
use extconn_dataplane::identity::PublicKey;

use crate::host_file::HostFile;

/// What the objects ask of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// For the data plane.
    pub config: GatewayConfig,
    /// The Gateway objects that this host answers for: one entry for each, by name.
    pub claims: BTreeMap<String, Claim>,
    /// Keys that are not admitted, one sentence each: what, and why.
    pub problems: Vec<String>,
}

/// A Gateway object that this host answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The source IP.
    pub source_ip: Ipv4Addr,
    /// Generation of the object that was read.
    pub generation: Option<i64>,
    /// The only namespaces whose ExternalServices may use the source IP; `None` if all may.
    pub reserved_for: Option<Vec<String>>,
    /// What the object asks for and does not get, one entry each.
    pub refusals: Vec<Refused>,
}

/// What is refused, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The forwarder; `None` if nobody gets anything from the object.
    pub forwarder: Option<String>,
    /// What, and why.
    pub refusal: Refusal,
}

/// Something that a Gateway object asks for and does not get; the sentence says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It makes no sense.
    Invalid(String),
    /// This host does not allow it.
    NotAllowed(String),
}

/// What the objects ask of this host. `own` are the addresses that the host has, which are never
/// targets.
pub fn plan<'a>(
    gateways: impl IntoIterator<Item = &'a Gateway>,
    forwarders: impl IntoIterator<Item = &'a Forwarder>,
    host: &HostFile,
    own: &BTreeSet<Ipv4Addr>,
) -> Plan {
    let mut plan = Plan::default();
    let mut granted = BTreeSet::new();
    // In order of name, so that the first of two that collide is always the same.
    let mut gateways: Vec<_> = gateways.into_iter().collect();
    gateways.sort_by_key(|g| g.metadata.name.as_deref());
    for gateway in gateways {
        let Some((name, source_ip)) = held_here(gateway, host) else {
            continue;
        };
        let mut refused = vec![];
        if gateway.spec.source_ip == name {
            for grant in &gateway.spec.forwarders {
                let mut refusals = vec![];
                match reserved(source_ip, grant, host) {
                    Ok(()) => {
                        granted.insert(grant.name.as_str());
                        grants(&mut plan.config, &mut refusals, source_ip, grant, host, own);
                    }
                    Err(refusal) => refusals.push(refusal),
                }
                refused.extend(refusals.into_iter().map(|refusal| Refused {
                    forwarder: Some(grant.name.clone()),
                    refusal,
                }));
            }
        } else {
            let refusal = Refusal::Invalid(format!(
                "spec.sourceIP {:?} is not the object's name",
                gateway.spec.source_ip
            ));
            refused.push(Refused {
                forwarder: None,
                refusal,
            });
        }
        let claim = Claim {
            source_ip,
            generation: gateway.metadata.generation,
            reserved_for: host.reserved.get(&source_ip).cloned(),
            refusals: refused,
        };
        plan.claims.insert(name.to_owned(), claim);
    }
    (plan.config.keys, plan.problems) = keys(forwarders, &granted);
    plan
}

/// Name and source IP of a Gateway object whose source IP this host lists.
fn held_here<'a>(gateway: &'a Gateway, host: &HostFile) -> Option<(&'a str, Ipv4Addr)> {
    let name = gateway.metadata.name.as_deref()?;
    let source_ip = name.parse().ok()?;
    let held = names::gateway(source_ip) == name && host.source_ips.contains_key(&source_ip);
    held.then_some((name, source_ip))
}

/// Whether the host lets ExternalServices of the grant's namespace use the source IP.
fn reserved(source_ip: Ipv4Addr, grant: &ForwarderGrant, host: &HostFile) -> Result<(), Refusal> {
    let allowed = host.reserved.get(&source_ip).map(Vec::as_slice);
    let namespace = grant.external_service_namespace.as_deref();
    // No name of a namespace: an entry that does not tell its own gets nothing reserved.
    let namespace = namespace.unwrap_or("(none)");
    permission::check_source_ip(&source_ip.to_string(), allowed, None, namespace)
        .map_err(|denied| Refusal::NotAllowed(denied.text).of(&format!("all of {}", grant.name)))
}

/// Adds what `grant` may have to `config`, and what it may not to `refusals`.
fn grants(
    config: &mut GatewayConfig,
    refusals: &mut Vec<Refusal>,
    source_ip: Ipv4Addr,
    grant: &ForwarderGrant,
    host: &HostFile,
    own: &BTreeSet<Ipv4Addr>,
) {
    let forwarder = &grant.name;
    for entry in &grant.egress {
        let Protocol::Tcp = entry.protocol;
        match endpoint(&entry.ip, entry.port, host, own) {
            Ok(destination) => {
                let grants = config.egress.entry(forwarder.clone()).or_default();
                grants.insert(EgressGrant {
                    source_ip,
                    destination,
                });
            }
            Err(refusal) => refusals.push(refusal.of(&format!("egress of {forwarder}"))),
        }
    }
    for entry in &grant.ingress {
        let Protocol::Tcp = entry.protocol;
        match endpoint(&entry.peer, entry.port, host, own) {
            Ok(peer) => {
                let listen = SocketAddrV4::new(source_ip, entry.port);
                let peer = *peer.ip();
                match config.ingress.entry(IngressGrant { listen, peer }) {
                    Entry::Vacant(slot) => drop(slot.insert(forwarder.clone())),
                    Entry::Occupied(first) if first.get() == forwarder => {}
                    Entry::Occupied(first) => refusals.push(Refusal::Invalid(format!(
                        "ingress of {forwarder}: port {} for {peer} is {}'s already",
                        entry.port,
                        first.get()
                    ))),
                }
            }
            Err(refusal) => refusals.push(refusal.of(&format!("ingress of {forwarder}"))),
        }
    }
}

/// An external server's address and a port, if this host lets it be reached.
fn endpoint(
    ip: &str,
    port: u16,
    host: &HostFile,
    own: &BTreeSet<Ipv4Addr>,
) -> Result<SocketAddrV4, Refusal> {
    let Ok(address) = ip.parse::<Ipv4Addr>() else {
        return Err(Refusal::Invalid(format!("{ip:?} is no IPv4 address")));
    };
    if port == 0 {
        return Err(Refusal::Invalid(format!("port 0 of {ip} is no port")));
    }
    let refused = if is_never_a_host(address) {
        "no address of a single host that others can reach"
    } else if own.contains(&address) || host.source_ips.contains_key(&address) {
        "an address of the gateway host itself"
    } else if !allowed(address, host) {
        "in none of the targetNetworks of the gateway's host file"
    } else {
        return Ok(SocketAddrV4::new(address, port));
    };
    Err(Refusal::NotAllowed(format!("{address} is {refused}")))
}

fn allowed(address: Ipv4Addr, host: &HostFile) -> bool {
    let Some(networks) = &host.target_networks else {
        return true;
    };
    networks.iter().any(|network| network.contains(&address))
}

/// Whether the address is one that no host beside this one can have: unspecified, loopback,
/// link-local, multicast, reserved and broadcast (RFC 6890).
pub fn is_never_a_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first == 0
        || first >= 240
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
}

/// Which forwarder each key belongs to, and what is wrong with the others. A key that two
/// forwarders claim is nobody's: neither may pass for the other.
fn keys<'a>(
    forwarders: impl IntoIterator<Item = &'a Forwarder>,
    granted: &BTreeSet<&str>,
) -> (BTreeMap<PublicKey, String>, Vec<String>) {
    let mut owners: BTreeMap<PublicKey, BTreeSet<&str>> = BTreeMap::new();
    let mut problems = vec![];
    for forwarder in forwarders {
        let name = forwarder.metadata.name.as_deref().unwrap_or_default();
        if !granted.contains(name) {
            continue;
        }
        for replica in forwarder.status.iter().flat_map(|s| &s.replicas) {
            match replica.public_key.parse() {
                Ok(key) => drop(owners.entry(key).or_default().insert(name)),
                Err(error) => problems.push(format!(
                    "replica {} of forwarder {name} is not admitted: {error}",
                    replica.pod_name
                )),
            }
        }
    }
    let mut keys = BTreeMap::new();
    for (key, names) in owners {
        match names.len() {
            1 => keys.extend(names.first().map(|name| (key, (*name).to_owned()))),
            _ => problems.push(format!(
                "key {key} is not admitted: forwarders {} claim it",
                names.into_iter().collect::<Vec<_>>().join(" and ")
            )),
        }
    }
    problems.sort();
    (keys, problems)
}

impl Refusal {
    /// The same, with what it is about in front.
    fn of(self, what: &str) -> Self {
        match self {
            Self::Invalid(reason) => Self::Invalid(format!("{what}: {reason}")),
            Self::NotAllowed(reason) => Self::NotAllowed(format!("{what}: {reason}")),
        }
    }

    /// The sentence.
    pub fn sentence(&self) -> &str {
        match self {
            Self::Invalid(sentence) | Self::NotAllowed(sentence) => sentence,
        }
    }
}

#[cfg(test)]
mod tests;
