//! Pure: what the data plane has to reach, and whether a run reached it.

use serde::Serialize;

use crate::contender::Contender::{self, OpenSsh, Ours, Plain, Routed};
use crate::metric::Metric;
use crate::results::Results;
use crate::stats::Estimate;

/// A row of the goals' table.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What it is about.
    pub about: &'static str,
    /// What is to be reached, in words.
    pub wanted: &'static str,
    /// The line that measures it.
    pub line: &'static str,
    /// The same, to be checked.
    checks: &'static [Check],
}

/// One condition of a goal.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// Our median is at least so many times another's.
    AtLeast(Metric, f64, Contender),
    /// Our median is at most so many times another's.
    AtMost(Metric, f64, Contender),
    /// Our median is at most so much.
    Within(Metric, f64),
    /// No sample of ours is above.
    Never(Metric, f64),
    /// No sample of ours is below.
    Always(Metric, f64),
    /// Our median is at most so much above the routed connection's median of another metric.
    Added(Metric, f64, Metric),
    /// Our median is at most so many times our own of another metric.
    As(Metric, f64, Metric),
}

use Check::{Added, Always, As, AtLeast, AtMost, Never, Within};

const MIB: f64 = 1024.0 * 1024.0;
/// What an end may take with 10,000 flows that are held up in one direction, in bytes; see
/// docs/packets.md.
const STUCK_BOUND: f64 = 10_000.0 * MIB / 16.0 + (256.0 + 64.0) * MIB;

