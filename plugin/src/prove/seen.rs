//! Pure: the address that the target saw, from what an echo endpoint answered.

use std::net::Ipv4Addr;

use super::hop::Hop;
use super::watch::Watched;

/// The hop `seen-by-target`. `received` is what the target answered to an HTTP request; it has to
/// tell the address of whoever asked.
pub(crate) fn hop(of: &str, source_ip: &str, received: Option<&str>) -> Hop {
    let Some(received) = received.filter(|received| !received.is_empty()) else {
        return Hop::not_proven(
            "seen-by-target",
            of,
            "the target's echo endpoint answered nothing",
            "see whether it speaks HTTP at that path",
        );
    };
    // A page about an error may name any address, such as the one in the request.
    if let Some(status) = status(received).filter(|status| !(200..300).contains(status)) {
        return Hop::not_proven(
            "seen-by-target",
            of,
            format!("the target answers with HTTP status {status}"),
            "name a path at which it answers with the caller's address",
        );
    }
    let body = received
        .split_once("\r\n\r\n")
        .map_or(received, |(_, body)| body);
    let seen: Vec<Ipv4Addr> = addresses(body);
    if seen.iter().any(|address| address.to_string() == source_ip) {
        return Hop::proven("seen-by-target", of, format!("the target saw {source_ip}"));
    }
    match seen.first() {
        Some(other) => Hop::failed(
            "seen-by-target",
            of,
            format!("the target saw {other} and not {source_ip}"),
            "look for address translation between gateway host and target",
        ),
        None => Hop::not_proven(
            "seen-by-target",
            of,
            "the target's answer tells no address",
            "name a path that answers with the caller's address",
        ),
    }
}

/// The hop `seen-by-target` from who connected to the target while a pod did.
pub(crate) fn hop_by_login(source_ip: &str, watched: &Watched) -> Hop {
    let seen = match watched {
        Ok(seen) => seen,
        Err(why) => {
            return Hop::not_proven(
                "seen-by-target",
                "",
                format!("the target could not be watched: {why}"),
                "install iproute2 there, or use --echo",
            );
        }
    };
    if let Some(own) = seen.iter().find(|peer| peer.ip().to_string() == source_ip) {
        return Hop::proven(
            "seen-by-target",
            "",
            format!("while a pod connected, the target saw {own} come"),
        );
    }
    let others: Vec<String> = seen.iter().take(3).map(ToString::to_string).collect();
    if others.is_empty() {
        Hop::not_proven(
            "seen-by-target",
            "",
            "the target saw nobody connect while a pod did",
            "see that the login is on the target itself, and not on something in front of it",
        )
    } else {
        Hop::failed(
            "seen-by-target",
            "",
            format!(
                "while a pod connected, the target saw {} come and not {source_ip}",
                others.join(", ")
            ),
            "look for address translation between gateway host and target",
        )
    }
}

/// The status of an answer over HTTP.
fn status(received: &str) -> Option<u16> {
    let (_, rest) = received.strip_prefix("HTTP/")?.split_once(' ')?;
    rest.split_whitespace().next()?.parse().ok()
}

/// IPv4 addresses in a text, in order.
fn addresses(text: &str) -> Vec<Ipv4Addr> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    words
        .filter_map(|word| word.trim_matches('.').parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::hop::Outcome;
    use super::*;

    #[test]
    fn whoever_else_came_is_named() {
        let check = |seen: &[&str], outcome: Outcome, words: &str| {
            let seen = seen.iter().map(|peer| peer.parse().unwrap()).collect();
            let hop = hop_by_login("192.0.2.10", &Ok(seen));
            assert_eq!(hop.outcome, outcome, "{hop:?}");
            assert!(hop.message.contains(words), "{hop:?}");
        };
        check(
            &["192.0.2.1:5", "192.0.2.10:6"],
            Outcome::Proven,
            "192.0.2.10:6",
        );
        check(
            &["192.0.2.1:5"],
            Outcome::Failed,
            "saw 192.0.2.1:5 come and not 192.0.2.10",
        );
        check(&[], Outcome::NotProven, "nobody");
        let unknown = hop_by_login("192.0.2.10", &Err("no ss".to_owned()));
        assert_eq!(unknown.outcome, Outcome::NotProven);
    }

    #[test]
    fn only_the_source_ip_itself_in_the_answer_is_a_proof() {
        let check = |received: Option<&str>, outcome: Outcome| {
            assert_eq!(
                hop("", "192.0.2.10", received).outcome,
                outcome,
                "{received:?}"
            );
        };
        check(
            Some("HTTP/1.0 200 OK\r\nDate: x\r\n\r\nhello 192.0.2.10:51514\n"),
            Outcome::Proven,
        );
        check(Some("HTTP/1.0 200 OK\r\n\r\n192.0.2.101"), Outcome::Failed);
        check(
            Some("HTTP/1.0 200 OK\r\nX-Server: 192.0.2.10\r\n\r\nhello"),
            Outcome::NotProven,
        );
        check(
            Some("HTTP/1.1 404 Not Found\r\n\r\nServer at 10.244.2.12 Port 80"),
            Outcome::NotProven,
        );
        check(Some(""), Outcome::NotProven);
        check(None, Outcome::NotProven);
    }
}
