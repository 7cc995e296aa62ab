//! Time as an argument: core never asks for it.

use std::{
    ops::{Add, Sub},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment of a process's monotonic clock, counted from an origin that only the clock knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(Duration);

impl Tick {
    /// The moment that lies `since` after the clock's origin.
    #[must_use]
    pub const fn from_origin(since: Duration) -> Self {
        Self(since)
    }

    /// How long after the clock's origin this moment lies.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time since `earlier`; zero if that lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

impl Sub<Duration> for Tick {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }
}

/// A moment of the wall clock: milliseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Whole seconds since 1970, rounded down: what tokens carry.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `seconds` after 1970.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The time since `earlier`; zero if that lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<UnixMillis> for SystemTime {
    /// A moment that the system's clock cannot express becomes 1970.
    fn from(moment: UnixMillis) -> Self {
        UNIX_EPOCH.checked_add(Duration::from_millis(moment.0)).unwrap_or(UNIX_EPOCH)
    }
}

impl Add<Duration> for UnixMillis {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Which of several clocks to go by, as readings of one moment in milliseconds: the one in the middle, so that one that is wrong turns nothing as long as
/// most are right. Of two in the middle it is the one nearer to what was `believed` without them.
///
/// `None` if nobody says anything.
#[must_use]
pub fn middle(readings: impl IntoIterator<Item = i64>, believed: i64) -> Option<i64> {
    let mut readings: Vec<i64> = readings.into_iter().collect();
    readings.sort_unstable();
    let upper = *readings.get(readings.len() / 2)?;
    let lower = readings.get((readings.len() - 1) / 2).copied().unwrap_or(upper);
    let nearer = |reading: i64| reading.abs_diff(believed);
    Some(if nearer(lower) <= nearer(upper) { lower } else { upper })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_clock_in_the_middle_is_gone_by() {
        assert_eq!(middle([], 7), None);
        assert_eq!(middle([5], 7), Some(5), "the only one, however far off");
        assert_eq!(middle([5, -9_000_000, 6], 0), Some(5));
        assert_eq!(middle([0, 9_000_000], 20), Some(0), "of two the one that is believed already");
        assert_eq!(middle([0, 9_000_000], 8_999_999), Some(9_000_000));
        assert_eq!(middle([i64::MIN, i64::MAX], 0), Some(i64::MAX), "no arithmetic overflows");
    }

    proptest! {
        /// Whoever is wrong, and in whatever way: as long as more are right, the result lies among those.
        #[test]
        fn a_minority_turns_no_time(
            right in prop::collection::vec(-1000_i64..1000, 2..6),
            wrong in prop::collection::vec(any::<i64>(), 0..5),
            believed in any::<i64>(),
        ) {
            let wrong = wrong.into_iter().take(right.len() - 1);
            let found = middle(right.iter().copied().chain(wrong), believed).expect("there are some");
            let (least, most) = (right.iter().min().expect("some"), right.iter().max().expect("some"));
            prop_assert!((*least..=*most).contains(&found), "{found}");
        }
    }
}
