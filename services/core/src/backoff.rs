//! How long to wait before trying again: exponential, with full jitter.
//!
//! Source: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): `sleep = random(0, min(cap, base · 2^attempt))`,
//! the variant that spreads a crowd of clients best after they all lost the same server at once. Pure: this says between which
//! bounds the next wait lies, and the caller draws it.

use std::{ops::RangeInclusive, time::Duration};

/// Waits that grow from `base` to `cap`, each to be drawn between a floor and the whole.
#[derive(Debug, Clone)]
pub struct Backoff {
    floor: Duration,
    base: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// The first wait is at most `base`, none is longer than `cap`.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { floor: Duration::ZERO, base, cap, attempt: 0 }
    }

    /// No wait is shorter than `floor` (or than `cap`, if that is less), so that an attempt that fails at once cannot spin.
    #[must_use]
    pub const fn at_least(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// The bounds of the next wait, never an empty range; each call counts as one more failed attempt.
    #[must_use = "the attempt was counted: draw the wait"]
    pub fn next_wait(&mut self) -> RangeInclusive<Duration> {
        let ceiling = self.base.saturating_mul(2_u32.saturating_pow(self.attempt)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        let floor = self.floor.min(self.cap);
        floor..=ceiling.max(floor)
    }

    /// How many waits were asked for since the start or the last [`Self::reset`].
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }

    /// Something worked: the next wait is short again.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(2);

    #[test]
    fn waits_double_up_to_their_cap_and_may_be_anything_below() {
        let mut backoff = Backoff::new(BASE, CAP);
        for ceiling in [100, 200, 400, 800, 1600, 2000, 2000].map(Duration::from_millis) {
            assert_eq!(backoff.next_wait(), Duration::ZERO..=ceiling);
        }
        for _ in 0..100 {
            assert_eq!(*backoff.next_wait().end(), CAP, "attempt {}", backoff.attempts());
        }
    }

    #[test]
    fn no_wait_is_shorter_than_the_floor_nor_longer_than_the_cap() {
        let floor = Duration::from_millis(150);
        let mut backoff = Backoff::new(BASE, CAP).at_least(floor);
        assert_eq!(backoff.next_wait(), floor..=floor, "the ceiling is below the floor");
        assert_eq!(backoff.next_wait(), floor..=BASE * 2);
        assert_eq!(Backoff::new(BASE, BASE).at_least(CAP).next_wait(), BASE..=BASE);
    }

    #[test]
    fn a_success_makes_waits_short_again() {
        let mut backoff = Backoff::new(BASE, CAP);
        for _ in 0..10 {
            let _ = backoff.next_wait();
        }
        backoff.reset();
        assert_eq!((backoff.attempts(), *backoff.next_wait().end()), (0, BASE));
    }
}
