//! Where packets go, asked of the rules as a value.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::ruleset::{Action, Chain, Connection, Hook, Ruleset, Table};
use crate::gateway::IngressGrant;

/// The first packet of a connection, or a later one.
#[derive(Clone, Copy)]
struct Packet {
    source: Ipv4Addr,
    destination: SocketAddrV4,
    established: bool,
    led: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Reaches whoever listens here, relay or not.
    Delivered(SocketAddrV4),
    Reset,
}

/// Sends a packet through both hooks, as the kernel does.
fn fate(ruleset: &Ruleset, mut packet: Packet) -> Fate {
    let [dialled, relay] = Hook::ALL;
    // The nat table sees the first packet of a connection only.
    if !packet.established
        && let Some(Action::Lead(to)) = walk(ruleset, Table::Nat, dialled.to, packet)
    {
        packet.destination = to;
        packet.led = true;
    }
    match walk(ruleset, Table::Filter, relay.to, packet) {
        // The hook leaves out what was let in before.
        Some(Action::Reject) if !packet.established => Fate::Reset,
        _ => Fate::Delivered(packet.destination),
    }
}

/// The action that decides in a chain, if one does. The order of rules decides nothing: all those
/// that fit say the same.
fn walk(ruleset: &Ruleset, table: Table, name: &str, packet: Packet) -> Option<Action> {
    let chain = Chain {
        table,
        name: name.to_owned(),
    };
    let fitting = ruleset.0.get(&chain)?.iter().filter(|rule| {
        rule.source.is_none_or(|source| source == packet.source)
            && rule
                .destination
                .is_none_or(|ip| ip == *packet.destination.ip())
            && rule
                .port
                .is_none_or(|port| port == packet.destination.port())
            && (rule.connection == Connection::Any || !packet.led)
    });
    let mut decided: Vec<Action> = fitting
        .filter_map(|rule| match &rule.action {
            Action::Jump(to) => walk(ruleset, table, to, packet),
            action => Some(action.clone()),
        })
        .collect();
    decided.dedup();
    assert!(decided.len() <= 1, "{name}: {decided:?}");
    decided.pop()
}

const TARGET: &str = "203.0.113.7";
const OTHER_TARGET: &str = "203.0.113.8";
const THIRD_HOST: &str = "203.0.113.66";

fn ruleset() -> Ruleset {
    let grant = |listen: &str, peer: &str| IngressGrant {
        listen: listen.parse().unwrap(),
        peer: peer.parse().unwrap(),
    };
    let grants = [
        grant("192.0.2.10:80", TARGET),
        grant("192.0.2.10:443", TARGET),
        grant("192.0.2.11:80", TARGET),
        grant("192.0.2.11:80", OTHER_TARGET),
    ];
    Ruleset::new(&grants, &BTreeMap::from([(80, 40_080), (443, 40_443)]))
}

fn packet(source: &str, destination: &str) -> Packet {
    Packet {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        established: false,
        led: false,
    }
}

#[track_caller]
fn check(source: &str, destination: &str, expect: Fate) {
    assert_eq!(fate(&ruleset(), packet(source, destination)), expect);
}

fn delivered(to: &str) -> Fate {
    Fate::Delivered(to.parse().unwrap())
}

#[test]
fn the_peer_of_a_grant_reaches_the_relay_of_the_port_it_dials() {
    check(TARGET, "192.0.2.10:80", delivered("192.0.2.10:40080"));
    check(TARGET, "192.0.2.10:443", delivered("192.0.2.10:40443"));
    check(TARGET, "192.0.2.11:80", delivered("192.0.2.11:40080"));
    check(OTHER_TARGET, "192.0.2.11:80", delivered("192.0.2.11:40080"));
}

#[test]
fn nobody_else_reaches_anything_at_a_granted_port() {
    check(THIRD_HOST, "192.0.2.10:80", Fate::Reset);
    check(THIRD_HOST, "192.0.2.11:80", Fate::Reset);
    check(OTHER_TARGET, "192.0.2.10:80", Fate::Reset);
    check(OTHER_TARGET, "192.0.2.10:443", Fate::Reset);
}

#[test]
fn a_relay_port_cannot_be_dialled_by_anybody() {
    for source in [TARGET, OTHER_TARGET, THIRD_HOST] {
        for relay in ["192.0.2.10:40080", "192.0.2.10:40443", "192.0.2.1:40080"] {
            check(source, relay, Fate::Reset);
        }
    }
}

#[test]
fn what_does_not_concern_us_passes_untouched() {
    for source in [TARGET, THIRD_HOST] {
        check(source, "192.0.2.1:22", delivered("192.0.2.1:22"));
        check(source, "192.0.2.1:80", delivered("192.0.2.1:80"));
        check(source, "192.0.2.10:22", delivered("192.0.2.10:22"));
        check(source, "192.0.2.11:443", delivered("192.0.2.11:443"));
    }
}

/// The kernel chooses relay ports, and may choose one that is granted somewhere.
#[test]
fn a_relay_port_that_is_also_granted_keeps_nobody_out() {
    let grant = |port| IngressGrant {
        listen: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 10), port),
        peer: TARGET.parse().unwrap(),
    };
    let relay_ports = BTreeMap::from([(80, 40_080), (40_080, 40_081)]);
    let ruleset = Ruleset::new(&[grant(80), grant(40_080)], &relay_ports);
    for (dialled, relay) in relay_ports {
        let dials = packet(TARGET, &format!("192.0.2.10:{dialled}"));
        let expect = delivered(&format!("192.0.2.10:{relay}"));
        assert_eq!(fate(&ruleset, dials), expect);
    }
}

#[test]
fn a_connection_that_was_let_in_is_never_looked_at_again() {
    let later = Packet {
        established: true,
        ..packet(THIRD_HOST, "192.0.2.10:80")
    };
    assert_eq!(fate(&ruleset(), later), delivered("192.0.2.10:80"));
}

#[test]
fn without_grants_there_are_no_rules() {
    assert_eq!(Ruleset::new([], &BTreeMap::new()), Ruleset::default());
}
