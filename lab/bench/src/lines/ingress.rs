//! The other way in: the external server dials the Service.

use anyhow::Result;

use super::bulk::flow;
use super::{Bench, Line, Place};
use crate::load::bulk::Direction;
use crate::load::short;
use crate::metric::Metric;

pub const LINE: Line = Line {
    name: "ingress",
    place: Place::Cable,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    for (direction, rate) in [
        (Direction::ToServer, Metric::IngressToServer),
        (Direction::ToClient, Metric::IngressToClient),
    ] {
        bench.in_turn(bench.effort.repetitions, |bench, running| {
            let path = running.ingress(bench.network);
            let flowed = flow(bench, running, &path, 1, direction)?;
            bench.add(rate, running, flowed.bits_per_second);
            Ok(())
        })?;
    }
    let effort = bench.effort;
    bench.in_turn(effort.repetitions, |bench, running| {
        let path = running.ingress(bench.network);
        let outcome = short::run(&path, 32, effort.warm_up, effort.measure)?;
        bench.add(Metric::IngressShort, running, outcome.per_second);
        bench.add(Metric::IngressShortFailed, running, outcome.failed as f64);
        Ok(())
    })
}
