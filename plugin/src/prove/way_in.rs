//! The way from the target into the cluster: rules on the gateway host, and connections from the
//! target itself if the user lends a login there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;

use super::hop::Hop;
use super::observe::Observed;
use super::rules::{self, WayIn};
use super::{Asked, source};
use crate::cluster::gateway_hosts::GatewayHost;
use crate::host::ssh::{MayAsk, Ssh};
use crate::invocation::Invocation;
use crate::program::quoted;
use crate::terminal::progress::Step;

/// What the gateway hosts' nat tables hold, by source IP; `Err` says why it is not known.
pub(crate) type Tables = BTreeMap<String, Result<String, String>>;

/// Ways into the cluster through the source at `index`: one for each TCP port of its Service.
pub(crate) fn ways(seen: &Observed, index: usize) -> Vec<WayIn> {
    let spec = &seen.external_service.spec;
    let ports = seen.services[index]
        .as_ref()
        .and_then(|service| service.spec.as_ref()?.ports.clone());
    let tcp = ports
        .into_iter()
        .flatten()
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    let way = |port: k8s_openapi::api::core::v1::ServicePort| WayIn {
        source_ip: spec.sources[index].source_ip.clone(),
        port: u16::try_from(port.port).unwrap_or_default(),
        peer: spec.target_ip.clone(),
    };
    tcp.map(way).collect()
}

/// Reads the nat tables of the gateway hosts of these source IPs.
pub(crate) async fn tables(
    invocation: &Invocation,
    asked: &Asked<'_>,
    known: &[GatewayHost],
    seen: &Observed,
) -> Tables {
    let mut by_host: BTreeMap<String, Result<String, String>> = BTreeMap::new();
    let mut tables = Tables::new();
    for source in &seen.external_service.spec.sources {
        let ip = &source.source_ip;
        let Some(host) = host_of(known, seen, ip) else {
            tables.insert(
                ip.clone(),
                Err(format!(
                    "no way to the gateway host of {ip} is known: `init` has not set it up"
                )),
            );
            continue;
        };
        if !by_host.contains_key(&host.ssh) {
            let saved = read(invocation, asked, &host.ssh).await;
            by_host.insert(host.ssh.clone(), saved);
        }
        tables.insert(ip.clone(), by_host[&host.ssh].clone());
    }
    tables
}

/// The known host of a source IP: the one that reports for it, else the one that may hold it.
fn host_of<'a>(known: &'a [GatewayHost], seen: &Observed, ip: &str) -> Option<&'a GatewayHost> {
    let gateway = seen
        .gateways
        .iter()
        .find(|gateway| gateway.name_any() == ip);
    let reporting = gateway.and_then(|gateway| gateway.status.as_ref()?.host_name.clone());
    let by_name = known
        .iter()
        .find(|host| Some(&host.name) == reporting.as_ref());
    by_name.or_else(|| {
        known
            .iter()
            .find(|host| host.source_ips.iter().any(|own| own.to_string() == ip))
    })
}

async fn read(
    invocation: &Invocation,
    asked: &Asked<'_>,
    destination: &str,
) -> Result<String, String> {
    let ssh = login(invocation, asked, destination).await?;
    let said = ssh
        .script(rules::COMMAND)
        .await
        .map_err(|failure| failure.message().to_owned())?;
    if said.ok() {
        Ok(said.stdout)
    } else {
        Err(format!(
            "iptables-save on {destination}: {}",
            said.complaint()
        ))
    }
}

/// The login on a gateway host; who did not get in once is not made to wait again.
async fn login(
    invocation: &Invocation,
    asked: &Asked<'_>,
    destination: &str,
) -> Result<Ssh, String> {
    let mut logins = asked.logins.lock().await;
    if let Some(known) = logins.get(destination) {
        return known.clone();
    }
    // No spinner where ssh may ask for a passphrase.
    let step = (asked.may_ask == MayAsk::No)
        .then(|| Step::begin(invocation.terminal, format!("logging in on {destination}")));
    let login = Ssh::connect(destination, asked.ssh, asked.may_ask).await;
    drop(step);
    let login = login.map_err(|failure| failure.message().to_owned());
    logins.insert(destination.to_owned(), login.clone());
    login
}

/// The hop of one way in, as far as the gateway host tells.
pub(crate) fn rule_hop(way: &WayIn, tables: Option<&Tables>) -> Hop {
    let of = format!("{}:{}", way.source_ip, way.port);
    match tables.and_then(|tables| tables.get(&way.source_ip)) {
        None => Hop::not_asked("nat-rule", of, "left out by --no-gateway-ssh"),
        Some(Ok(saved)) => rules::hop(way, saved),
        Some(Err(why)) => Hop::not_proven(
            "nat-rule",
            of,
            format!("the gateway host's rules could not be read: {why}"),
            "make ssh to it work, or leave this out with --no-gateway-ssh",
        ),
    }
}

/// Connects from the target, over the login that the user lent.
pub(crate) async fn from_target(
    target: &Ssh,
    pods: &Api<Pod>,
    seen: &Observed,
    way: &WayIn,
) -> Hop {
    let of = format!("{}:{}", way.source_ip, way.port);
    let script = format!(
        "bash --norc -c {} {} {}",
        quoted(DIAL),
        way.source_ip,
        way.port
    );
    let said = match target.script(&script).await {
        Ok(said) => said,
        Err(failure) => {
            return Hop::not_proven(
                "from-target",
                of,
                failure.message(),
                "make ssh to the target work",
            );
        }
    };
    match (said.status, said.stdout.trim().parse::<u32>()) {
        (Some(0), Ok(bytes)) if bytes > 0 => Hop::proven(
            "from-target",
            of,
            format!(
                "the target connected to {}:{} and the Service answered",
                way.source_ip, way.port
            ),
        ),
        // The kernel of a gateway host takes connections whatever its gateway does with them.
        (Some(124), _) if !source::does_gateway_answer(pods, seen, &way.source_ip).await => {
            Hop::not_proven(
                "from-target",
                of,
                format!(
                    "{}:{} took the connection, but its gateway does not answer",
                    way.source_ip, way.port
                ),
                "see `kubectl extconn logs gateway`",
            )
        }
        (Some(124), _) => Hop::proven(
            "from-target",
            of,
            format!(
                "the target connected to {}:{} and the connection was kept",
                way.source_ip, way.port
            ),
        ),
        (Some(7), _) => Hop::failed(
            "from-target",
            of,
            format!(
                "the target cannot connect to {}:{}",
                way.source_ip, way.port
            ),
            "see the nat-rule hop, and the route from the target to the gateway host",
        ),
        // 1: it was reset.
        (Some(0), _) | (Some(1), Ok(0)) => Hop::failed(
            "from-target",
            of,
            "the connection from the target was ended before the Service said a word",
            "see whether a pod of the Service is ready",
        ),
        _ => Hop::not_proven(
            "from-target",
            of,
            format!("trying from the target failed: {}", said.complaint()),
            "the target needs bash and timeout",
        ),
    }
}

/// Status 7: no connection. 124: it was kept for longer than a forwarder tries to reach a Service.
/// Else the number of bytes that came back.
const DIAL: &str = r#"
timeout 6 bash --norc -c 'exec 3<>"/dev/tcp/$0/$1"' "$0" "$1" || exit 7
exec 3<>"/dev/tcp/$0/$1" || exit 7
printf 'GET / HTTP/1.0\r\n\r\n' >&3
timeout 12 head -c 1 <&3 | wc -c
exit "${PIPESTATUS[0]}"
"#;
