//! Connections held at once for one source IP and one target: as many as there are ports.

use anyhow::Result;

use super::idle::parse;
use super::{Bench, Line, Place};
use crate::contender::{Contender, Program, Rekey, Replicas, own_command, start_ours};
use crate::load::hold::Held;
use crate::measure::machine::open_files;
use crate::metric::Metric;
use crate::network::plan::{Host, PODS, TARGET};

pub const LINE: Line = Line {
    name: "held",
    place: Place::Alone,
    run,
};

const CONNECTIONS: usize = 60_000;
/// Open files of a process that are not connections.
const OTHER_FILES: u64 = 500;

fn run(bench: &mut Bench) -> Result<()> {
    let network = bench.network;
    let each = open_files().saturating_sub(OTHER_FILES).max(1) as usize;
    let shares = CONNECTIONS.div_ceil(each);
    let running = start_ours(
        network,
        Replicas::Many(u16::try_from(shares)?),
        Rekey::Seldom,
    )?;
    // Outlive the servers: the end that closes first keeps the port for a minute, and at the gateway
    // the lines that follow would miss it.
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..shares {
        // One more process than would be enough: the kernel does not share out evenly.
        for _ in 0..2 {
            let mut server = own_command(network, Host::Server, "hold-server")?;
            servers.push(Program::start(server.arg(TARGET.to_string()), "")?);
        }
    }
    let mut opened = Held::default();
    let mut left = CONNECTIONS;
    for share in 0..shares {
        let count = left.div_ceil(shares - share);
        left -= count;
        let mut dial = running.egress(network).dial;
        dial.set_port(dial.port() + u16::try_from(share)?);
        let mut client = own_command(network, Host::Client, "hold-client")?;
        client
            .args(["--from", &PODS[share % PODS.len()].to_string()])
            .args(["--dial", &dial.to_string()])
            .args(["--count", &count.to_string()]);
        let (client, line) = Program::start(&mut client, "")?;
        opened = opened + parse(&line)?;
        clients.push(client);
    }
    // All of them still answer when the last one is open.
    let mut held = Held::default();
    for client in &mut clients {
        held = held + parse(&client.ask("again")?)?;
    }
    let results = &mut bench.results;
    results.add(Metric::Held, Contender::Ours, held.answered as f64);
    let failed = held.failed.max(opened.failed);
    results.add(Metric::HeldFailed, Contender::Ours, failed as f64);
    Ok(())
}
