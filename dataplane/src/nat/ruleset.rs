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

    /// The address is written in hexadecimal: a name of iptables has at most 28 characters.
    fn of_dialled(listen: SocketAddrV4) -> Self {
        let source_ip = listen.ip().to_bits();
        Self {
            table: Table::Nat,
            name: format!("{CHAIN_PREFIX}{source_ip:08X}-{}", listen.port()),
        }
    }
}

/// A chain of the kernel from which packets come to one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) table: Table,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// Packets that come, if not all do.
    pub(crate) packets: &'static str,
    /// For whoever lists the rules of the host.
    pub(crate) comment: &'static str,
}

impl Hook {
    pub(crate) const ALL: [Self; 2] = [
        Self {
            table: Table::Nat,
            from: "PREROUTING",
            to: "EXTCONN-DIALLED",
            packets: "",
            comment: "extconn: external servers dial source IPs",
        },
        Self {
            table: Table::Filter,
            from: "INPUT",
            to: "EXTCONN-RELAY",
            // A connection that was let in before is looked at no more, whatever changes.
            packets: "-p tcp -m conntrack ! --ctstate RELATED,ESTABLISHED ",
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
        let Self {
            packets,
            to,
            comment,
            ..
        } = self;
        format!("{packets}-m comment --comment \"{comment}\" -j {to}")
    }
}

/// What becomes of a packet that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Goes on in another chain and comes back.
    Jump(String),
    /// Is led to another port of the same address.
    Lead(SocketAddrV4),
    /// Is answered with a reset.
    Reject,
}

/// Connections that a rule is for, as conntrack knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Connection {
    /// Whatever has become of them.
    Any,
    /// No rule has led them elsewhere.
    NotLed,
}

/// A rule for TCP packets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    pub(crate) source: Option<Ipv4Addr>,
    pub(crate) destination: Option<Ipv4Addr>,
    pub(crate) port: Option<u16>,
    pub(crate) connection: Connection,
    pub(crate) action: Action,
    /// Which packet it is for, where there are few: each costs the kernel a third of a rule.
    pub(crate) comment: Option<String>,
}

impl Rule {
    fn to(action: Action) -> Self {
        Self {
            source: None,
            destination: None,
            port: None,
            connection: Connection::Any,
            action,
            comment: None,
        }
    }
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
        if self.connection == Connection::NotLed {
            f.write_str("-m conntrack ! --ctstate DNAT ")?;
        }
        if let Some(comment) = &self.comment {
            write!(f, "-m comment --comment \"{comment}\" ")?;
        }
        match &self.action {
            Action::Jump(chain) => write!(f, "-j {chain}"),
            Action::Lead(to) => write!(f, "-j DNAT --to-destination {to}"),
            Action::Reject => f.write_str("-j REJECT --reject-with tcp-reset"),
        }
    }
}

/// All rules of a gateway: one entry per chain. The order of a chain's rules decides nothing: no
/// packet fits two of them that do different things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruleset(pub(crate) BTreeMap<Chain, BTreeSet<Rule>>);

/// Peers that may dial one port of one source IP, and where its relay accepts.
type Dialled = BTreeMap<SocketAddrV4, (SocketAddrV4, BTreeSet<Ipv4Addr>)>;

impl Ruleset {
    /// Rules that lead each granted connection to the relay port of the port that it dials, and
    /// keep everybody else from both. Without grants there are no rules.
    pub(crate) fn new<'a>(
        grants: impl IntoIterator<Item = &'a IngressGrant>,
        relay_ports: &BTreeMap<u16, u16>,
    ) -> Self {
        let mut dialled = Dialled::new();
        for IngressGrant { listen, peer } in grants {
            if let Some(relay) = relay_ports.get(&listen.port()) {
                let relay = SocketAddrV4::new(*listen.ip(), *relay);
                let (_, peers) = dialled.entry(*listen).or_insert((relay, BTreeSet::new()));
                peers.insert(*peer);
            }
        }
        let mut ruleset = Self::default();
        for (listen, (relay, peers)) in dialled {
            ruleset.lead(listen, relay, &peers);
            ruleset.keep_out(listen, relay);
        }
        ruleset
    }

    /// Leads peers from a port to its relay. More than one get a chain of their own, so that none
    /// is long: a packet walks along it, and so does iptables to find one that is to be removed.
    fn lead(&mut self, listen: SocketAddrV4, relay: SocketAddrV4, peers: &BTreeSet<Ipv4Addr>) {
        let [hook, _] = Hook::ALL.map(Hook::chain);
        let of_source_ip = Chain::of_source_ip(Table::Nat, *listen.ip());
        let lead = |peer: &Ipv4Addr| Rule {
            source: Some(*peer),
            ..Rule::to(Action::Lead(relay))
        };
        let to_source_ip = Rule {
            destination: Some(*listen.ip()),
            comment: Some(format!("to source IP {}", listen.ip())),
            ..Rule::to(Action::Jump(of_source_ip.name.clone()))
        };
        self.add(hook, to_source_ip);
        let port = Some(listen.port());
        if peers.len() == 1 {
            for peer in peers {
                let rule = Rule { port, ..lead(peer) };
                self.add(of_source_ip.clone(), rule);
            }
            return;
        }
        let of_dialled = Chain::of_dialled(listen);
        let to_port = Rule {
            port,
            comment: Some(format!("dials {listen}")),
            ..Rule::to(Action::Jump(of_dialled.name.clone()))
        };
        self.add(of_source_ip, to_port);
        self.0.insert(of_dialled, peers.iter().map(lead).collect());
    }

    /// Rejects what was not led: who dials the port and is no peer, and who dials its relay.
    fn keep_out(&mut self, listen: SocketAddrV4, relay: SocketAddrV4) {
        let [_, hook] = Hook::ALL.map(Hook::chain);
        let of_source_ip = Chain::of_source_ip(Table::Filter, *listen.ip());
        let dials_relay = Rule {
            port: Some(relay.port()),
            connection: Connection::NotLed,
            comment: Some(format!("dials relay port {} itself", relay.port())),
            ..Rule::to(Action::Reject)
        };
        let to_source_ip = Rule {
            destination: Some(*listen.ip()),
            connection: Connection::NotLed,
            comment: Some(format!("not led from source IP {}", listen.ip())),
            ..Rule::to(Action::Jump(of_source_ip.name.clone()))
        };
        let dials_port = Rule {
            port: Some(listen.port()),
            ..Rule::to(Action::Reject)
        };
        self.add(hook.clone(), dials_relay);
        self.add(hook, to_source_ip);
        self.add(of_source_ip, dials_port);
    }

    fn add(&mut self, chain: Chain, rule: Rule) {
        self.0.entry(chain).or_default().insert(rule);
    }

    /// Chains that are not the same in `other`.
    pub(crate) fn lines_unlike(&self, other: &Self) -> Lines {
        let chains = self.0.iter();
        chains
            .filter(|(chain, rules)| other.0.get(*chain) != Some(*rules))
            .map(|(chain, rules)| {
                let lines = rules.iter().map(Rule::to_string);
                (chain.clone(), lines.collect())
            })
            .collect()
    }

    /// Hooks of the chains that there are.
    pub(crate) fn hooks(&self) -> impl Iterator<Item = Hook> {
        let hooks = Hook::ALL.into_iter();
        hooks.filter(|hook| self.0.contains_key(&hook.chain()))
    }
}

/// Rules by chain, as `iptables-save` prints them, without the chain's name.
pub(crate) type Lines = BTreeMap<Chain, Vec<String>>;
