//! As much as goes through, and what it costs both ends.

use std::thread::sleep;

use anyhow::Result;

use super::{Bench, Line, Place};
use crate::contender::Running;
use crate::load::bulk::{Bulk, Direction};
use crate::measure::cpu;
use crate::metric::Metric;
use crate::path::{Buffers, Path};
use crate::stats;

pub const LINE: Line = Line {
    name: "bulk",
    place: Place::Cable,
    run,
};

/// A metric, and what of that which flowed it is.
type Measured = (Metric, fn(&Flowed) -> f64);

const COST: fn(&Flowed) -> f64 = |flowed| flowed.processor_seconds_per_gigabyte;
const FAIRNESS: fn(&Flowed) -> f64 = |flowed| flowed.fairness;

/// How many streams go which way, their rate in sum, and what else is measured: what one costs, and
/// how equal the shares of many are.
const STREAMS: [(usize, Direction, Metric, Measured); 4] = {
    use Direction::{ToClient, ToServer};
    use Metric as M;
    [
        (
            1,
            ToServer,
            M::BulkOneToServer,
            (M::ProcessorToServer, COST),
        ),
        (
            1,
            ToClient,
            M::BulkOneToClient,
            (M::ProcessorToClient, COST),
        ),
        (
            16,
            ToServer,
            M::BulkManyToServer,
            (M::FairnessToServer, FAIRNESS),
        ),
        (
            16,
            ToClient,
            M::BulkManyToClient,
            (M::FairnessToClient, FAIRNESS),
        ),
    ]
};

fn run(bench: &mut Bench) -> Result<()> {
    for (streams, direction, rate, (also, value)) in STREAMS {
        bench.in_turn(bench.effort.repetitions, |bench, running| {
            let path = running.egress(bench.network);
            let flowed = flow(bench, running, &path, streams, direction)?;
            bench.add(rate, running, flowed.bits_per_second);
            bench.add(also, running, value(&flowed));
            Ok(())
        })?;
    }
    Ok(())
}

/// What flowed while it was measured.
pub struct Flowed {
    /// Payload.
    pub bits_per_second: f64,
    /// Of both ends.
    pub processor_seconds_per_gigabyte: f64,
    /// How equal the streams' shares are; see [`stats::fairness`].
    pub fairness: f64,
}

/// Lets streams flow on a cable, first unmeasured, then measured.
pub fn flow(
    bench: &Bench,
    running: &Running,
    path: &Path,
    streams: usize,
    direction: Direction,
) -> Result<Flowed> {
    let bulk = Bulk::start(path, streams, direction, Buffers::Automatic)?;
    sleep(bench.effort.warm_up);
    let family = running.family();
    let (processor_before, before) = (cpu::used(&family), bulk.snapshot());
    sleep(bench.effort.measure);
    let (processor_after, after) = (cpu::used(&family), bulk.snapshot());
    let shares = after.since(&before);
    let bytes: f64 = shares.iter().sum();
    let processor = processor_after.saturating_sub(processor_before);
    Ok(Flowed {
        bits_per_second: after.rate_since(&before),
        processor_seconds_per_gigabyte: processor.as_secs_f64() / bytes.max(1.0) * 1e9,
        fairness: stats::fairness(&shares).unwrap_or_default(),
    })
}
