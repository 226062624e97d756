//! What connections cost that do nothing.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Bench, Line, Place};
use crate::contender::{Contender, Program, Running, own_command};
use crate::load::hold::Held;
use crate::measure::memory::proportional_set_size;
use crate::metric::Metric;
use crate::network::Network;
use crate::network::plan::{Host, PODS, TARGET};

pub const LINE: Line = Line {
    name: "idle",
    place: Place::Cable,
    run,
};

const CONNECTIONS: usize = 10_000;
/// Time in which an end may give back what it used to open them.
const SETTLE: Duration = Duration::from_secs(3);

fn run(bench: &mut Bench) -> Result<()> {
    bench.in_turn(1, |bench, running| {
        if running.contender == Contender::Routed {
            return Ok(());
        }
        let before = proportional_set_size(&running.family());
        let mut server = own_command(bench.network, Host::Server, "hold-server")?;
        let _server = Program::start(server.arg(TARGET.to_string()), "")?;
        let (mut client, opened) = hold(bench.network, running, CONNECTIONS)?;
        sleep(SETTLE);
        let after = proportional_set_size(&running.family());
        let held = parse(&client.ask("again")?)?;
        if opened.answered < CONNECTIONS / 2 {
            bail!("{} of {CONNECTIONS} connections failed", opened.failed);
        }
        let growth = after.saturating_sub(before) as f64;
        let each = growth / opened.answered as f64;
        bench.add(Metric::IdleMemory, running, each * CONNECTIONS as f64);
        bench.add(Metric::IdleFailed, running, held.failed as f64);
        Ok(())
    })
}

/// Opens connections and waits until each has answered or failed.
fn hold(network: &Network, running: &Running, count: usize) -> Result<(Program, Held)> {
    let mut client = own_command(network, Host::Client, "hold-client")?;
    client
        .args(["--from", &PODS[0].to_string()])
        .args(["--dial", &running.egress(network).dial.to_string()])
        .args(["--count", &count.to_string()]);
    let (client, line) = Program::start(&mut client, "")?;
    let opened = parse(&line)?;
    Ok((client, opened))
}

/// Reads what a client of held connections wrote.
pub fn parse(line: &str) -> Result<Held> {
    serde_json::from_str(line).with_context(|| format!("read {line:?}"))
}
