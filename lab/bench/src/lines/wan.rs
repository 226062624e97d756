//! Throughput of a long fat way.

use std::thread::sleep;

use anyhow::Result;

use super::{Bench, Line, Place};
use crate::load::bulk::{Bulk, Direction};
use crate::metric::Metric;
use crate::path::Buffers;

pub const LINE: Line = Line {
    name: "wan",
    place: Place::Far,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    throughput(bench, 1, Metric::WanOne)?;
    throughput(bench, 4, Metric::WanFour)
}

/// Streams from pod to server that have had time to grow.
pub fn throughput(bench: &mut Bench, streams: usize, metric: Metric) -> Result<()> {
    bench.in_turn(bench.effort.long_repetitions, |bench, running| {
        let path = running.egress(bench.network);
        let bulk = Bulk::start(&path, streams, Direction::ToServer, Buffers::Automatic)?;
        sleep(bench.effort.long_warm_up);
        let before = bulk.snapshot();
        sleep(bench.effort.long_measure);
        let after = bulk.snapshot();
        bench.add(metric, running, after.rate_since(&before));
        Ok(())
    })
}
