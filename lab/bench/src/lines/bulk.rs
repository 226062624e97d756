//! As much as goes through, and what it costs both ends.

use std::thread::sleep;

use anyhow::Result;

use super::{Bench, Line, Place};
use crate::contender::Running;
use crate::load::bulk::{Bulk, Direction};
use crate::measure::cpu;
use crate::metric::Metric;
use crate::path::{Buffers, Path};

pub const LINE: Line = Line {
    name: "bulk",
    place: Place::Cable,
    run,
};

const SHAPES: [(usize, Direction, Metric, Option<Metric>); 4] = [
    (
        1,
        Direction::ToServer,
        Metric::BulkOneToServer,
        Some(Metric::ProcessorToServer),
    ),
    (
        1,
        Direction::ToClient,
        Metric::BulkOneToClient,
        Some(Metric::ProcessorToClient),
    ),
    (16, Direction::ToServer, Metric::BulkManyToServer, None),
    (16, Direction::ToClient, Metric::BulkManyToClient, None),
];

fn run(bench: &mut Bench) -> Result<()> {
    for (streams, direction, rate, processor) in SHAPES {
        bench.in_turn(bench.effort.repetitions, |bench, running| {
            let path = running.egress(bench.network);
            let flowed = flow(bench, running, &path, streams, direction)?;
            bench.add(rate, running, flowed.bits_per_second);
            if let Some(processor) = processor {
                bench.add(processor, running, flowed.processor_seconds_per_gigabyte);
            }
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
    let bytes = (after.received - before.received) as f64;
    let processor = processor_after.saturating_sub(processor_before);
    Ok(Flowed {
        bits_per_second: bytes * 8.0 / (after.at - before.at).as_secs_f64(),
        processor_seconds_per_gigabyte: processor.as_secs_f64() / bytes.max(1.0) * 1e9,
    })
}
