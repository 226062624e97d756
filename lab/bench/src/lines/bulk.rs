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

/// Which way one stream goes, its rate, and what it costs.
const ONE: [(Direction, Metric, Metric); 2] = [
    (
        Direction::ToServer,
        Metric::BulkOneToServer,
        Metric::ProcessorToServer,
    ),
    (
        Direction::ToClient,
        Metric::BulkOneToClient,
        Metric::ProcessorToClient,
    ),
];

/// Which way many streams go, their rate in sum, and how equal their shares are.
const MANY: [(Direction, Metric, Metric); 2] = [
    (
        Direction::ToServer,
        Metric::BulkManyToServer,
        Metric::FairnessToServer,
    ),
    (
        Direction::ToClient,
        Metric::BulkManyToClient,
        Metric::FairnessToClient,
    ),
];

fn run(bench: &mut Bench) -> Result<()> {
    for (direction, rate, processor) in ONE {
        bench.in_turn(bench.effort.repetitions, |bench, running| {
            let path = running.egress(bench.network);
            let flowed = flow(bench, running, &path, 1, direction)?;
            bench.add(rate, running, flowed.bits_per_second);
            bench.add(processor, running, flowed.processor_seconds_per_gigabyte);
            Ok(())
        })?;
    }
    for (direction, rate, fairness) in MANY {
        bench.in_turn(bench.effort.repetitions, |bench, running| {
            let path = running.egress(bench.network);
            let flowed = flow(bench, running, &path, 16, direction)?;
            bench.add(rate, running, flowed.bits_per_second);
            bench.add(fairness, running, flowed.fairness);
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
