//! Asks for what `init` must know.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::InitArgs;
use super::discovery::Discovery;
use super::host_files::{HostFile, SourceIp};
use super::reservation;
use crate::cli::kubectl_flags::KubectlFlags;
use crate::cluster;
use crate::expose::request;
use crate::failure::Failure;
use crate::host::facts::HostFacts;
use crate::prompt::{Choice, Line, Prompter};

/// Context of the kubeconfig, if the user can be asked and has a choice; else the one named.
pub(crate) fn context(
    kubectl: &KubectlFlags,
    prompter: &dyn Prompter,
) -> Result<Option<String>, Failure> {
    let contexts = cluster::contexts(kubectl);
    let chosen = kubectl.context.is_some() || kubectl.server.is_some();
    if chosen || contexts.len() < 2 || !prompter.is_interactive() {
        return Ok(kubectl.context.clone());
    }
    let chosen = prompter.choose(&Choice {
        question: "Cluster, by the context of your kubeconfig",
        flag: "--context",
        items: &contexts,
    })?;
    Ok(contexts.into_iter().nth(chosen))
}

/// Namespace for everything that extconn runs and makes.
pub(crate) fn connector_namespace(
    args: &InitArgs,
    found: &Discovery,
    prompter: &dyn Prompter,
) -> Result<String, Failure> {
    if found.installed || args.connector.connector_namespace.is_some() {
        return Ok(found.connector_namespace.clone());
    }
    prompter.line(&Line {
        question: "Namespace for extconn",
        flag: "--connector-namespace",
        default: Some(found.connector_namespace.clone()),
        check: &|text| namespace(text),
    })
}

/// Checks the name of a namespace.
///
/// # Errors
/// A sentence with the rule.
pub(crate) fn namespace(text: &str) -> Result<(), String> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = !text.is_empty() && text.len() <= 63 && text.chars().all(inside);
    if fits && !text.starts_with('-') && !text.ends_with('-') {
        Ok(())
    } else {
        Err(format!(
            "{text:?} is no name of a namespace: lower-case letters, digits and '-'"
        ))
    }
}

/// ssh destination of the gateway host.
pub(crate) fn gateway(
    args: &InitArgs,
    found: &Discovery,
    prompter: &dyn Prompter,
) -> Result<String, Failure> {
    if let Some(gateway) = &args.gateway {
        return Ok(gateway.clone());
    }
    const ANOTHER: &str = "another host";
    let known = found.gateway_hosts.iter().map(|host| host.ssh.clone());
    let items: Vec<String> = known.chain([ANOTHER.to_owned()]).collect();
    if items.len() > 1 && prompter.is_interactive() {
        let chosen = prompter.choose(&Choice {
            question: "Gateway host",
            flag: "--gateway",
            items: &items,
        })?;
        if items[chosen] != ANOTHER {
            return Ok(items[chosen].clone());
        }
    }
    let default = match found.gateway_hosts.as_slice() {
        [only] if !prompter.is_interactive() => Some(only.ssh.clone()),
        _ => None,
    };
    prompter.line(&Line {
        question: "Gateway host, as ssh knows it (USER@HOST)",
        flag: "--gateway",
        default,
        check: &|text| destination(text).map(drop),
    })
}

/// Checks an ssh destination.
///
/// # Errors
/// It is empty, or an option in disguise.
pub(crate) fn destination(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace) {
        return Err(format!(
            "{text:?} is no ssh destination: write one such as root@192.0.2.1"
        ));
    }
    Ok(text.to_owned())
}

