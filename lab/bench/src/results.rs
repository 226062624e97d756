//! Pure: all samples of a run.

use std::collections::BTreeMap;

use crate::contender::Contender;
use crate::metric::Metric;
use crate::stats::{self, Estimate};

/// Samples by metric and contender, in the order in which they were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    samples: BTreeMap<Metric, BTreeMap<Contender, Vec<f64>>>,
}

impl Results {
    /// Adds a sample, in the base of the metric's unit.
    pub fn add(&mut self, metric: Metric, contender: Contender, sample: f64) {
        let of_metric = self.samples.entry(metric).or_default();
        of_metric.entry(contender).or_default().push(sample);
    }

    /// Metrics that have samples, in the order of the tables.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> + '_ {
        self.samples.keys().copied()
    }

    /// Samples of one contender; empty if it was not measured.
    pub fn samples(&self, metric: Metric, contender: Contender) -> &[f64] {
        let of_metric = self.samples.get(&metric);
        of_metric
            .and_then(|samples| samples.get(&contender))
            .map_or(&[], Vec::as_slice)
    }

    /// Median of one contender's samples, with the least and the greatest.
    pub fn spread(&self, metric: Metric, contender: Contender) -> Option<Estimate> {
        let samples = self.samples(metric, contender);
        Some(Estimate {
            value: stats::median(samples)?,
            low: stats::percentile(samples, 0.0)?,
            high: stats::percentile(samples, 100.0)?,
        })
    }

    /// Ratio of our median to another contender's.
    pub fn ratio(&self, metric: Metric, to: Contender) -> Option<Estimate> {
        let ours = self.samples(metric, Contender::Ours);
        stats::ratio_of_medians(ours, self.samples(metric, to))
    }

    /// What we add to the routed connection's median of `base`.
    pub fn added(&self, metric: Metric, base: Metric) -> Option<Estimate> {
        let ours = self.samples(metric, Contender::Ours);
        stats::difference_of_medians(ours, self.samples(base, Contender::Routed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_compared_with_another_by_medians() {
        let mut results = Results::default();
        for (ours, plain) in [(8.0, 10.0), (9.0, 9.0), (8.0, 11.0)] {
            results.add(Metric::Short32, Contender::Ours, ours);
            results.add(Metric::Short32, Contender::Plain, plain);
        }
        let ratio = results.ratio(Metric::Short32, Contender::Plain).unwrap();
        assert_eq!(ratio.value, 0.8);
        let spread = results.spread(Metric::Short32, Contender::Plain).unwrap();
        assert_eq!((spread.low, spread.value, spread.high), (9.0, 10.0, 11.0));
        assert_eq!(results.ratio(Metric::Short32, Contender::OpenSsh), None);
    }
}
