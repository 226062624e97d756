//! Pure: a Forwarder object in the data plane's words.

use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddrV4};

use extconn_api::forwarder::{EgressEntry, GatewayEndpoint, IngressEntry};
use extconn_api::{ForwarderSpec, NamespacedName};
use extconn_dataplane::forwarder::{ForwarderConfig, GatewayEndpoint as Endpoint};

/// What a Forwarder object asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// For the data plane.
    pub config: ForwarderConfig,
    /// Services whose pods may connect, in the order of the object: the first that has a pod wins.
    pub sources: Vec<Source>,
    /// Entries that make no sense and are left out, one sentence each: what, and why.
    pub problems: Vec<String>,
}

/// A Service whose pods may connect, and the address that its pods take on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The Service.
    pub service: NamespacedName,
    /// The address that the external server shall see.
    pub source_ip: Ipv4Addr,
}

/// What `spec` asks for. `http_port` is this process' own: no egress entry can have it.
pub fn plan(spec: &ForwarderSpec, http_port: u16) -> Plan {
    let mut plan = Plan::default();
    for source in &spec.sources {
        let what = format!("source Service {}", source.service);
        let parsed = address("source IP", &source.source_ip).map(|source_ip| Source {
            service: source.service.clone(),
            source_ip,
        });
        plan.sources.extend(plan.problems.keep(what, parsed));
    }
    for entry in &spec.egress {
        let what = format!("egress port {}", entry.target_port);
        let parsed = egress(entry, http_port);
        if let Some((listen, destination)) = plan.problems.keep(&what, parsed) {
            match plan.config.egress.entry(listen) {
                Entry::Vacant(slot) => drop(slot.insert(destination)),
                Entry::Occupied(first) => plan.problems.push(format!(
                    "{what} to {destination} is left out: it leads to {} already",
                    first.get()
                )),
            }
        }
    }
    for entry in &spec.ingress {
        let what = format!("ingress {}:{}", entry.source_ip, entry.port);
        let parsed = ingress(entry);
        if let Some((listen, service)) = plan.problems.keep(&what, parsed) {
            match plan.config.ingress.entry(listen) {
                Entry::Vacant(slot) => drop(slot.insert(service)),
                Entry::Occupied(first) => plan.problems.push(format!(
                    "{what} to {service} is left out: it leads to {} already",
                    first.get()
                )),
            }
        }
    }
    for entry in &spec.gateways {
        let what = format!("gateway of source IP {}", entry.source_ip);
        let parsed = gateway(entry);
        if let Some((source_ip, endpoint)) = plan.problems.keep(&what, parsed) {
            match plan.config.gateways.entry(source_ip) {
                Entry::Vacant(slot) => drop(slot.insert(endpoint)),
                Entry::Occupied(first) => plan.problems.push(format!(
                    "{what} at {} is left out: it is at {} already",
                    endpoint.address,
                    first.get().address
                )),
            }
        }
    }
    plan
}

/// Sorts what could be parsed from what could not.
trait Problems {
    fn keep<T>(&mut self, what: impl Display, parsed: Result<T, String>) -> Option<T>;
}

impl Problems for Vec<String> {
    fn keep<T>(&mut self, what: impl Display, parsed: Result<T, String>) -> Option<T> {
        parsed
            .map_err(|reason| self.push(format!("{what} is left out: {reason}")))
            .ok()
    }
}

fn egress(entry: &EgressEntry, http_port: u16) -> Result<(u16, SocketAddrV4), String> {
    let extconn_api::Protocol::Tcp = entry.protocol;
    let listen = port("targetPort", entry.target_port)?;
    if listen == http_port {
        return Err("the forwarder's own health and metrics port".to_owned());
    }
    let destination = address("destinationIP", &entry.destination_ip)?;
    let destination_port = port("destinationPort", entry.destination_port)?;
    Ok((listen, SocketAddrV4::new(destination, destination_port)))
}

fn ingress(entry: &IngressEntry) -> Result<(SocketAddrV4, SocketAddrV4), String> {
    let extconn_api::Protocol::Tcp = entry.protocol;
    let listen = address("sourceIP", &entry.source_ip)?;
    let service = address("clusterIP", &entry.cluster_ip)?;
    let port = port("port", entry.port)?;
    Ok((
        SocketAddrV4::new(listen, port),
        SocketAddrV4::new(service, port),
    ))
}

fn gateway(entry: &GatewayEndpoint) -> Result<(Ipv4Addr, Endpoint), String> {
    let source_ip = address("sourceIP", &entry.source_ip)?;
    let address: SocketAddrV4 = entry.ssh_endpoint.parse().map_err(|_| {
        let text = &entry.ssh_endpoint;
        format!("sshEndpoint {text:?} is no IPv4 address and port such as 192.0.2.1:2022")
    })?;
    port("port of sshEndpoint", address.port())?;
    let host_key = entry
        .host_key
        .parse()
        .map_err(|e: extconn_dataplane::identity::PublicKeyError| e.to_string())?;
    Ok((source_ip, Endpoint { address, host_key }))
}

fn address(field: &str, text: &str) -> Result<Ipv4Addr, String> {
    let address: Ipv4Addr = text
        .parse()
        .map_err(|_| format!("{field} {text:?} is no IPv4 address"))?;
    let nobody = address.is_unspecified()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast();
    if nobody {
        return Err(format!("{field} {text} is the address of no single host"));
    }
    Ok(address)
}

fn port(field: &str, number: u16) -> Result<u16, String> {
    match number {
        0 => Err(format!("{field} is 0")),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests;
