//! Medians, percentiles and the spread of rounds. Pure arithmetic.

use std::fmt;

/// The middle of some values, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of the figures of several rounds. Nothing measured is a mistake of the caller.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted.first(), sorted.last());
        let (low, high) = low.zip(high).expect("a figure has at least one round");
        Self { median: median(&sorted), low: *low, high: *high }
    }

    /// Of the quotients, round by round: what slows a whole round down falls out.
    pub(crate) fn of_ratios(over: &[f64], under: &[f64]) -> Self {
        assert_eq!(over.len(), under.len(), "each round measures everyone once");
        Self::of(&over.iter().zip(under).map(|(over, under)| over / under).collect::<Vec<_>>())
    }

    /// Half the distance from the lowest to the highest round.
    pub(crate) fn radius(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ± {:.2}", self.median, self.radius())
    }
}

/// The mean of the two in the middle, where no value is.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The nearest-rank percentile, `share` from 0 to 1: the smallest value that at least this share of all do not exceed.
/// Reorders `values`. Nothing measured is a mistake of the caller.
pub(crate) fn percentile(values: &mut [u64], share: f64) -> u64 {
    assert!(!values.is_empty(), "a percentile of nothing");
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts of requests are far below 2^52, and a rank is at least 0"
    )]
    let rank = (share * values.len() as f64).ceil() as usize;
    let at = rank.clamp(1, values.len()) - 1;
    *values.select_nth_unstable(at).1
}

#[cfg(test)]
mod tests {
    use super::{Spread, percentile};

    #[test]
    fn the_median_lies_in_the_middle_of_unsorted_rounds() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median.to_bits(), 2.5_f64.to_bits());
    }

    #[test]
    fn a_round_that_was_slow_for_both_does_not_widen_the_ratio() {
        let ratio = Spread::of_ratios(&[5.0, 50.0, 5.0], &[10.0, 100.0, 10.0]);
        assert_eq!(ratio.to_string(), "0.50 ± 0.00");
    }

    #[test]
    fn the_percentile_is_the_nearest_rank() {
        let mut hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(percentile(&mut hundred, 0.99), 99);
        assert_eq!(percentile(&mut hundred, 1.0), 100);
        assert_eq!(percentile(&mut hundred, 0.0), 1);
        assert_eq!(percentile(&mut [7], 0.99), 7);
        assert_eq!(percentile(&mut [1, 2, 3], 0.5), 2);
    }
}
