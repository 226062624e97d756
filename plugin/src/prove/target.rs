//! Pure: the hop from the gateway to the target, from what each replica's gateway connection came
//! to.

use super::hop::Hop;
use super::replica::{NoAnswer, Probed, next_of_unreachable};
use super::stale;

/// One connection that a gateway made for a replica.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Name of the replica's pod.
    pub replica: String,
    /// Source IP that was wanted.
    pub source_ip: String,
    /// Target and port.
    pub destination: String,
    /// What came of it.
    pub answer: Result<Probed, NoAnswer>,
}

/// One hop for each attempt with this source IP. `others` are all attempts: that another source
/// IP gets through tells what is wrong with this one.
pub(crate) fn hops(source_ip: &str, others: &[Attempt]) -> Vec<Hop> {
    let own = others
        .iter()
        .filter(|attempt| attempt.source_ip == source_ip);
    own.map(|attempt| hop(attempt, others)).collect()
}

fn hop(attempt: &Attempt, others: &[Attempt]) -> Hop {
    let Attempt {
        replica,
        source_ip,
        destination,
        answer,
    } = attempt;
    let of = format!("{destination} by {replica}");
    match answer {
        Ok(probed) if probed.result == "ok" => accepted(&of, source_ip, destination, probed),
        Ok(_) if stale::seen_to_fail(attempt).is_some() => {
            Hop::not_tried("target", of, "a hop before it has failed")
        }
        Ok(probed) => {
            let admitted = others.iter().find(|other| {
                other.destination == *destination
                    && other.source_ip != *source_ip
                    && other.answer.as_ref().is_ok_and(|p| p.result == "ok")
            });
            let (message, next) = refused(
                &probed.result,
                source_ip,
                destination,
                admitted.map(|a| a.source_ip.as_str()),
            );
            Hop::failed("target", of, message, next)
        }
        Err(NoAnswer::Unknown) => Hop::not_proven(
            "target",
            of,
            "the forwarder is of a version that cannot be asked to try",
            "upgrade the cluster with `kubectl extconn init`",
        ),
        Err(NoAnswer::Unreachable(why)) => Hop::not_proven(
            "target",
            of,
            format!("the forwarder could not be asked to try: {why}"),
            next_of_unreachable(why),
        ),
    }
}

fn accepted(of: &str, source_ip: &str, destination: &str, probed: &Probed) -> Hop {
    let took = format!("{} ms", probed.milliseconds);
    match probed.bound {
        Some(bound) if bound.ip().to_string() == source_ip => Hop::proven(
            "target",
            of,
            format!("{destination} accepted a connection from {bound} in {took}"),
        ),
        Some(bound) => Hop::failed(
            "target",
            of,
            format!("the gateway connected to {destination} from {bound} and not from {source_ip}"),
            "report this: a gateway must never do so",
        ),
        None => Hop::not_proven(
            "target",
            of,
            format!(
                "{destination} accepted a connection, but the gateway does not tell from which address"
            ),
            "upgrade the gateway with `kubectl extconn init`",
        ),
    }
}

fn refused(
    result: &str,
    source_ip: &str,
    destination: &str,
    admitted: Option<&str>,
) -> (String, String) {
    let only =
        admitted.map(|other| format!(", although it lets {other} in: allow {source_ip} there too"));
    match (result, only) {
        ("refused", None) => (
            format!("{destination} refuses connections from {source_ip}"),
            format!(
                "start the server there, correct the port, or allow {source_ip} in its firewall, which may reject it"
            ),
        ),
        ("timed_out", None) => (
            format!("{destination} does not answer {source_ip}"),
            format!(
                "allow {source_ip} in the target's firewall, and see that it is up and has a route back"
            ),
        ),
        ("refused", Some(only)) => (
            format!("{destination} refuses connections from {source_ip}"),
            format!("the target refuses it{only}"),
        ),
        ("timed_out", Some(only)) => (
            format!("{destination} does not answer {source_ip}"),
            format!("the target drops it{only}"),
        ),
        // No route, or a firewall that rejects: ICMP says the same of both.
        ("unreachable", None) => (
            format!(
                "{destination} cannot be reached from {source_ip}: there is no route, or a firewall rejects it"
            ),
            format!(
                "allow {source_ip} in the target's firewall, and see `ip route get {}` on the gateway host",
                destination.split(':').next().unwrap_or_default()
            ),
        ),
        ("unreachable", Some(only)) => (
            format!("{destination} cannot be reached from {source_ip}: a firewall rejects it"),
            format!("the target's firewall rejects it{only}"),
        ),
        ("forbidden", _) => (
            format!("the gateway does not allow {destination} from {source_ip}"),
            "see targetNetworks in /etc/extconn/gateway.yaml on the gateway host".to_owned(),
        ),
        (other, _) => (
            format!(
                "a connection from {source_ip} to {destination} failed: {}",
                other.replace('_', " ")
            ),
            "see `kubectl extconn logs gateway`".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hop::Outcome;
    use super::*;

    fn attempt(source_ip: &str, result: &str, bound: Option<&str>) -> Attempt {
        Attempt {
            replica: "forwarder-db-1".into(),
            source_ip: source_ip.into(),
            destination: "203.0.113.7:5432".into(),
            answer: Ok(Probed {
                result: result.into(),
                bound: bound.map(|b| b.parse().unwrap()),
                milliseconds: 2,
            }),
        }
    }

    fn one(attempts: &[Attempt]) -> Hop {
        hops("192.0.2.10", attempts).remove(0)
    }

    #[test]
    fn only_a_connection_from_the_source_ip_itself_is_a_proof() {
        assert_eq!(
            one(&[attempt("192.0.2.10", "ok", Some("192.0.2.10:5"))]).outcome,
            Outcome::Proven
        );
        assert_eq!(
            one(&[attempt("192.0.2.10", "ok", Some("192.0.2.1:5"))]).outcome,
            Outcome::Failed
        );
        assert_eq!(
            one(&[attempt("192.0.2.10", "ok", None)]).outcome,
            Outcome::NotProven
        );
    }

    #[test]
    fn a_target_that_lets_another_source_ip_in_is_told_apart_from_one_that_is_down() {
        let closed = one(&[attempt("192.0.2.10", "refused", None)]);
        assert!(closed.next.unwrap().contains("start the server"));
        for answer in ["timed_out", "refused", "unreachable"] {
            let other = attempt("192.0.2.11", "ok", Some("192.0.2.11:5"));
            let picky = one(&[attempt("192.0.2.10", answer, None), other]);
            assert!(picky.next.unwrap().contains("allow 192.0.2.10 there too"));
        }
    }

    #[test]
    fn every_reason_names_addresses_and_a_next_step() {
        for reason in [
            "refused",
            "timed_out",
            "unreachable",
            "forbidden",
            "exhausted",
        ] {
            let hop = one(&[attempt("192.0.2.10", reason, None)]);
            assert_eq!(hop.outcome, Outcome::Failed);
            assert!(hop.message.contains("192.0.2.10"), "{hop:?}");
        }
    }

    #[test]
    fn a_forwarder_that_cannot_be_asked_proves_nothing() {
        for answer in [NoAnswer::Unknown, NoAnswer::Unreachable("x".into())] {
            let hop = one(&[Attempt {
                answer: Err(answer),
                ..attempt("192.0.2.10", "", None)
            }]);
            assert_eq!(hop.outcome, Outcome::NotProven);
        }
    }
}