/// The host file: from the flags, from what is on the host, from answers.
pub(crate) fn host_file(
    args: &InitArgs,
    connector_namespace: &str,
    facts: &HostFacts,
    present: Option<HostFile>,
    server_address: Option<&str>,
    prompter: &dyn Prompter,
) -> Result<HostFile, Failure> {
    let source_ips = match (&present, args.source_ips.is_empty()) {
        (present, false) => as_before(args.source_ips.clone(), present.as_ref()),
        (Some(present), true) if !prompter.is_interactive() => present.source_ips.clone(),
        (present, true) => ask_for_source_ips(facts, present.as_ref(), prompter)?,
    };
    let ips: Vec<Ipv4Addr> = source_ips.iter().map(|source| source.ip).collect();
    if let Some(twice) = twice(&ips) {
        return Err(
            Failure::usage(format!("--source-ip {twice} is there twice"))
                .next("name each source IP once"),
        );
    }
    let ssh_endpoint = match (args.ssh_endpoint, &present) {
        (Some(endpoint), _) => endpoint,
        (None, Some(present)) => present.ssh_endpoint,
        (None, None) => ask_for_endpoint(server_address, prompter)?,
    };
    let target_networks = match (args.target_networks.is_empty(), &present) {
        (false, _) => Some(args.target_networks.clone()),
        (true, Some(present)) => present.target_networks.clone(),
        (true, None) => None,
    };
    let mut file = HostFile {
        ssh_endpoint,
        source_ips,
        target_networks,
        connector_namespace: connector_namespace.to_owned(),
        host_name: args
            .gateway_name
            .clone()
            .or_else(|| present.as_ref()?.host_name.clone()),
        other: present.map(|present| present.other).unwrap_or_default(),
    };
    reservation::reserve(&mut file, &args.reserve)?;
    Ok(file)
}

/// What `--source-ip` does not speak of stays as it is there: namespaces, and an address that the
/// gateway assigns, which without it would be gone.
fn as_before(mut source_ips: Vec<SourceIp>, present: Option<&HostFile>) -> Vec<SourceIp> {
    for source in &mut source_ips {
        let mut before = present.iter().flat_map(|present| &present.source_ips);
        if let Some(before) = before.find(|before| before.ip == source.ip) {
            source.namespaces = before.namespaces.clone();
            source.assign_to = source.assign_to.take().or(before.assign_to.clone());
        }
    }
    source_ips
}

fn ask_for_source_ips(
    facts: &HostFacts,
    present: Option<&HostFile>,
    prompter: &dyn Prompter,
) -> Result<Vec<SourceIp>, Failure> {
    let listed = present.map(|present| {
        present
            .source_ips
            .iter()
            .map(|source| source.ip.to_string())
            .collect::<Vec<_>>()
            .join(",")
    });
    let answer = prompter.line(&Line {
        question: "Source IPs for the cluster (comma between them)",
        flag: "--source-ip",
        default: listed,
        check: &|text| addresses(text).map(drop),
    })?;
    let mut source_ips = Vec::new();
    for ip in addresses(&answer).map_err(Failure::usage)? {
        let before =
            present.and_then(|present| present.source_ips.iter().find(|source| source.ip == ip));
        source_ips.push(match before {
            Some(before) => before.clone(),
            None if facts.addresses.contains_key(&ip) => SourceIp {
                ip,
                assign_to: None,
                namespaces: None,
            },
            None => SourceIp {
                ip,
                assign_to: ask_who_assigns(ip, facts, prompter)?,
                namespaces: None,
            },
        });
    }
    Ok(source_ips)
}

fn addresses(text: &str) -> Result<Vec<Ipv4Addr>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let addresses = words.map(request::address).collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = twice(&addresses) {
        return Err(format!("{twice} is there twice"));
    }
    if addresses.is_empty() {
        Err("name at least one address, such as 192.0.2.10".to_owned())
    } else {
        Ok(addresses)
    }
}

/// An address that is among `addresses` more than once.
fn twice(addresses: &[Ipv4Addr]) -> Option<Ipv4Addr> {
    let mut seen = BTreeSet::new();
    addresses.iter().copied().find(|ip| !seen.insert(*ip))
}

/// Checks a network, `203.0.113.0/24`.
///
/// # Errors
/// A sentence with an example, or with the network that is meant.
pub(crate) fn network(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no network: write one such as 203.0.113.0/24");
    let (ip, length) = text.split_once('/').ok_or_else(wrong)?;
    let ip: Ipv4Addr = ip.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().map_err(|_| wrong())?;
    if length > 32 {
        return Err(wrong());
    }
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let first = Ipv4Addr::from(u32::from(ip) & mask);
    if first == ip {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no network: write {first}/{length}"))
    }
}

fn ask_who_assigns(
    ip: Ipv4Addr,
    facts: &HostFacts,
    prompter: &dyn Prompter,
) -> Result<Option<String>, Failure> {
    let mut interfaces: Vec<&String> = facts
        .addresses
        .values()
        .filter(|name| *name != "lo")
        .collect();
    interfaces.sort();
    interfaces.dedup();
    let offers = interfaces
        .iter()
        .map(|name| format!("the gateway, to {name}, while it runs"));
    let items: Vec<String> = offers.chain(["I do".to_owned()]).collect();
    let question = format!("{ip} is not on the host. Who assigns it?");
    let flag = format!("--source-ip {ip}=INTERFACE");
    let chosen = prompter.choose(&Choice {
        question: &question,
        flag: &flag,
        items: &items,
    })?;
    Ok(interfaces.get(chosen).map(|name| (*name).clone()))
}