/// All goals, in the order of the page.
pub const ALL: [Goal; 16] = [
    Goal {
        about: "bulk, 1 stream",
        wanted: "≥ 1.3 × OpenSSH, ≥ 0.8 × plain",
        line: "bulk",
        checks: &[
            AtLeast(Metric::BulkOneToServer, 1.3, OpenSsh),
            AtLeast(Metric::BulkOneToServer, 0.8, Plain),
            AtLeast(Metric::BulkOneToClient, 1.3, OpenSsh),
            AtLeast(Metric::BulkOneToClient, 0.8, Plain),
        ],
    },
    Goal {
        about: "bulk, 16 streams",
        wanted: "≥ 1.5 × OpenSSH, ≥ 0.8 × plain",
        line: "bulk",
        checks: &[
            AtLeast(Metric::BulkManyToServer, 1.5, OpenSsh),
            AtLeast(Metric::BulkManyToServer, 0.8, Plain),
            AtLeast(Metric::BulkManyToClient, 1.5, OpenSsh),
            AtLeast(Metric::BulkManyToClient, 0.8, Plain),
        ],
    },
    Goal {
        about: "both directions at once, 16 streams, small socket buffers",
        wanted: "never a 250 ms stall; finishes",
        line: "duplex",
        checks: &[
            Never(Metric::DuplexGap, 0.25),
            Never(Metric::DuplexUnfinished, 0.0),
        ],
    },
    Goal {
        about: "50 ms round trip, 1 stream",
        wanted: "≥ 0.95 × routed, ≥ 3 × OpenSSH",
        line: "wan",
        checks: &[
            AtLeast(Metric::WanOne, 0.95, Routed),
            AtLeast(Metric::WanOne, 3.0, OpenSsh),
        ],
    },
    Goal {
        about: "50 ms round trip, 4 streams",
        wanted: "≥ 0.95 × routed, ≥ 3 × OpenSSH",
        line: "wan",
        checks: &[
            AtLeast(Metric::WanFour, 0.95, Routed),
            AtLeast(Metric::WanFour, 3.0, OpenSsh),
        ],
    },
    Goal {
        about: "0.1 % loss at 50 ms, 16 streams",
        wanted: "≥ 0.8 × routed, ≥ 4 × OpenSSH",
        line: "loss-0.1",
        checks: &[
            AtLeast(Metric::LossLow, 0.8, Routed),
            AtLeast(Metric::LossLow, 4.0, OpenSsh),
        ],
    },
    Goal {
        about: "1 % loss at 50 ms, 16 streams",
        wanted: "≥ 0.8 × routed, ≥ 4 × OpenSSH",
        line: "loss-1",
        checks: &[
            AtLeast(Metric::LossHigh, 0.8, Routed),
            AtLeast(Metric::LossHigh, 4.0, OpenSsh),
        ],
    },
    Goal {
        about: "short connections",
        wanted: "≥ 1.2 × OpenSSH, ≥ 1.2 × plain, none failed",
        line: "short",
        checks: &[
            AtLeast(Metric::Short32, 1.2, OpenSsh),
            AtLeast(Metric::Short32, 1.2, Plain),
            AtLeast(Metric::Short64, 1.2, OpenSsh),
            AtLeast(Metric::Short64, 1.2, Plain),
            Never(Metric::ShortFailed, 0.0),
        ],
    },
    Goal {
        about: "time to the first byte at 50 ms",
        wanted: "≤ 0.55 × routed",
        line: "first-byte",
        checks: &[AtMost(Metric::FirstByte, 0.55, Routed)],
    },
    Goal {
        about: "latency added at 1,000 requests/s",
        wanted: "p50 ≤ 60 µs, p99 ≤ 200 µs",
        line: "latency",
        checks: &[
            Added(Metric::LatencyMedian, 60e-6, Metric::LatencyMedian),
            Added(Metric::LatencyHigh, 200e-6, Metric::LatencyHigh),
        ],
    },
    Goal {
        about: "latency added beside others",
        wanted: "two bulk flows: p99 ≤ 3 ms; a stuck reader: as alone (≤ 1.2 ×)",
        line: "latency",
        checks: &[
            Added(Metric::LatencyBesideBulk, 3e-3, Metric::LatencyHigh),
            As(Metric::LatencyBesideStuck, 1.2, Metric::LatencyHigh),
        ],
    },
    Goal {
        about: "processor per GB, both ends",
        wanted: "≤ 1.35 × plain, ≤ 0.8 × OpenSSH",
        line: "bulk",
        checks: &[
            AtMost(Metric::ProcessorToServer, 1.35, Plain),
            AtMost(Metric::ProcessorToServer, 0.8, OpenSsh),
            AtMost(Metric::ProcessorToClient, 1.35, Plain),
            AtMost(Metric::ProcessorToClient, 0.8, OpenSsh),
        ],
    },
    Goal {
        about: "memory of 10,000 idle connections, both ends",
        wanted: "≤ 40 MB",
        line: "idle",
        checks: &[
            Within(Metric::IdleMemory, 40e6),
            Never(Metric::IdleFailed, 0.0),
        ],
    },
    Goal {
        about: "held at once, one source IP and target",
        wanted: "60,000, none failed",
        line: "held",
        checks: &[
            Always(Metric::Held, 60_000.0),
            Never(Metric::HeldFailed, 0.0),
        ],
    },
    Goal {
        about: "10,000 connections that are pushed full and not read",
        wanted: "each end ≤ 64 KiB for each and 320 MiB, both ≤ 64 MiB afterwards; others ≤ 1 s; none failed",
        line: "stuck",
        checks: &[
            Never(Metric::StuckForwarder, STUCK_BOUND),
            Never(Metric::StuckGateway, STUCK_BOUND),
            Never(Metric::StuckLeft, 64.0 * MIB),
            Never(Metric::StuckMessage, 1.0),
            Never(Metric::StuckOpening, 1.0),
            Never(Metric::StuckFailed, 0.0),
        ],
    },
    Goal {
        about: "10,000 ingress grants into force; one changed",
        wanted: "≤ 0.3 s; ≤ 5 ms",
        line: "rules",
        checks: &[
            Within(Metric::RulesFromEmpty, 0.3),
            Within(Metric::RulesOneChanged, 5e-3),
        ],
    },
];

/// What a run says about a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The goal's subject.
    pub about: &'static str,
    /// The goal.
    pub wanted: &'static str,
    /// What was measured, with intervals, one part for each condition.
    pub measured: String,
    /// Whether all conditions hold.
    pub met: Met,
    /// The line that measures it again.
    pub line: &'static str,
}

/// Whether a goal is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Met {
    /// All conditions hold.
    Yes,
    /// One does not.
    No,
    /// One was not measured, and none that was fails.
    NotMeasured,
}

impl Goal {
    /// Judges by medians.
    pub fn judge(&self, results: &Results) -> Verdict {
        let judged: Vec<_> = self
            .checks
            .iter()
            .map(|check| check.judge(results))
            .collect();
        let met = match () {
            () if judged.iter().flatten().any(|(_, holds)| !holds) => Met::No,
            () if judged.iter().any(Option::is_none) => Met::NotMeasured,
            () => Met::Yes,
        };
        let parts: Vec<String> = judged.into_iter().flatten().map(|(part, _)| part).collect();
        Verdict {
            about: self.about,
            wanted: self.wanted,
            measured: parts.join("; "),
            met,
            line: self.line,
        }
    }
}

