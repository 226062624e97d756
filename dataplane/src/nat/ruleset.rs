//! Pure: the rules of a gateway as a value, and as the text that iptables takes and prints.
//!
//! What each rule is for is told in `docs/packets.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::gateway::IngressGrant;

/// What every chain of ours begins with, and no chain of anybody else does.
pub(crate) const CHAIN_PREFIX: &str = "EXTCONN-";

/// A table of iptables in which we have chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    /// Where packets are led elsewhere.
    Nat,
    /// Where packets are let in or not.
    Filter,
}

impl Table {
    pub(crate) const ALL: [Self; 2] = [Self::Nat, Self::Filter];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }
}

/// A chain of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Chain {
    pub(crate) table: Table,
    pub(crate) name: String,
}

impl Chain {
    fn of_source_ip(table: Table, source_ip: Ipv4Addr) -> Self {
        Self {
            table,
            name: format!("{CHAIN_PREFIX}{source_ip}"),
        }
    }
}

/// A chain of the kernel from which packets come to one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) table: Table,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// For whoever lists the rules of the host.
    pub(crate) comment: &'static str,
}

impl Hook {
    pub(crate) const ALL: [Self; 2] = [
        Self {
            table: Table::Nat,
            from: "PREROUTING",
            to: "EXTCONN-DIALLED",
            comment: "extconn: external servers dial source IPs",
        },
        Self {
            table: Table::Filter,
            from: "INPUT",
            to: "EXTCONN-RELAY",
            comment: "extconn: nobody else does",
        },
    ];

    fn chain(self) -> Chain {
        Chain {
            table: self.table,
            name: self.to.to_owned(),
        }
    }

    /// The jump, without the chain that it is in.
    pub(crate) fn rule(self) -> String {
        let Self { to, comment, .. } = self;
        format!("-m comment --comment \"{comment}\" -j {to}")
    }
}

/// State of a connection as conntrack knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Its first packet has been let in before.
    Established,
    /// No rule has led it elsewhere.
    NotLed,
}

/// What becomes of a packet that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Goes on in another chain and comes back.
    Jump(String),
    /// Is led to another port of the same address.
    Lead(SocketAddrV4),
    /// Is answered with a reset.
    Reject,
    /// Goes back to where it came from.
    Return,
}

/// A rule for TCP packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) source: Option<Ipv4Addr>,
    pub(crate) destination: Option<Ipv4Addr>,
    pub(crate) port: Option<u16>,
    pub(crate) connection: Option<Connection>,
    /// Which packet it is for.
    pub(crate) comment: String,
    pub(crate) action: Action,
}

impl fmt::Display for Rule {
    /// As `iptables-save` prints it, without the chain that it is in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = self.source {
            write!(f, "-s {source}/32 ")?;
        }
        if let Some(destination) = self.destination {
            write!(f, "-d {destination}/32 ")?;
        }
        f.write_str("-p tcp ")?;
        if let Some(port) = self.port {
            write!(f, "-m tcp --dport {port} ")?;
        }
        match self.connection {
            Some(Connection::Established) => {
                f.write_str("-m conntrack --ctstate RELATED,ESTABLISHED ")?;
            }
            Some(Connection::NotLed) => f.write_str("-m conntrack ! --ctstate DNAT ")?,
            None => {}
        }
        write!(f, "-m comment --comment \"{}\" ", self.comment)?;
        match &self.action {
            Action::Jump(chain) => write!(f, "-j {chain}"),
            Action::Lead(to) => write!(f, "-j DNAT --to-destination {to}"),
            Action::Reject => f.write_str("-j REJECT --reject-with tcp-reset"),
            Action::Return => f.write_str("-j RETURN"),
        }
    }
}

/// All rules of a gateway: one entry per chain, rules in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruleset(pub(crate) BTreeMap<Chain, Vec<Rule>>);

