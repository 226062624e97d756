//! Throughput of a long way that loses packets.
//!
//! Each sample has a contender of its own: what an earlier sample left inside a tunnel would take
//! longer to drain than a sample lasts, and others would queue behind it.

use anyhow::{Context, Result};

use super::wan::sample;
use super::{Bench, Line, Place};
use crate::contender::Rekey;
use crate::metric::Metric;

const STREAMS: usize = 16;

pub const LOW: Line = Line {
    name: "loss-0.1",
    place: Place::Lossy,
    run: |bench| throughput(bench, Place::Lossy, Metric::LossLow),
};

pub const HIGH: Line = Line {
    name: "loss-1",
    place: Place::VeryLossy,
    run: |bench| throughput(bench, Place::VeryLossy, Metric::LossHigh),
};

fn throughput(bench: &mut Bench, place: Place, metric: Metric) -> Result<()> {
    for _ in 0..bench.effort.long_repetitions {
        for contender in place.contenders() {
            let running = contender
                .start(bench.network, Rekey::Seldom)
                .with_context(|| format!("start {contender}"))?;
            sample(bench, &running, STREAMS, metric).with_context(|| contender.to_string())?;
        }
    }
    Ok(())
}