impl Check {
    /// What was measured, and whether the condition holds; `None` if it was not.
    fn judge(self, results: &Results) -> Option<(String, bool)> {
        let judged = match self {
            AtLeast(metric, least, other) => {
                let ratio = results.ratio(metric, other)?;
                (times(ratio, &other.to_string()), ratio.value >= least)
            }
            AtMost(metric, most, other) => {
                let ratio = results.ratio(metric, other)?;
                (times(ratio, &other.to_string()), ratio.value <= most)
            }
            Within(metric, most) => {
                let ours = results.spread(metric, Ours)?;
                (metric.unit().show(ours.value), ours.value <= most)
            }
            Never(metric, most) => {
                let ours = results.spread(metric, Ours)?;
                (named(metric, ours.high), ours.high <= most)
            }
            Always(metric, least) => {
                let ours = results.spread(metric, Ours)?;
                (named(metric, ours.low), ours.low >= least)
            }
            Added(metric, most, base) => {
                let added = results.added(metric, base)?;
                let show = |value| metric.unit().show(value);
                let (low, high) = (show(added.low), show(added.high));
                let part = format!("+{} ({low} to {high})", show(added.value));
                (part, added.value <= most)
            }
            As(metric, most, other) => {
                let (ours, alone) = (results.spread(metric, Ours)?, results.spread(other, Ours)?);
                let ratio = ours.value / alone.value;
                (format!("{ratio:.2} × alone"), ratio <= most)
            }
        };
        Some(judged)
    }
}

fn times(ratio: Estimate, other: &str) -> String {
    let Estimate { value, low, high } = ratio;
    format!("{value:.2} × {other} ({low:.2}–{high:.2})")
}

/// A value that does not say by itself what it counts.
fn named(metric: Metric, value: f64) -> String {
    format!("{}: {}", metric.title(), metric.unit().show(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(about: &str) -> &'static Goal {
        ALL.iter().find(|goal| goal.about == about).unwrap()
    }

    #[test]
    fn a_goal_is_met_when_all_its_conditions_hold() {
        let mut results = Results::default();
        let first_byte = goal("time to the first byte at 50 ms");
        assert_eq!(first_byte.judge(&results).met, Met::NotMeasured);
        results.add(Metric::FirstByte, Routed, 0.1);
        results.add(Metric::FirstByte, Ours, 0.052);
        let verdict = first_byte.judge(&results);
        assert_eq!(verdict.met, Met::Yes);
        assert_eq!(verdict.measured, "0.52 × routed (0.52–0.52)");
    }

    #[test]
    fn one_bad_sample_breaks_a_goal_that_says_never() {
        let mut results = Results::default();
        for gap in [0.1, 0.3, 0.1] {
            results.add(Metric::DuplexGap, Ours, gap);
            results.add(Metric::DuplexUnfinished, Ours, 0.0);
        }
        let duplex = ALL.iter().find(|goal| goal.line == "duplex").unwrap();
        assert_eq!(duplex.judge(&results).met, Met::No);
    }

    #[test]
    fn a_failed_condition_counts_although_another_was_not_measured() {
        let mut results = Results::default();
        results.add(Metric::BulkOneToServer, Ours, 7.0);
        results.add(Metric::BulkOneToServer, Plain, 10.0);
        assert_eq!(goal("bulk, 1 stream").judge(&results).met, Met::No);
        results.add(Metric::BulkOneToServer, Ours, 10.0);
        results.add(Metric::BulkOneToServer, Ours, 10.0);
        assert_eq!(goal("bulk, 1 stream").judge(&results).met, Met::NotMeasured);
    }

    #[test]
    fn latency_counts_above_the_routed_connection() {
        let mut results = Results::default();
        for (metric, routed, ours) in [
            (Metric::LatencyMedian, 40e-6, 95e-6),
            (Metric::LatencyHigh, 80e-6, 250e-6),
        ] {
            results.add(metric, Routed, routed);
            results.add(metric, Ours, ours);
        }
        let verdict = goal("latency added at 1,000 requests/s").judge(&results);
        assert_eq!(verdict.met, Met::Yes);
        assert!(
            verdict.measured.starts_with("+55 µs"),
            "{}",
            verdict.measured
        );
    }
}
