//! Pure: the tunnels of one source IP, one for each replica of the forwarder.

use extconn_api::external_service::Source;
use extconn_api::forwarder::{TunnelState, TunnelStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::hop::Hop;
use super::objects::is_ready;
use super::observe::Observed;

/// One hop for each ready replica.
pub(crate) fn hops(seen: &Observed, source: &Source) -> Vec<Hop> {
    let at = endpoint(seen, source).unwrap_or("a gateway that has not said where it is");
    let hops: Vec<Hop> = ready(seen)
        .map(|pod| hop(pod.name_any(), tunnel(seen, pod, source), at))
        .collect();
    if hops.is_empty() {
        vec![Hop::not_tried("tunnel", "", "no forwarder is ready")]
    } else {
        hops
    }
}

/// Whether a replica has one.
pub(crate) fn is_any_up(seen: &Observed, source: &Source) -> bool {
    let mut tunnels = ready(seen).filter_map(|pod| tunnel(seen, pod, source));
    tunnels.any(|tunnel| tunnel.state == TunnelState::Up)
}

/// Where the gateway should listen, if every replica that dials it is told that nobody does.
pub(crate) fn turned_away<'a>(seen: &'a Observed, source: &Source) -> Option<&'a str> {
    let mut tunnels = ready(seen).map(|pod| tunnel(seen, pod, source)).peekable();
    tunnels.peek()?;
    let refused = tunnels.all(|tunnel| {
        tunnel.is_some_and(|tunnel| {
            tunnel.state != TunnelState::Up
                && tunnel.message.as_ref().is_some_and(|why| is_refusal(why))
        })
    });
    endpoint(seen, source).filter(|_| refused)
}

/// Whether this is why a tunnel does not come up, and not only how the one before ended.
pub(crate) fn is_cause(why: &str) -> bool {
    let why = why.to_lowercase();
    why.contains("connect to gateway") || why.contains("key")
}

fn is_refusal(why: &str) -> bool {
    why.to_lowercase().contains("connection refused")
}

fn ready(seen: &Observed) -> impl Iterator<Item = &Pod> {
    seen.replicas.iter().filter(|pod| is_ready(pod))
}

fn endpoint<'a>(seen: &'a Observed, source: &Source) -> Option<&'a str> {
    let gateways = &seen.forwarder.as_ref()?.spec.gateways;
    let gateway = gateways
        .iter()
        .find(|gateway| gateway.source_ip == source.source_ip)?;
    Some(&gateway.ssh_endpoint)
}

fn tunnel<'a>(seen: &'a Observed, pod: &Pod, source: &Source) -> Option<&'a TunnelStatus> {
    let name = pod.name_any();
    let replicas = &seen.forwarder.as_ref()?.status.as_ref()?.replicas;
    let report = replicas.iter().find(|replica| replica.pod_name == name)?;
    report
        .tunnels
        .iter()
        .find(|tunnel| tunnel.source_ip == source.source_ip)
}

fn hop(replica: String, tunnel: Option<&TunnelStatus>, at: &str) -> Hop {
    match tunnel {
        Some(tunnel) if tunnel.state == TunnelState::Up => {
            Hop::proven("tunnel", replica, format!("up to {at}"))
        }
        Some(tunnel) => {
            let why = tunnel
                .message
                .clone()
                .unwrap_or_else(|| "not yet up".to_owned());
            let next = next(&why, at);
            Hop::failed("tunnel", replica, format!("down to {at}: {why}"), next)
        }
        None => Hop::failed(
            "tunnel",
            replica,
            format!("not begun to {at}"),
            "see `kubectl extconn logs forwarder`",
        ),
    }
}

fn next(why: &str, at: &str) -> String {
    if why.to_lowercase().contains("host key") {
        "someone else may answer in the gateway's place; if the gateway has a new key, restart extconn-gateway on its host so that it publishes it".to_owned()
    } else if is_refusal(why) {
        format!(
            "start the gateway on its host (`systemctl start extconn-gateway`): nobody listens at {at}"
        )
    } else {
        format!("open TCP from the cluster's nodes to {at}, and see that the gateway runs")
    }
}
