//! Pure: whether a foreign rule takes the target's connections before ours can, from
//! `iptables-save -t nat`.

use std::net::Ipv4Addr;

use super::rules::WayIn;

/// What stands before our rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InFront {
    /// Nothing that concerns these connections.
    Nothing,
    /// This rule takes them.
    Takes(String),
    /// This rule may take them: it asks for something that only the kernel knows.
    MayTake(String),
}

/// Chains within chains that are looked into; the kernel allows no loops.
const DEPTH: u8 = 16;

/// Looks at PREROUTING up to our own jump.
pub(crate) fn in_front(saved: &str, way: &WayIn) -> InFront {
    let mut doubt = InFront::Nothing;
    for rule in chain(saved, "PREROUTING") {
        if rule.ends_with("-j EXTCONN-DIALLED") {
            break;
        }
        match taken(saved, rule, way, DEPTH) {
            InFront::Takes(rule) => return InFront::Takes(rule),
            InFront::MayTake(rule) if doubt == InFront::Nothing => {
                doubt = InFront::MayTake(rule);
            }
            _ => {}
        }
    }
    doubt
}

/// The rules of a chain as `iptables-save` prints them, without counters.
fn chain<'a>(saved: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!("-A {name} ");
    saved.lines().filter_map(move |line| {
        let rule = match line.strip_prefix('[') {
            Some(counted) => counted.split_once("] ")?.1,
            None => line,
        };
        rule.starts_with(&begin).then_some(rule)
    })
}

fn taken(saved: &str, rule: &str, way: &WayIn, depth: u8) -> InFront {
    let words = words(rule);
    let target = words.iter().position(|word| ["-j", "-g"].contains(word));
    let Some(target) = target.and_then(|at| words.get(at + 1)) else {
        return InFront::Nothing;
    };
    let fits = fits(&words, way);
    if fits == Fits::No {
        return InFront::Nothing;
    }
    let ends = match *target {
        // In PREROUTING itself, RETURN goes to the policy, behind us.
        "ACCEPT" | "DROP" | "DNAT" | "REDIRECT" | "TPROXY" | "NETMAP" => true,
        "RETURN" => rule.starts_with("-A PREROUTING "),
        "LOG" | "MARK" | "CONNMARK" | "NFLOG" | "CT" | "TRACE" => false,
        name if depth > 0 => {
            let inner =
                chain(saved, name).find_map(|inner| match taken(saved, inner, way, depth - 1) {
                    InFront::Nothing => None,
                    found => Some(found),
                });
            return match (inner, fits) {
                (Some(InFront::Takes(rule)), Fits::Maybe) => InFront::MayTake(rule),
                (found, _) => found.unwrap_or(InFront::Nothing),
            };
        }
        _ => false,
    };
    match (ends, fits) {
        (false, _) | (_, Fits::No) => InFront::Nothing,
        (true, Fits::Yes) => InFront::Takes(rule.to_owned()),
        (true, Fits::Maybe) => InFront::MayTake(rule.to_owned()),
    }
}

/// Whether a rule is for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    Yes,
    Maybe,
    No,
}

fn fits(words: &[&str], way: &WayIn) -> Fits {
    let mut fits = Fits::Yes;
    let mut negated = false;
    let mut at = 2;
    while let Some(word) = words.get(at) {
        let value = words.get(at + 1).copied().unwrap_or_default();
        let (known, steps) = match *word {
            "!" => {
                negated = true;
                at += 1;
                continue;
            }
            "-j" | "-g" => break,
            "-p" => (Some(["tcp", "all"].contains(&value)), 2),
            "-s" => (covers(value, &way.peer), 2),
            "-d" => (covers(value, &way.source_ip), 2),
            "--dport" => (Some(ports(value, way.port)), 2),
            "-m" if value == "tcp" => (Some(!negated), 2),
            _ => (None, 1),
        };
        match known.map(|known| known != negated) {
            Some(true) => {}
            Some(false) => return Fits::No,
            None => fits = Fits::Maybe,
        }
        negated = false;
        at += steps;
    }
    fits
}

