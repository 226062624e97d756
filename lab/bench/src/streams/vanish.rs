//! Peers that go away without a word.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Stage;
use super::drops::{all_see_a_reset, while_dropping};
use super::pair::open;
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
    while_dropping(stage, &cuts, || {
        watching_server.write_all(b"answer")?;
        watching_client.write_all(b"request")?;
        let ends = [("server", watching_server), ("client", watching_client)];
        all_see_a_reset(ends, KNOWN)
    })
}
