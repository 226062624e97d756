//! Throughput of a long way that loses packets.

use super::wan::throughput;
use super::{Line, Place};
use crate::metric::Metric;

const STREAMS: usize = 16;

pub const LOW: Line = Line {
    name: "loss-0.1",
    place: Place::Lossy,
    run: |bench| throughput(bench, STREAMS, Metric::LossLow),
};

pub const HIGH: Line = Line {
    name: "loss-1",
    place: Place::VeryLossy,
    run: |bench| throughput(bench, STREAMS, Metric::LossHigh),
};