impl Ruleset {
    /// Rules that lead each granted connection to the relay port of the port that it dials, and
    /// keep everybody else from both. Without grants there are no rules.
    pub(crate) fn new<'a>(
        grants: impl IntoIterator<Item = &'a IngressGrant>,
        relay_ports: &BTreeMap<u16, u16>,
    ) -> Self {
        let mut by_source_ip: BTreeMap<Ipv4Addr, Vec<(IngressGrant, u16)>> = BTreeMap::new();
        let mut used: BTreeSet<u16> = BTreeSet::new();
        for grant in grants {
            if let Some(relay) = relay_ports.get(&grant.listen.port()) {
                let of_source_ip = by_source_ip.entry(*grant.listen.ip()).or_default();
                of_source_ip.push((*grant, *relay));
                used.insert(*relay);
            }
        }
        if by_source_ip.is_empty() {
            return Self::default();
        }
        let [dialled, relay] = Hook::ALL.map(Hook::chain);
        let mut chains = BTreeMap::new();
        let of_source_ips = |table| by_source_ip.keys().map(move |ip| to_source_ip(table, *ip));
        chains.insert(dialled, of_source_ips(Table::Nat).collect());
        let rules = std::iter::once(let_in_before())
            .chain(used.into_iter().map(not_led))
            .chain(of_source_ips(Table::Filter));
        chains.insert(relay, rules.collect());
        for (source_ip, grants) in &by_source_ip {
            let leads = grants.iter().map(|(grant, relay)| lead(grant, *relay));
            let chain = Chain::of_source_ip(Table::Nat, *source_ip);
            chains.insert(chain, leads.collect());
            let ports: BTreeSet<_> = grants.iter().map(|(grant, _)| grant.listen).collect();
            let chain = Chain::of_source_ip(Table::Filter, *source_ip);
            chains.insert(chain, ports.into_iter().map(nobody_else).collect());
        }
        Self(chains)
    }

    /// As `iptables-save` prints them: one entry per chain, rules without the chain's name.
    pub(crate) fn lines(&self) -> BTreeMap<Chain, Vec<String>> {
        let lines = |rules: &Vec<Rule>| rules.iter().map(Rule::to_string).collect();
        let chains = self.0.iter();
        chains
            .map(|(chain, rules)| (chain.clone(), lines(rules)))
            .collect()
    }
}

fn rule(comment: String, action: Action) -> Rule {
    Rule {
        source: None,
        destination: None,
        port: None,
        connection: None,
        comment,
        action,
    }
}

fn to_source_ip(table: Table, source_ip: Ipv4Addr) -> Rule {
    let chain = Chain::of_source_ip(table, source_ip);
    Rule {
        destination: Some(source_ip),
        ..rule(
            format!("to source IP {source_ip}"),
            Action::Jump(chain.name),
        )
    }
}

fn lead(grant: &IngressGrant, relay: u16) -> Rule {
    let IngressGrant { listen, peer } = grant;
    let to = SocketAddrV4::new(*listen.ip(), relay);
    Rule {
        source: Some(*peer),
        destination: Some(*listen.ip()),
        port: Some(listen.port()),
        ..rule(format!("{peer} dials {listen}"), Action::Lead(to))
    }
}

/// Rules before this one see the first packet of a connection only, the ones behind it see it once.
fn let_in_before() -> Rule {
    Rule {
        connection: Some(Connection::Established),
        ..rule("let in before".to_owned(), Action::Return)
    }
}

fn not_led(relay: u16) -> Rule {
    Rule {
        port: Some(relay),
        connection: Some(Connection::NotLed),
        ..rule(format!("dials relay port {relay} itself"), Action::Reject)
    }
}

fn nobody_else(listen: SocketAddrV4) -> Rule {
    Rule {
        destination: Some(*listen.ip()),
        port: Some(listen.port()),
        ..rule(
            format!("not the peer that may dial {listen}"),
            Action::Reject,
        )
    }
}