fn ask_for_endpoint(
    server_address: Option<&str>,
    prompter: &dyn Prompter,
) -> Result<SocketAddrV4, Failure> {
    let default = server_address.and_then(|address| address.parse::<Ipv4Addr>().ok());
    let default = default.filter(|address| !address.is_loopback());
    let answer = prompter.line(&Line {
        question: "Where the cluster reaches its tunnel port",
        flag: "--ssh-endpoint",
        default: default
            .map(|address| format!("{address}:{}", extconn_api::names::GATEWAY_SSH_PORT)),
        check: &|text| endpoint(text).map(drop),
    })?;
    endpoint(&answer).map_err(Failure::usage)
}

/// Reads `ADDRESS:PORT`; without a port, the usual one.
///
/// # Errors
/// A sentence with an example.
pub(crate) fn endpoint(text: &str) -> Result<SocketAddrV4, String> {
    let with_port = if text.contains(':') {
        text.to_owned()
    } else {
        format!("{text}:{}", extconn_api::names::GATEWAY_SSH_PORT)
    };
    let endpoint: SocketAddrV4 = with_port
        .parse()
        .map_err(|_| format!("{text:?} is no address and port: write 192.0.2.1:2022"))?;
    if endpoint.port() == 0 || endpoint.ip().is_unspecified() || endpoint.ip().is_loopback() {
        return Err(format!(
            "{endpoint} cannot be reached from the cluster: write 192.0.2.1:2022"
        ));
    }
    Ok(endpoint)
}

/// Reads `IP` or `IP=INTERFACE`.
///
/// # Errors
/// A sentence with an example.
pub(crate) fn source_ip(text: &str) -> Result<SourceIp, String> {
    let (ip, interface) = match text.split_once('=') {
        Some((ip, interface)) => (ip, Some(interface)),
        None => (text, None),
    };
    let interface_fits =
        |name: &str| !name.is_empty() && name.len() < 16 && !name.contains(['/', ' ']);
    if interface.is_some_and(|name| !interface_fits(name)) {
        return Err(format!(
            "{text:?} names no interface: write 192.0.2.10=eth0"
        ));
    }
    Ok(SourceIp {
        ip: request::address(ip)?,
        assign_to: interface.map(str::to_owned),
        namespaces: None,
    })
}

/// The API server as the gateway host reaches it: an `https://` address.
pub(crate) fn api_server(
    args: &InitArgs,
    from_here: &str,
    present: Option<String>,
    prompter: &dyn Prompter,
) -> Result<String, Failure> {
    if let Some(server) = &args.api_server {
        return Ok(server.clone());
    }
    let here_only = ["127.", "localhost", "[::1]"]
        .iter()
        .any(|host| from_here.starts_with(&format!("https://{host}")));
    let default = present.or_else(|| (!here_only).then(|| from_here.to_owned()));
    if let (Some(default), false) = (&default, prompter.is_interactive()) {
        return Ok(default.clone());
    }
    prompter.line(&Line {
        question: "API server as the gateway host reaches it",
        flag: "--api-server",
        default,
        check: &|text| server(text).map(drop),
    })
}

/// Checks the address of an API server.
///
/// # Errors
/// A sentence with an example.
pub(crate) fn server(text: &str) -> Result<String, String> {
    let wrong =
        || format!("{text:?} is no address of an API server: write https://192.0.2.100:6443");
    let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
    if rest.is_empty() || rest.contains(['/', ' ', '@']) {
        Err(wrong())
    } else {
        Ok(text.to_owned())
    }
}

/// Host and port of an `https://` address.
pub(crate) fn host_and_port(server: &str) -> (String, u16) {
    let authority = server
        .trim_start_matches("https://")
        .split('/')
        .next()
        .unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (
            host.trim_matches(['[', ']']).to_owned(),
            port.parse().unwrap_or(443),
        ),
        _ => (authority.trim_matches(['[', ']']).to_owned(), 443),
    }
}

#[cfg(test)]
mod tests;
