//! Pure: the hops from a pod to the forwarder, from what the probe pod's dialler says.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

use super::hop::Hop;
use super::replica::{NoAnswer, Opened, next_of_unreachable};

/// One line of `extconn-forwarder dial`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Dialled {
    /// What was dialled, `HOST:PORT`.
    pub to: String,
    /// Addresses that the name has.
    #[serde(default)]
    pub resolved: Vec<String>,
    /// The pod's end of the connection, if there was one.
    #[serde(default)]
    pub local: Option<SocketAddr>,
    /// How it ended.
    pub end: End,
    /// Why there was no connection.
    #[serde(default)]
    pub error: Option<String>,
    /// What came back, if something was asked over HTTP.
    #[serde(default)]
    pub received: Option<String>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// Nobody ended it while it was watched.
    Held,
    /// The target said something.
    Data,
    /// The target ended it cleanly.
    Fin,
    /// It was reset.
    Reset,
    /// There was none.
    Failed,
}

/// Reads the dialler's output; other lines are passed over.
pub(crate) fn parse(output: &str) -> Vec<Dialled> {
    output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The hop `dns`: the name leads to the forwarder's Service.
pub(crate) fn dns(by_name: &Dialled, cluster_ip: &str) -> Hop {
    let name = by_name
        .to
        .rsplit_once(':')
        .map_or(by_name.to.as_str(), |(name, _)| name);
    if by_name.resolved.is_empty() {
        let why = by_name
            .error
            .clone()
            .unwrap_or_else(|| "it has no address".to_owned());
        return Hop::failed(
            "dns",
            "",
            format!(
                "{name} cannot be looked up from a pod: {}",
                why.trim_start_matches("resolve: ")
            ),
            "see that the cluster's DNS runs (`kubectl -n kube-system get pods -l k8s-app=kube-dns`), and that no NetworkPolicy keeps the pod from it",
        );
    }
    let is_ipv4 = |address: &&String| address.parse::<Ipv4Addr>().is_ok();
    let mut ipv4 = by_name.resolved.iter().filter(is_ipv4).peekable();
    if ipv4.peek().is_some() && ipv4.all(|address| address == cluster_ip) {
        Hop::proven("dns", "", format!("{name} is {cluster_ip}"))
    } else {
        let found = by_name.resolved.join(", ");
        Hop::failed(
            "dns",
            "",
            format!("{name} is {found} and not the forwarder's {cluster_ip}"),
            "see what else answers for that name in the cluster's DNS",
        )
    }
}

/// What the replicas say of the pod's connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Of those that answered.
    pub opened: Vec<Opened>,
    /// Why one did not.
    pub missing: Option<NoAnswer>,
}

/// The hop `pod-to-forwarder`: a connection from the pod arrives, and the replica gives it the
/// source IP.
pub(crate) fn arrival(dialled: &Dialled, source_ip: &str, asked: &Asked) -> Hop {
    let of = dialled.to.clone();
    let Some(end) = dialled.local else {
        let why = dialled.error.clone().unwrap_or_default();
        return Hop::failed(
            "pod-to-forwarder",
            of,
            format!(
                "a pod cannot connect: {}",
                why.trim_start_matches("connect: ")
            ),
            "see whether a NetworkPolicy stands in the way: `kubectl get networkpolicies -A`",
        );
    };
    let found = asked.opened.iter().rev().find(|opened| opened.peer == end);
    if let (None, Some(why)) = (found, &asked.missing) {
        return unasked(of, why);
    }
    match found {
        Some(found) if found.result == "ok" && found.source_ip.as_deref() == Some(source_ip) => {
            Hop::proven(
                "pod-to-forwarder",
                of,
                format!("a connection from {end} went on as {source_ip} and was accepted"),
            )
        }
        Some(found) if found.result == "ok" => {
            let other = found.source_ip.as_deref().unwrap_or("no source IP");
            Hop::failed(
                "pod-to-forwarder",
                of,
                format!("a connection from {end} went on as {other} and not as {source_ip}"),
                "see whether the pod is behind two source Services: the first in the spec counts",
            )
        }
        Some(found) => {
            let (message, next) = turned_away(found, end);
            Hop::failed("pod-to-forwarder", of, message, next)
        }
        None => Hop::failed(
            "pod-to-forwarder",
            of,
            format!("a connection from {end} did not arrive at any forwarder under that address"),
            "something between pod and forwarder changes addresses: a service mesh, or a CNI that masquerades",
        ),
    }
}

fn unasked(of: String, why: &NoAnswer) -> Hop {
    let (why, next) = match why {
        NoAnswer::Unknown => (
            "the forwarder is of a version that cannot be asked which source IP it chose"
                .to_owned(),
            "upgrade the cluster with `kubectl extconn init`",
        ),
        NoAnswer::Unreachable(why) => (
            format!("which source IP the forwarder chose could not be asked: {why}"),
            next_of_unreachable(why),
        ),
    };
    Hop::not_proven(
        "pod-to-forwarder",
        of,
        format!("a pod connected, but {why}"),
        next,
    )
}

