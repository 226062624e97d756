//! Both directions at once with small socket buffers: where a tunnel that reads and writes in
//! one task stops for good.

use std::thread::sleep;

use anyhow::Result;

use super::{Bench, Line, Place};
use crate::load::bulk::{Bulk, Direction};
use crate::metric::Metric;
use crate::path::Buffers;

pub const LINE: Line = Line {
    name: "duplex",
    place: Place::Cable,
    run,
};

const STREAMS: usize = 16;
const SMALL: Buffers = Buffers::Fixed(64 * 1024);

fn run(bench: &mut Bench) -> Result<()> {
    bench.in_turn(1, |bench, running| {
        let path = running.egress(bench.network);
        let bulk = Bulk::start(&path, STREAMS, Direction::Both, SMALL)?;
        let before = bulk.snapshot();
        sleep(bench.effort.duplex);
        let after = bulk.snapshot();
        let gap = bulk.longest_gap();
        let unfinished = if bulk.finish() { 0.0 } else { 1.0 };
        bench.add(Metric::DuplexRate, running, after.rate_since(&before));
        bench.add(Metric::DuplexGap, running, gap.as_secs_f64());
        bench.add(Metric::DuplexUnfinished, running, unfinished);
        Ok(())
    })
}
