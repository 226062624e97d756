//! Pure: what a run says, as one value.

use serde::Serialize;

use crate::contender::Contender;
use crate::goals::{self, Verdict};
use crate::measure::machine::Machine;
use crate::measure::noise::Noise;
use crate::metric::Metric;
use crate::results::Results;
use crate::stats::Estimate;

/// Everything that is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// What disturbed it.
    pub noise: Noise,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// One row for each metric that was measured.
    pub figures: Vec<Figure>,
    /// One row for each goal, also those that were not measured.
    pub goals: Vec<Verdict>,
}

/// A metric and what each contender had.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Which.
    pub metric: Metric,
    /// In the order of [`Contender::ALL`]; `None` where it was not measured. Median, least and
    /// greatest in the base of the metric's unit.
    pub values: [Option<Estimate>; 4],
    /// Ratio of our median to the plain proxy's, with its 95 % interval.
    pub to_plain: Option<Estimate>,
    /// Ratio of our median to OpenSSH's, with its 95 % interval.
    pub to_openssh: Option<Estimate>,
    /// Ratio of our median to the routed connection's, with its 95 % interval.
    pub to_routed: Option<Estimate>,
}

impl Report {
    /// Puts a run's results into rows.
    pub fn new(results: &Results, machine: Machine, noise: Noise, seconds: f64) -> Self {
        let figure = |metric| Figure {
            metric,
            values: Contender::ALL.map(|contender| results.spread(metric, contender)),
            to_plain: results.ratio(metric, Contender::Plain),
            to_openssh: results.ratio(metric, Contender::OpenSsh),
            to_routed: results.ratio(metric, Contender::Routed),
        };
        Self {
            machine,
            noise,
            seconds,
            figures: results.metrics().map(figure).collect(),
            goals: goals::ALL.iter().map(|goal| goal.judge(results)).collect(),
        }
    }

    /// Metrics in which ours is slower than half of the plain proxy in the same run, and not only
    /// by the spread of the samples: all of the ratio's interval is below.
    pub fn gross_regressions(&self) -> Vec<Metric> {
        use crate::metric::Unit::{PerSecond, Rate};
        let slow = |figure: &&Figure| {
            matches!(figure.metric.unit(), Rate | PerSecond)
                && figure.to_plain.is_some_and(|ratio| ratio.high < 0.5)
        };
        self.figures
            .iter()
            .filter(slow)
            .map(|figure| figure.metric)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(metric: Metric, ours: f64, plain: f64) -> Report {
        let mut results = Results::default();
        results.add(metric, Contender::Ours, ours);
        results.add(metric, Contender::Plain, plain);
        Report::new(&results, Machine::default(), Noise::default(), 1.0)
    }

    #[test]
    fn half_of_plain_is_a_gross_regression_and_a_little_more_is_none() {
        let metric = Metric::BulkOneToServer;
        assert_eq!(report(metric, 4.9, 10.0).gross_regressions(), [metric]);
        assert_eq!(report(metric, 5.1, 10.0).gross_regressions(), []);
    }

    #[test]
    fn what_the_spread_explains_is_no_gross_regression() {
        let mut results = Results::default();
        let metric = Metric::BulkOneToServer;
        for (ours, plain) in [(4.0, 10.0), (4.5, 10.0), (6.0, 10.0)] {
            results.add(metric, Contender::Ours, ours);
            results.add(metric, Contender::Plain, plain);
        }
        let report = Report::new(&results, Machine::default(), Noise::default(), 1.0);
        assert_eq!(report.gross_regressions(), []);
    }

    #[test]
    fn more_time_is_no_regression_of_throughput() {
        let report = report(Metric::LatencyHigh, 1.0, 10.0);
        assert_eq!(report.gross_regressions(), []);
    }
}
