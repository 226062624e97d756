//! Peers that go away without a word.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Stage;
use super::pair::{Ending, open, receive};
use crate::network::plan::Host;
use crate::path::Buffers;

/// Time within which the other side is to know.
const KNOWN: Duration = Duration::from_secs(80);

/// The client of one connection and the server of another one; each has bytes on the way to it.
pub fn client_and_server(stage: &Stage) -> Result<()> {
    let mut pairs = open(&stage.path, 2, Buffers::Automatic)?.into_iter();
    let (first, second) = pairs.next().zip(pairs.next()).context("two were opened")?;
    let (client, mut watching_server) = (first.client, first.server);
    let (mut watching_client, server) = (second.client, second.server);
    let port_of_client = client.local_addr()?.port();
    let port_towards_server = server.peer_addr()?.port();
    let cuts = [
        (
            Host::Client,
            format!("OUTPUT -p tcp --sport {port_of_client}"),
        ),
        (
            Host::Client,
            format!("INPUT -p tcp --dport {port_of_client}"),
        ),
        (
            Host::Server,
            format!("OUTPUT -p tcp --dport {port_towards_server}"),
        ),
        (
            Host::Server,
            format!("INPUT -p tcp --sport {port_towards_server}"),
        ),
    ];
    rules(stage, "-I", &cuts)?;
    watching_server.write_all(b"answer")?;
    watching_client.write_all(b"request")?;
    let watched = [("server", watching_server), ("client", watching_client)]
        .map(|(name, end)| (name, thread::spawn(move || ending(end))));
    let endings = watched.map(|(name, thread)| (name, thread.join()));
    rules(stage, "-D", &cuts)?;
    for (name, joined) in endings {
        let (ending, after) = joined.map_err(|_| anyhow!("a thread panicked"))??;
        ensure!(
            ending == Ending::Reset,
            "the {name} saw {} in {:.0} s",
            ending.name(),
            after.as_secs_f64()
        );
    }
    Ok(())
}

fn ending(mut end: TcpStream) -> Result<(Ending, Duration)> {
    end.set_read_timeout(Some(KNOWN))?;
    let begin = Instant::now();
    let (_, ending) = receive(&mut end)?;
    Ok((ending, begin.elapsed()))
}

fn rules(stage: &Stage, action: &str, cuts: &[(Host, String)]) -> Result<()> {
    for (host, cut) in cuts {
        let rule = format!("-w {action} {cut} -j DROP");
        let mut command = stage.network.host(*host).command("iptables");
        let output = command.args(rule.split(' ')).output()?;
        ensure!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
