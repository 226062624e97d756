//! Pure: the gateway's nat rules for the way in, from `iptables-save -c`.

use super::hop::Hop;
use super::in_front::{InFront, in_front};

/// Command that prints them on the gateway host.
pub(crate) const COMMAND: &str = "PATH=$PATH:/usr/sbin:/sbin iptables-save -c -t nat";

/// A rule that leads the target's connections from a source IP's port into the tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WayIn {
    /// Source IP.
    pub source_ip: String,
    /// Port of the Service.
    pub port: u16,
    /// The target.
    pub peer: String,
}

/// Connections that the rule has led in since it was written; `None` if there is no such rule, or
/// the chain that it is in is not reached.
fn led_in(saved: &str, way: &WayIn) -> Option<u64> {
    let jump = format!("-j {}", chain(way));
    let hook = saved
        .lines()
        .any(|line| line.contains("-A PREROUTING ") && line.ends_with("-j EXTCONN-DIALLED"));
    let reached = saved
        .lines()
        .any(|line| line.contains("-A EXTCONN-DIALLED ") && line.ends_with(&jump));
    if !hook || !reached {
        return None;
    }
    // A port with several peers has a chain of its own; only its rules leave the port out.
    let port = way.port.to_string();
    let leads_to_port = |rule: &&&str| word_after(rule, "--dport") == Some(&port);
    let own = rules_of(saved, &chain(way));
    let of_port: Vec<&str> = own
        .iter()
        .filter(leads_to_port)
        .filter_map(|jump| word_after(jump, "-j"))
        .flat_map(|chain| rules_of(saved, chain))
        .collect();
    let rule = own
        .iter()
        .filter(leads_to_port)
        .chain(&of_port)
        .find(|rule| leads(rule, &way.peer))?;
    let packets = rule.trim_start().strip_prefix('[')?.split(':').next()?;
    packets.parse().ok()
}

fn rules_of<'a>(saved: &'a str, chain: &str) -> Vec<&'a str> {
    let of_chain = format!("-A {chain} ");
    let lines = saved.lines();
    lines.filter(|line| line.contains(&of_chain)).collect()
}

fn leads(rule: &str, peer: &str) -> bool {
    let source = word_after(rule, "-s").map(|source| source.trim_end_matches("/32"));
    rule.contains(" -j DNAT ") && source == Some(peer)
}

fn word_after<'a>(rule: &'a str, flag: &str) -> Option<&'a str> {
    let mut words = rule.split_whitespace();
    words.find(|word| *word == flag)?;
    words.next()
}

fn chain(way: &WayIn) -> String {
    format!("EXTCONN-{}", way.source_ip)
}

/// The hop `nat-rule`, from `iptables-save -c -t nat`.
pub(crate) fn hop(way: &WayIn, saved: &str) -> Hop {
    let WayIn {
        source_ip,
        port,
        peer,
    } = way;
    let of = format!("{source_ip}:{port}");
    let found = led_in(saved, way);
    let doubt = |rule: &str, verb: &str| {
        format!(
            "another rule of the gateway host stands in front and {verb} connections to {source_ip}:{port}: {rule}"
        )
    };
    const MOVE: &str = "remove it, or have it leave out what goes to the source IP";
    match (found, in_front(saved, way)) {
        (Some(_), InFront::Takes(rule)) => {
            return Hop::failed("nat-rule", of, doubt(&rule, "takes"), MOVE);
        }
        (Some(_), InFront::MayTake(rule)) => {
            return Hop::not_proven(
                "nat-rule",
                of,
                doubt(&rule, "may take"),
                "prove it from the target: --target-ssh DESTINATION",
            );
        }
        _ => {}
    }
    match found {
        Some(count) => Hop::proven(
            "nat-rule",
            of,
            format!(
                "the gateway leads {peer} from {source_ip}:{port} into the tunnel; {count} connections so far"
            ),
        ),
        None => Hop::failed(
            "nat-rule",
            of,
            format!(
                "the gateway host has no nat rule that leads {peer} from {source_ip}:{port} into the tunnel"
            ),
            "something removes rules there, such as a firewall that reloads; the gateway repairs them: see `kubectl extconn logs gateway`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "\
*nat
:PREROUTING ACCEPT [3:180]
:EXTCONN-192.0.2.10 - [0:0]
:EXTCONN-DIALLED - [0:0]
[3:180] -A PREROUTING -m comment --comment \"extconn: external servers dial source IPs\" -j EXTCONN-DIALLED
[2:120] -A EXTCONN-DIALLED -d 192.0.2.10/32 -p tcp -m comment --comment \"to 192.0.2.10\" -j EXTCONN-192.0.2.10
[2:120] -A EXTCONN-192.0.2.10 -s 203.0.113.7/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.0.2.10:40001
[9:540] -A EXTCONN-192.0.2.10 -p tcp -m tcp --dport 443 -m comment --comment \"dials 192.0.2.10:443\" -j EXTCONN-C000020A-443
[4:240] -A EXTCONN-C000020A-443 -s 203.0.113.7/32 -p tcp -j DNAT --to-destination 192.0.2.10:40002
[5:300] -A EXTCONN-C000020A-443 -s 203.0.113.8/32 -p tcp -j DNAT --to-destination 192.0.2.10:40002
COMMIT
";

    fn way(port: u16, peer: &str) -> WayIn {
        WayIn {
            source_ip: "192.0.2.10".into(),
            port,
            peer: peer.into(),
        }
    }

    #[test]
    fn the_rule_counts_what_it_has_led_in() {
        assert_eq!(led_in(SAVED, &way(80, "203.0.113.7")), Some(2));
        assert_eq!(led_in(SAVED, &way(8, "203.0.113.7")), None);
        assert_eq!(led_in(SAVED, &way(443, "203.0.113.7")), Some(4));
        assert_eq!(led_in(SAVED, &way(443, "203.0.113.8")), Some(5));
        assert_eq!(led_in(SAVED, &way(80, "203.0.113.8")), None);
        assert_eq!(led_in(SAVED, &way(80, "203.0.113.70")), None);
    }

    #[test]
    fn a_rule_that_no_packet_reaches_is_none() {
        let unhooked: String = SAVED
            .lines()
            .filter(|line| !line.contains("-A PREROUTING"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(led_in(&unhooked, &way(80, "203.0.113.7")), None);
        assert_eq!(led_in("", &way(80, "203.0.113.7")), None);
    }
}
