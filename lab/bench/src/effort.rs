//! Pure: how long and how often is measured.

use std::time::Duration;

/// Repetitions and times of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Repetitions on a cable.
    pub repetitions: usize,
    /// Repetitions on a long way, where each takes longer.
    pub long_repetitions: usize,
    /// Time before a throughput is measured, on a cable.
    pub warm_up: Duration,
    /// Time for which a throughput is measured, on a cable.
    pub measure: Duration,
    /// The same on a long way, where windows grow slowly.
    pub long_warm_up: Duration,
    /// The same on a long way.
    pub long_measure: Duration,
    /// Time of both ways at once.
    pub duplex: Duration,
    /// Requests of one latency sample.
    pub requests: usize,
    /// Connections of one sample of the time to the first byte.
    pub first_bytes: usize,
}

impl Effort {
    /// For figures that are published: about a quarter of an hour.
    pub const FULL: Effort = Effort {
        repetitions: 7,
        long_repetitions: 3,
        warm_up: Duration::from_millis(300),
        measure: Duration::from_millis(1200),
        long_warm_up: Duration::from_millis(3500),
        long_measure: Duration::from_millis(5000),
        duplex: Duration::from_secs(10),
        requests: 3000,
        first_bytes: 10,
    };

    /// For a check that nothing is grossly wrong: under a minute.
    pub const SHORT: Effort = Effort {
        repetitions: 3,
        long_repetitions: 1,
        warm_up: Duration::from_millis(200),
        measure: Duration::from_millis(700),
        long_warm_up: Duration::from_millis(2000),
        long_measure: Duration::from_millis(2000),
        duplex: Duration::from_secs(3),
        requests: 1000,
        first_bytes: 5,
    };
}
