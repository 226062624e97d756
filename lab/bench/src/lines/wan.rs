//! Throughput of a long fat way.

use std::thread::sleep;

use anyhow::Result;

use super::{Bench, Line, Place};
use crate::contender::Running;
use crate::load::bulk::{Bulk, Direction};
use crate::metric::Metric;
use crate::path::Buffers;

pub const LINE: Line = Line {
    name: "wan",
    place: Place::Far,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    for (streams, metric) in [(1, Metric::WanOne), (4, Metric::WanFour)] {
        bench.in_turn(bench.effort.long_repetitions, |bench, running| {
            sample(bench, running, streams, metric)
        })?;
    }
    Ok(())
}

/// One sample of streams from pod to server that have had time to grow.
pub fn sample(bench: &mut Bench, running: &Running, streams: usize, metric: Metric) -> Result<()> {
    let path = running.egress(bench.network);
    let bulk = Bulk::start(&path, streams, Direction::ToServer, Buffers::Automatic)?;
    sleep(bench.effort.long_warm_up);
    let before = bulk.snapshot();
    sleep(bench.effort.long_measure);
    let after = bulk.snapshot();
    bench.add(metric, running, after.rate_since(&before));
    Ok(())
}
