//! Pure: when a replica may receive connections.
//!
//! A rolling update waits for a new replica to be ready before it ends an old one, so a replica
//! that says so must be able to carry flows. Once it was ready, a lost tunnel does not make it
//! unready: every other replica has lost it too, and taking all of them out of the Service would
//! cut off the gateways that still work.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use extconn_agent::probes::Readiness;
use extconn_dataplane::forwarder::{ForwarderReport, TunnelState};

/// How long a replica waits for the tunnels that do not come up while others do.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a replica has reached.
#[derive(Debug)]
pub struct Reached<'a> {
    /// Whether the ports of the object's latest generation are open.
    pub applied: bool,
    /// Namespaces whose pods are not known yet.
    pub unseen_namespaces: Vec<&'a str>,
    /// Whether the addresses of the nodes are known.
    pub nodes_known: bool,
    /// The source IPs of the object.
    pub source_ips: BTreeSet<Ipv4Addr>,
    /// What the data plane says.
    pub report: &'a ForwarderReport,
    /// Time since the start.
    pub waited: Duration,
}

/// Whether a replica that was never ready may receive connections.
pub fn first_readiness(reached: &Reached) -> Readiness {
    let not_ready = |reason: String| Readiness::NotReady(reason);
    if !reached.applied {
        return not_ready("no Forwarder object is carried out yet".to_owned());
    }
    if !reached.nodes_known {
        return not_ready("the addresses of the nodes are not known yet".to_owned());
    }
    if let Some(namespace) = reached.unseen_namespaces.first() {
        return not_ready(format!(
            "the pods of namespace {namespace} are not known yet"
        ));
    }
    let is_up = |source_ip: &&Ipv4Addr| {
        let tunnel = reached.report.tunnels.get(*source_ip);
        tunnel.is_some_and(|t| t.state == TunnelState::Up)
    };
    let down: Vec<_> = reached.source_ips.iter().filter(|ip| !is_up(ip)).collect();
    let some_up = down.len() < reached.source_ips.len();
    match down.first() {
        None => Readiness::Ready,
        Some(_) if some_up && reached.waited >= PATIENCE => Readiness::Ready,
        Some(source_ip) => not_ready(format!("no tunnel to the gateway of {source_ip} yet")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use extconn_dataplane::forwarder::TunnelReport;

    use super::*;

    const FIRST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
    const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);

    fn report(tunnels: &[(Ipv4Addr, TunnelState)]) -> ForwarderReport {
        let tunnels = tunnels.iter().map(|&(source_ip, state)| {
            let message = None;
            (source_ip, TunnelReport { state, message })
        });
        ForwarderReport {
            tunnels: tunnels.collect::<BTreeMap<_, _>>(),
            ..ForwarderReport::default()
        }
    }

    fn reached(report: &ForwarderReport) -> Reached<'_> {
        Reached {
            applied: true,
            unseen_namespaces: vec![],
            nodes_known: true,
            source_ips: BTreeSet::from([FIRST, SECOND]),
            report,
            waited: Duration::ZERO,
        }
    }

    fn reason(reached: &Reached) -> String {
        match first_readiness(reached) {
            Readiness::Ready => "ready".to_owned(),
            Readiness::ReadyBut(reason) | Readiness::NotReady(reason) => reason,
        }
    }

    #[test]
    fn ready_with_a_tunnel_for_each_source_ip() {
        let up = report(&[(FIRST, TunnelState::Up), (SECOND, TunnelState::Up)]);
        assert_eq!(reason(&reached(&up)), "ready");
    }

    #[test]
    fn not_ready_while_something_is_unknown() {
        let up = report(&[(FIRST, TunnelState::Up), (SECOND, TunnelState::Up)]);
        let mut missing = reached(&up);
        missing.unseen_namespaces = vec!["shop"];
        assert!(reason(&missing).contains("namespace shop"));
        missing.nodes_known = false;
        assert!(reason(&missing).contains("nodes"));
        missing.applied = false;
        assert!(reason(&missing).contains("Forwarder"));
    }

    #[test]
    fn waits_for_a_slow_gateway_but_not_for_ever() {
        let half = report(&[(FIRST, TunnelState::Up), (SECOND, TunnelState::Down)]);
        let mut slow = reached(&half);
        assert!(reason(&slow).contains("192.0.2.11"));
        slow.waited = PATIENCE;
        assert_eq!(reason(&slow), "ready");
    }

    #[test]
    fn never_ready_without_any_tunnel() {
        let none = report(&[]);
        let mut without = reached(&none);
        without.waited = PATIENCE * 100;
        assert!(reason(&without).contains("192.0.2.10"));
    }
}