/// The words of a rule without its comments, which may hold anything.
fn words(rule: &str) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    let mut all = rule.split_whitespace();
    while let Some(word) = all.next() {
        match (word, words.last()) {
            ("--comment", _) => {
                let closed = |word: &str| word.ends_with('"') && !word.ends_with("\\\"");
                let first = all.next().unwrap_or_default();
                // One word has no quotes.
                if first.starts_with('"') && (first.len() == 1 || !closed(first)) {
                    all.find(|word| closed(word));
                }
            }
            ("comment", Some(&"-m")) => {
                words.pop();
            }
            _ => words.push(word),
        }
    }
    words
}

/// Whether `192.0.2.0/24` covers an address; `None` if either is no such thing.
fn covers(network: &str, address: &str) -> Option<bool> {
    let (ip, length) = network.split_once('/').unwrap_or((network, "32"));
    let (ip, address): (Ipv4Addr, Ipv4Addr) = (ip.parse().ok()?, address.parse().ok()?);
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    Some(u32::from(ip) & mask == u32::from(address) & mask)
}

/// Whether `80` or `8000:8999` has a port.
fn ports(range: &str, port: u16) -> bool {
    let (first, last) = range.split_once(':').unwrap_or((range, range));
    let bound = |text: &str| text.parse::<u16>();
    bound(first).is_ok_and(|first| first <= port) && bound(last).is_ok_and(|last| port <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "[3:180] -A PREROUTING -m comment --comment \"extconn: external servers dial source IPs\" -j EXTCONN-DIALLED\n";

    /// What a rule in front of ours does to connections from 203.0.113.7 to 192.0.2.10:80.
    fn check(rules: &str, expected: &InFront) {
        let way = WayIn {
            source_ip: "192.0.2.10".into(),
            port: 80,
            peer: "203.0.113.7".into(),
        };
        assert_eq!(
            in_front(&format!("{rules}\n{OURS}"), &way),
            *expected,
            "{rules}"
        );
    }

    fn takes(rule: &str) -> InFront {
        InFront::Takes(rule.to_owned())
    }

    #[test]
    fn a_rule_that_ends_the_way_takes_what_it_fits() {
        for rule in [
            "-A PREROUTING -j ACCEPT",
            "-A PREROUTING -d 192.0.2.10/32 -p tcp -j ACCEPT",
            "-A PREROUTING -s 203.0.113.0/24 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1",
            "-A PREROUTING -p tcp -m tcp --dport 1:1024 -m comment --comment \"a \\\"b\\\" -j x\" -j REDIRECT --to-ports 3128",
            "-A PREROUTING ! -d 192.0.2.11/32 -j RETURN",
        ] {
            check(rule, &takes(rule));
            check(&format!("[0:0] {rule}"), &takes(rule));
        }
    }

    #[test]
    fn a_rule_for_others_does_not() {
        for rule in [
            "-A PREROUTING -d 192.0.2.11/32 -j ACCEPT",
            "-A PREROUTING -s 203.0.113.70/32 -j ACCEPT",
            "-A PREROUTING -p udp -j ACCEPT",
            "-A PREROUTING -p tcp -m tcp --dport 81 -j ACCEPT",
            "-A PREROUTING ! -d 192.0.2.0/24 -j ACCEPT",
            "-A PREROUTING -j LOG",
            "-A POSTROUTING -j ACCEPT",
        ] {
            check(rule, &InFront::Nothing);
        }
        check(
            "-A PREROUTING -j DOCKER\n-A DOCKER -i docker0 -j RETURN",
            &InFront::Nothing,
        );
    }

    #[test]
    fn what_only_the_kernel_knows_is_a_doubt() {
        let rule = "-A PREROUTING -i eth1 -j ACCEPT";
        check(rule, &InFront::MayTake(rule.to_owned()));
        let rules = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
                     -A DOCKER -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80";
        let inner = "-A DOCKER -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80";
        check(rules, &InFront::MayTake(inner.to_owned()));
        check(
            &rules.replace("--dport 80", "--dport 8080"),
            &InFront::Nothing,
        );
    }

    #[test]
    fn rules_behind_ours_do_not_matter() {
        let way = WayIn {
            source_ip: "192.0.2.10".into(),
            port: 80,
            peer: "203.0.113.7".into(),
        };
        let saved = format!("{OURS}-A PREROUTING -j ACCEPT\n");
        assert_eq!(in_front(&saved, &way), InFront::Nothing);
    }
}