fn turned_away(found: &Opened, end: SocketAddr) -> (String, String) {
    match found.result.as_str() {
        "unknown_peer" => (
            format!("the forwarder does not take {end} for a pod behind the Service"),
            "see `kubectl extconn logs forwarder`: it may be unable to read EndpointSlices".to_owned(),
        ),
        // No source IP yet: it is held until its pod is known.
        "opening" if found.source_ip.is_none() => (
            format!("the forwarder does not take {end} for a pod behind the Service yet"),
            "see `kubectl extconn logs forwarder`: it may be unable to read EndpointSlices".to_owned(),
        ),
        "node_peer" => (
            format!("the connection arrives from a node's address ({end})"),
            "make the CNI or kube-proxy keep pod addresses for traffic between pods (no masquerading)".to_owned(),
        ),
        "opening" => (
            format!("a connection from {end} is not yet accepted at its far end"),
            "see how long the target hop took: the target may be slow to accept".to_owned(),
        ),
        other => (
            format!("a connection from {end} was refused: {}", other.replace('_', " ")),
            "see the target hop".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hop::Outcome;
    use super::*;

    const NAME: &str = "db.external-services.svc:15432";

    fn dialled(resolved: &[&str], local: Option<&str>, end: End, error: Option<&str>) -> Dialled {
        Dialled {
            to: NAME.into(),
            resolved: resolved.iter().map(|r| (*r).to_owned()).collect(),
            local: local.map(|l| l.parse().unwrap()),
            end,
            error: error.map(str::to_owned),
            received: None,
        }
    }

    fn opened(source_ip: Option<&str>, result: &str) -> Vec<Opened> {
        vec![Opened {
            peer: "10.244.1.9:40001".parse().unwrap(),
            listen: 15432,
            source_ip: source_ip.map(str::to_owned),
            result: result.into(),
        }]
    }

    #[test]
    fn lines_of_the_dialler_are_read_and_others_passed_over() {
        let lines = parse(
            "starting\n{\"to\":\"a:1\",\"resolved\":[\"10.96.3.4\"],\"local\":\"10.244.1.9:40001\",\"end\":\"held\",\"milliseconds\":12,\"error\":null}\n\
             {\"to\":\"b:1\",\"resolved\":[],\"local\":null,\"end\":\"failed\",\"milliseconds\":1,\"error\":\"resolve: no such host\"}\n",
        );
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].end, End::Held);
        assert_eq!(lines[1].local, None);
    }

    #[test]
    fn a_name_must_lead_to_the_forwarders_service() {
        let up = dialled(&["10.96.0.30"], Some("10.244.1.9:40001"), End::Held, None);
        assert_eq!(dns(&up, "10.96.0.30").outcome, Outcome::Proven);
        assert_eq!(dns(&up, "10.96.0.31").outcome, Outcome::Failed);
        let two = dialled(&["10.96.0.30", "10.96.0.9"], None, End::Failed, None);
        assert_eq!(dns(&two, "10.96.0.30").outcome, Outcome::Failed);
        let broken = dialled(&[], None, End::Failed, Some("resolve: try again"));
        assert!(
            dns(&broken, "10.96.0.30")
                .message
                .contains("cannot be looked up from a pod: try again")
        );
    }

    #[test]
    fn a_connection_counts_only_if_the_forwarder_gave_it_the_source_ip() {
        let up = dialled(&["10.96.0.30"], Some("10.244.1.9:40001"), End::Held, None);
        let check = |opened: Vec<Opened>, missing: Option<NoAnswer>, outcome: Outcome| {
            let asked = Asked { opened, missing };
            let hop = arrival(&up, "192.0.2.10", &asked);
            assert_eq!(hop.outcome, outcome, "{asked:?}");
            hop.message
        };
        check(opened(Some("192.0.2.10"), "ok"), None, Outcome::Proven);
        check(opened(Some("192.0.2.11"), "ok"), None, Outcome::Failed);
        check(opened(None, "unknown_peer"), None, Outcome::Failed);
        check(opened(None, "node_peer"), None, Outcome::Failed);
        let held = check(opened(None, "opening"), None, Outcome::Failed);
        assert!(held.contains("for a pod behind the Service yet"), "{held}");
        check(vec![], None, Outcome::Failed);
        check(vec![], Some(NoAnswer::Unknown), Outcome::NotProven);
        // Another replica than the silent one had it.
        let proven = opened(Some("192.0.2.10"), "ok");
        check(proven, Some(NoAnswer::Unknown), Outcome::Proven);
        let why = NoAnswer::Unreachable("pod f does not answer within 15 s".into());
        let message = check(vec![], Some(why), Outcome::NotProven);
        assert!(
            message.ends_with("pod f does not answer within 15 s"),
            "{message}"
        );
    }

    #[test]
    fn a_pod_that_cannot_connect_is_told_of_network_policies() {
        let cut = dialled(
            &["10.96.0.30"],
            None,
            End::Failed,
            Some("connect: timed out"),
        );
        let hop = arrival(&cut, "192.0.2.10", &Asked::default());
        assert_eq!(hop.outcome, Outcome::Failed);
        assert!(hop.next.unwrap().contains("NetworkPolicy"));
    }
}
