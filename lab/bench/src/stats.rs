//! Pure: what a handful of samples says, and how sure of it one may be.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Middle of samples in any order; the mean of the two middle ones if they are even. `None` of
/// none.
pub fn median(samples: &[f64]) -> Option<f64> {
    percentile(samples, 50.0)
}

/// The value below which so many percent of the samples are, between two of them in proportion.
pub fn percentile(samples: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * (percent / 100.0).clamp(0.0, 1.0);
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + (above - below) * place.fract())
}

/// How equal shares are (Jain's index, RFC 5166 section 2.3.1): 1 when all are the same, one
/// in their number when one has everything. `None` of none.
pub fn fairness(shares: &[f64]) -> Option<f64> {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    (squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

/// A figure with the interval in which it probably is.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The figure itself.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Rounds of drawing samples again.
const ROUNDS: usize = 2000;

/// Ratio of the medians of two sets of samples, with the interval that holds 95 % of what comes
/// out when samples are drawn from the two sets again (bootstrap, percentile method). `None` if
/// one set is empty or the lower median is zero.
pub fn ratio_of_medians(upper: &[f64], lower: &[f64]) -> Option<Estimate> {
    compare(upper, lower, |upper, lower| {
        (lower != 0.0).then(|| upper / lower)
    })
}

/// Difference of the medians of two sets of samples, with its interval as in
/// [`ratio_of_medians`].
pub fn difference_of_medians(upper: &[f64], lower: &[f64]) -> Option<Estimate> {
    compare(upper, lower, |upper, lower| Some(upper - lower))
}

fn compare(
    upper: &[f64],
    lower: &[f64],
    how: impl Fn(f64, f64) -> Option<f64>,
) -> Option<Estimate> {
    let value = how(median(upper)?, median(lower)?)?;
    // The same samples give the same interval.
    let mut random = StdRng::seed_from_u64(1);
    let drawn: Vec<f64> = (0..ROUNDS)
        .filter_map(|_| {
            let upper = median(&redraw(upper, &mut random))?;
            let lower = median(&redraw(lower, &mut random))?;
            how(upper, lower)
        })
        .collect();
    Some(Estimate {
        value,
        low: percentile(&drawn, 2.5)?,
        high: percentile(&drawn, 97.5)?,
    })
}

fn redraw(samples: &[f64], random: &mut StdRng) -> Vec<f64> {
    let draw = |_| samples[random.random_range(0..samples.len())];
    samples.iter().enumerate().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn percentiles_lie_between_samples_in_proportion() {
        let samples: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(percentile(&samples, 99.0), Some(99.0));
        assert_eq!(percentile(&samples, 0.0), Some(0.0));
        assert_eq!(percentile(&samples, 100.0), Some(100.0));
        assert_eq!(percentile(&[1.0, 2.0], 75.0), Some(1.75));
    }

    #[test]
    fn equal_shares_are_fair_and_all_for_one_is_not() {
        assert_eq!(fairness(&[3.0; 16]), Some(1.0));
        assert_eq!(fairness(&[1.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(fairness(&[1.0, 3.0]), Some(0.8));
        assert_eq!(fairness(&[0.0; 2]), None);
    }

    #[test]
    fn equal_samples_have_a_ratio_without_doubt() {
        let ratio = ratio_of_medians(&[6.0; 5], &[3.0; 5]).unwrap();
        assert_eq!((ratio.low, ratio.value, ratio.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn samples_that_vary_have_an_interval_around_the_ratio() {
        let upper = [9.0, 10.0, 11.0, 10.5, 9.5];
        let lower = [4.5, 5.0, 5.5, 5.2, 4.8];
        let ratio = ratio_of_medians(&upper, &lower).unwrap();
        assert_eq!(ratio.value, 2.0);
        assert!(ratio.low < 2.0 && 2.0 < ratio.high, "{ratio:?}");
        assert!(
            ratio.low >= 9.0 / 5.5 && ratio.high <= 11.0 / 4.5,
            "{ratio:?}"
        );
        assert_eq!(ratio_of_medians(&upper, &lower), Some(ratio));
    }

    #[test]
    fn nothing_is_compared_with_nothing() {
        assert_eq!(ratio_of_medians(&[], &[1.0]), None);
        assert_eq!(ratio_of_medians(&[1.0], &[0.0]), None);
    }
}
