//! Memory while many connections are pushed full that nobody reads, what others notice of it, and
//! what is left when they have ended.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::idle::parse;
use super::{Bench, Line, Place};
use crate::contender::{Contender, Program, Rekey, Replicas, Running, own_command, start_ours};
use crate::load::short;
use crate::measure::memory::{peak, proportional_set_size};
use crate::metric::Metric;
use crate::network::Network;
use crate::network::plan::{Host, PODS, SYSCTLS, TARGET};
use crate::path::{Buffers, PATIENCE, Path};
use crate::streams::pair::{Pair, open, open_one};

pub const LINE: Line = Line {
    name: "stuck",
    place: Place::Alone,
    run,
};

const CONNECTIONS: usize = 10_000;
/// Connections that are opened beside them, and messages of one that was there before.
const BESIDE: usize = 50;
/// Short connections that come and go afterwards.
const SHORT_AT_ONCE: usize = 32;
/// Time without another byte after which everything is full, and between two looks.
const FULL: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
/// Growth of both ends in sum at which nothing of the connections is left, in bytes.
const RETURNED: u64 = 64 << 20;
/// What waits in the kernel is not what this is about, and there is not memory for it everywhere.
const SMALL_BUFFERS: [(&str, &str); 2] = [
    ("net.ipv4.tcp_rmem", "4096 8192 8192"),
    ("net.ipv4.tcp_wmem", "4096 8192 8192"),
];

fn run(bench: &mut Bench) -> Result<()> {
    let network = bench.network;
    let running = start_ours(network, Replicas::One, Rekey::Seldom)?;
    let path = running.egress(network);
    let mut live = open_one(&path)?;
    live.exchange()?;
    let before = proportional_set_size(&running.family());
    let buffers = SmallBuffers::set(network)?;
    let (stuck, failed) = Stuck::start(network, &path)?;
    let mut add = |metric, value: f64| bench.results.add(metric, Contender::Ours, value);
    add(Metric::StuckFailed, failed as f64);
    let (message, opening) = slowest_beside(&path, &mut live)?;
    add(Metric::StuckMessage, message.as_secs_f64());
    add(Metric::StuckOpening, opening.as_secs_f64());
    for (metric, host) in [
        (Metric::StuckForwarder, Host::Forwarder),
        (Metric::StuckGateway, Host::Gateway),
    ] {
        let pid = running.pid_at(host).context("nothing runs there")?;
        add(metric, peak(pid).context("it has ended")? as f64);
    }
    drop((stuck, buffers));
    let left = growth_in_the_end(&running, &path, before)?;
    let results = &mut bench.results;
    results.add(Metric::StuckLeft, Contender::Ours, left as f64);
    live.exchange().context("afterwards")
}

/// Connections that are full and not read. They end when this is dropped.
struct Stuck {
    _client: Program,
    _server: Program,
}

impl Stuck {
    /// Opens them and waits until they are full; how many failed.
    fn start(network: &Network, path: &Path) -> Result<(Self, usize)> {
        let mut server = own_command(network, Host::Server, "stuck-server")?;
        let (mut server, _) = Program::start(server.arg(TARGET.to_string()), "")?;
        let mut client = own_command(network, Host::Client, "stuck-client")?;
        client
            .args(["--from", &PODS[0].to_string()])
            .args(["--dial", &path.dial.to_string()])
            .args(["--count", &CONNECTIONS.to_string()]);
        let (mut client, line) = Program::start(&mut client, "")?;
        let (mut pushed, mut last) = (0, Instant::now());
        while last.elapsed() < FULL {
            sleep(PAUSE);
            let mut sum: u64 = 0;
            for program in [&mut client, &mut server] {
                sum += program.ask("")?.parse::<u64>()?;
            }
            if sum != pushed {
                (pushed, last) = (sum, Instant::now());
            }
        }
        let stuck = Self {
            _client: client,
            _server: server,
        };
        Ok((stuck, parse(&line)?.failed))
    }
}

/// The longest that a message and its answer took on a connection that was there before, and on
/// one that was opened for them.
fn slowest_beside(path: &Path, live: &mut Pair) -> Result<(Duration, Duration)> {
    let (mut message, mut opening) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..BESIDE {
        let begin = Instant::now();
        live.exchange().context("beside stuck connections")?;
        message = message.max(begin.elapsed());
        let begin = Instant::now();
        for mut opened in open(path, 1, Buffers::Automatic)? {
            opened.exchange().context("a new connection")?;
        }
        opening = opening.max(begin.elapsed());
    }
    Ok((message, opening))
}

/// Bytes by which both ends have grown, once that is little or does not become less. Short
/// connections come and go meanwhile: the allocator gives back while it is asked for something.
fn growth_in_the_end(running: &Running, path: &Path, before: u64) -> Result<u64> {
    let begin = Instant::now();
    loop {
        short::run(path, SHORT_AT_ONCE, Duration::ZERO, FULL)?;
        let now = proportional_set_size(&running.family());
        let growth = now.saturating_sub(before);
        if growth < RETURNED || begin.elapsed() > PATIENCE {
            return Ok(growth);
        }
    }
}

/// Sockets that are opened have small buffers until this is dropped.
struct SmallBuffers<'a>(&'a Network);

impl<'a> SmallBuffers<'a> {
    fn set(network: &'a Network) -> Result<Self> {
        let small = Self(network);
        for host in Host::ALL {
            for (name, value) in SMALL_BUFFERS {
                network.host(host).sysctl(name, value)?;
            }
        }
        Ok(small)
    }
}

impl Drop for SmallBuffers<'_> {
    fn drop(&mut self) {
        for host in Host::ALL {
            for (name, value) in SYSCTLS {
                // The network is about to be removed if it fails.
                let _ = self.0.host(host).sysctl(name, value);
            }
        }
    }
}
