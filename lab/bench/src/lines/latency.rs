//! How long requests wait at a steady rate: alone, beside bulk flows, and beside a connection
//! whose reader does not read.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, Line, Place};
use crate::load::bulk::{Bulk, Direction};
use crate::load::open_loop;
use crate::metric::Metric;
use crate::path::{Buffers, Path};
use crate::stats;

pub const LINE: Line = Line {
    name: "latency",
    place: Place::Cable,
    run,
};

/// 1,000 requests of a second.
const INTERVAL: Duration = Duration::from_millis(1);
/// Time without room for another byte after which a path is full.
const FULL: Duration = Duration::from_millis(300);

fn run(bench: &mut Bench) -> Result<()> {
    let repetitions = bench.effort.repetitions.min(5);
    bench.in_turn(repetitions, |bench, running| {
        let path = running.egress(bench.network);
        let latencies = open_loop::run(&path, bench.effort.requests, INTERVAL)?;
        for (metric, percent) in [(Metric::LatencyMedian, 50.0), (Metric::LatencyHigh, 99.0)] {
            let sample = stats::percentile(&latencies, percent).context("no requests")?;
            bench.add(metric, running, sample);
        }
        Ok(())
    })?;
    bench.in_turn(repetitions, |bench, running| {
        let path = running.egress(bench.network);
        let _bulk = Bulk::start(&path, 2, Direction::ToServer, Buffers::Automatic)?;
        high(bench, running, &path, Metric::LatencyBesideBulk)
    })?;
    bench.in_turn(repetitions, |bench, running| {
        let path = running.egress(bench.network);
        let stuck = Stuck::start(&path)?;
        let result = high(bench, running, &path, Metric::LatencyBesideStuck);
        stuck.end();
        result
    })
}

fn high(
    bench: &mut Bench,
    running: &crate::contender::Running,
    path: &Path,
    metric: Metric,
) -> Result<()> {
    let latencies = open_loop::run(path, bench.effort.requests, INTERVAL)?;
    let sample = stats::percentile(&latencies, 99.0).context("no requests")?;
    bench.add(metric, running, sample);
    Ok(())
}

/// A connection that is full because its reader does not read.
struct Stuck {
    writer: TcpStream,
    _reader: TcpStream,
}

impl Stuck {
    /// Writes until nothing more goes in.
    fn start(path: &Path) -> Result<Self> {
        let listener = path.listen(Buffers::Automatic)?;
        let mut writer = path.connect(Buffers::Automatic)?;
        let (reader, _) = listener.accept().context("nothing got through")?;
        writer.set_nonblocking(true)?;
        let chunk = [0; 64 * 1024];
        let mut last = Instant::now();
        while last.elapsed() < FULL {
            if writer.write(&chunk).is_ok() {
                last = Instant::now();
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(Self {
            writer,
            _reader: reader,
        })
    }

    fn end(self) {
        let _ = self.writer.shutdown(Shutdown::Both);
    }
}
