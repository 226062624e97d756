//! Short connections: connect, request, close.

use anyhow::Result;

use super::{Bench, Line, Place};
use crate::load::short;
use crate::metric::Metric;

pub const LINE: Line = Line {
    name: "short",
    place: Place::Cable,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let effort = bench.effort;
    for (concurrency, rate) in [(32, Metric::Short32), (64, Metric::Short64)] {
        bench.in_turn(effort.repetitions, |bench, running| {
            let path = running.egress(bench.network);
            let outcome = short::run(&path, concurrency, effort.warm_up, effort.measure)?;
            bench.add(rate, running, outcome.per_second);
            bench.add(Metric::ShortFailed, running, outcome.failed as f64);
            Ok(())
        })?;
    }
    Ok(())
}
