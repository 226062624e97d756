//! Watches from the target itself who connects to it while something else goes on, over the login
//! that the user lent.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use crate::host::ssh::Ssh;

/// What ends a look at all connections.
const LOOKED: &str = "looked";

/// Who has connected in the meantime, or why that is not known.
pub(crate) type Watched = Result<BTreeSet<SocketAddrV4>, String>;

/// Runs `work`, and answers who has connected to the target's `ports` since it began.
pub(crate) async fn while_watched<T>(
    target: &Ssh,
    ports: &[u16],
    work: impl Future<Output = T>,
) -> (T, Watched) {
    // It ends by itself after a while, and at once when nobody reads.
    let script = format!(
        "i=0; while [ $i -lt 900 ]; do ss -Htan || exit 1; echo {LOOKED}; sleep 0.2; i=$((i+1)); done"
    );
    let mut child = match target.follow(&script) {
        Ok(child) => child,
        Err(failure) => return (work.await, Err(failure.message().to_owned())),
    };
    let Some(stdout) = child.stdout.take() else {
        return (work.await, Err("ssh has no output".to_owned()));
    };
    let mut lines = BufReader::new(stdout).lines();
    let before = look(&mut lines, ports).await;
    let mut seen = before.clone();
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            found = look(&mut lines, ports), if seen.is_some() => match (&mut seen, found) {
                (Some(seen), Some(found)) => seen.extend(found),
                _ => seen = None,
            },
        }
    };
    let _ = child.kill().await;
    let watched = seen.zip(before).map(|(seen, before)| &seen - &before);
    (
        done,
        watched.ok_or_else(|| "its connections cannot be listed: it needs `ss`".to_owned()),
    )
}

/// Peers of one look; `None` if the target says no more.
async fn look(
    lines: &mut Lines<BufReader<ChildStdout>>,
    ports: &[u16],
) -> Option<BTreeSet<SocketAddrV4>> {
    let mut peers = BTreeSet::new();
    while let Some(line) = lines.next_line().await.ok()? {
        if line == LOOKED {
            return Some(peers);
        }
        peers.extend(peer(&line, ports));
    }
    None
}

/// The peer in a line of `ss -Htan`, if it is or was connected to one of the ports.
fn peer(line: &str, ports: &[u16]) -> Option<SocketAddrV4> {
    let mut words = line.split_whitespace().skip(3);
    let (own, peer) = (address(words.next()?)?, address(words.next()?)?);
    ports.contains(&own.port()).then_some(peer)
}

/// An IPv4 address with its port; an IPv6 socket shows it as `[::ffff:192.0.2.10]:51514`.
fn address(word: &str) -> Option<SocketAddrV4> {
    let address: SocketAddr = word.parse().ok()?;
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => Some(SocketAddrV4::new(ip, address.port())),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_those_of_the_targets_own_ports() {
        let check = |line: &str, expected: Option<&str>| {
            let expected = expected.map(|peer| peer.parse().unwrap());
            assert_eq!(peer(line, &[5432]), expected, "{line}");
        };
        check(
            "ESTAB 0 0 203.0.113.7:5432 192.0.2.10:51514",
            Some("192.0.2.10:51514"),
        );
        check(
            "TIME-WAIT 0      0      [::ffff:203.0.113.7]:5432   [::ffff:192.0.2.10]:51514",
            Some("192.0.2.10:51514"),
        );
        check("LISTEN 0 128 0.0.0.0:5432 0.0.0.0:*", None);
        check("ESTAB 0 0 203.0.113.7:22 192.0.2.10:51514", None);
        check("ESTAB 0 0 [2001:db8::1]:5432 [2001:db8::2]:51514", None);
        check("", None);
    }
}
