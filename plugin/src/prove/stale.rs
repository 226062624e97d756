//! Pure: hops that the objects still call well although an attempt has just met what is wrong:
//! who reports it may need a moment longer than who tries.

use super::hop::{Hop, Outcome};
use super::target::Attempt;
use super::tunnels;

/// The hop that an attempt has seen fail on its way to the target, if it is one before it.
pub(crate) fn seen_to_fail(attempt: &Attempt) -> Option<Hop> {
    let Attempt {
        replica,
        source_ip,
        answer,
        ..
    } = attempt;
    match answer.as_ref().ok()?.result.as_str() {
        "source_ip_missing" => Some(Hop::failed(
            "source-ip",
            "",
            format!("{source_ip} is on no interface of the gateway host"),
            format!(
                "put it on the host, or let the gateway: `kubectl extconn init --gateway USER@HOST --source-ip {source_ip}=INTERFACE`"
            ),
        )),
        "no_tunnel" | "tunnel_lost" => Some(Hop::failed(
            "tunnel",
            replica.clone(),
            format!("nothing comes through to the gateway of {source_ip}"),
            "see that the gateway runs, and that the cluster's nodes reach it: `kubectl extconn logs gateway`",
        )),
        _ => None,
    }
}

/// Whether the objects say nothing of a hop that an attempt with this source IP has seen fail.
pub(crate) fn is_stale(hops: &[Hop], source_ip: &str, attempts: &[Attempt]) -> bool {
    failures(source_ip, attempts).any(|failed| {
        let mut same = hops.iter().filter(|hop| hop.name == failed.name);
        let told = same.any(|hop| {
            hop.outcome != Outcome::Proven
                && (hop.name != "tunnel" || tunnels::is_cause(&hop.message))
        });
        // A gateway that does not run is the better name for tunnels that are down.
        let gateway = hops.iter().find(|hop| hop.name == "gateway");
        !told && gateway.is_none_or(|hop| hop.outcome == Outcome::Proven)
    })
}

/// Puts what the attempts have seen fail in the place of what is only said to be well.
pub(crate) fn correct(hops: &mut [Hop], source_ip: &str, attempts: &[Attempt]) {
    for failed in failures(source_ip, attempts) {
        let mut same = hops
            .iter_mut()
            .filter(|hop| hop.name == failed.name && hop.of == failed.of);
        if let Some(hop) = same.find(|hop| hop.outcome == Outcome::Proven) {
            *hop = failed;
        }
    }
}

fn failures<'a>(source_ip: &str, attempts: &'a [Attempt]) -> impl Iterator<Item = Hop> + 'a {
    let own = |attempt: &&Attempt| attempt.source_ip == source_ip;
    let own: Vec<&Attempt> = attempts.iter().filter(own).collect();
    own.into_iter().filter_map(seen_to_fail)
}

#[cfg(test)]
mod tests {
    use super::super::replica::Probed;
    use super::*;

    fn attempt(result: &str) -> Attempt {
        Attempt {
            replica: "forwarder-db-1".into(),
            source_ip: "192.0.2.10".into(),
            destination: "203.0.113.7:5432".into(),
            answer: Ok(Probed {
                result: result.into(),
                bound: None,
                milliseconds: 1,
            }),
        }
    }

    fn hops() -> Vec<Hop> {
        vec![
            Hop::proven("gateway", "", ""),
            Hop::proven("source-ip", "", ""),
            Hop::proven("tunnel", "forwarder-db-1", ""),
            Hop::proven("tunnel", "forwarder-db-2", ""),
        ]
    }

    #[test]
    fn what_an_attempt_has_met_stands_in_the_place_of_what_is_said() {
        for (result, failed) in [
            ("source_ip_missing", &[1][..]),
            ("no_tunnel", &[2]),
            ("tunnel_lost", &[2]),
            ("refused", &[]),
            ("ok", &[]),
        ] {
            let (mut hops, attempts) = (hops(), [attempt(result)]);
            assert_eq!(
                is_stale(&hops, "192.0.2.10", &attempts),
                !failed.is_empty(),
                "{result}"
            );
            correct(&mut hops, "192.0.2.11", &attempts);
            correct(&mut hops, "192.0.2.10", &attempts);
            let found: Vec<usize> = (0..4)
                .filter(|at| hops[*at].outcome == Outcome::Failed)
                .collect();
            assert_eq!(found, failed, "{result}");
        }
    }

    #[test]
    fn what_the_objects_say_of_a_failure_is_kept() {
        let (mut hops, attempts) = (hops(), [attempt("no_tunnel")]);
        let tunnel = |message| Hop::failed("tunnel", "forwarder-db-1", message, "");
        hops[2] = tunnel("down: another key");
        correct(&mut hops, "192.0.2.10", &attempts);
        assert_eq!(hops[2].message, "down: another key");
        assert!(!is_stale(&hops, "192.0.2.10", &attempts));
        // That it broke is no cause yet.
        hops[2] = tunnel("down: early eof");
        assert!(is_stale(&hops, "192.0.2.10", &attempts));
        hops = self::hops();
        hops[0] = Hop::failed("gateway", "", "it does not run", "");
        assert!(!is_stale(&hops, "192.0.2.10", &attempts));
    }
}
