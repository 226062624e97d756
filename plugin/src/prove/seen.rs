//! Pure: the address that the target saw, from what an echo endpoint answered.

use std::net::Ipv4Addr;

use super::hop::Hop;

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
        check(Some(""), Outcome::NotProven);
        check(None, Outcome::NotProven);
    }
}
