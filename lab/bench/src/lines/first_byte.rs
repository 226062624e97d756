//! How soon an answer begins on a long way.

use anyhow::{Context, Result};

use super::{Bench, Line, Place};
use crate::load::first_byte;
use crate::metric::Metric;
use crate::stats;

pub const LINE: Line = Line {
    name: "first-byte",
    place: Place::Far,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    bench.in_turn(bench.effort.long_repetitions, |bench, running| {
        let path = running.egress(bench.network);
        let times = first_byte::run(&path, bench.effort.first_bytes)?;
        let sample = stats::median(&times).context("no connections")?;
        bench.add(Metric::FirstByte, running, sample);
        Ok(())
    })
}
