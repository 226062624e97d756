//! What is left when the tunnel ends in the middle.

use std::io::Write;
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;

use super::Stage;
use super::drops::{all_see_a_reset, while_dropping};
use super::pair::{Ending, Pair, open, open_one, receive, send};
use crate::measure::cpu;
use crate::network::plan::Host;
use crate::path::Buffers;

const FLOWS: usize = 100;
/// More than any flow brings before the cut.
const ENDLESS: u64 = 1 << 40;
/// Time within which clients are to know that the way is dead.
const KNOWN: Duration = Duration::from_secs(6);

/// Servers answer, clients listen.
pub fn gateway_killed(stage: &Stage) -> Result<()> {
    let pairs = open(&stage.path, FLOWS, Buffers::Automatic)?;
    let ends = pairs
        .into_iter()
        .map(|Pair { client, server }| (server, client));
    cut(ends, || kill_end(stage, Host::Gateway))
}

/// Clients speak, servers listen.
pub fn forwarder_killed(stage: &Stage) -> Result<()> {
    let pairs = open(&stage.path, FLOWS, Buffers::Automatic)?;
    let ends = pairs
        .into_iter()
        .map(|Pair { client, server }| (client, server));
    cut(ends, || kill_end(stage, Host::Forwarder))
}

/// No packet gets through any more, and nobody says so.
pub fn way_goes_dead(stage: &Stage) -> Result<()> {
    let Pair {
        mut client,
        server: _silent,
    } = open_one(&stage.path)?;
    client.write_all(b"request")?;
    let cuts = ["INPUT -i wan", "OUTPUT -o wan"].map(|cut| (Host::Gateway, cut.to_owned()));
    while_dropping(stage, &cuts, || {
        all_see_a_reset([("client", client)], KNOWN)
    })
}

/// Lets every first end send to its second one, makes the cut, and judges what arrived.
fn cut(
    ends: impl Iterator<Item = (TcpStream, TcpStream)>,
    make_it: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut receiving: Vec<JoinHandle<Result<(u64, Ending)>>> = Vec::new();
    let mut sending = Vec::new();
    for (mut from, mut to) in ends {
        sending.push(thread::spawn(move || send(&mut from, ENDLESS)));
        receiving.push(thread::spawn(move || receive(&mut to)));
    }
    // At no particular byte.
    thread::sleep(Duration::from_millis(rand::rng().random_range(200..600)));
    make_it()?;
    let mut ended_cleanly = 0;
    let mut went_on = 0;
    for thread in receiving {
        let (_, ending) = thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        match ending {
            Ending::Fin => ended_cleanly += 1,
            Ending::None => went_on += 1,
            Ending::Reset => {}
        }
    }
    for thread in sending {
        // It was cut off.
        let _ = thread.join();
    }
    ensure!(
        ended_cleanly + went_on == 0,
        "of {FLOWS} flows {ended_cleanly} ended as if they were complete, {went_on} did not end"
    );
    Ok(())
}

/// Kills what a contender runs on a host.
fn kill_end(stage: &Stage, host: Host) -> Result<()> {
    let pid = stage.running.pid_at(host).context("nothing runs there")?;
    for pid in cpu::family(&[pid]) {
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    }
    Ok(())
}
