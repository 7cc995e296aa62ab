//! How long to wait before trying again: exponential, with full jitter.
//!
//! Source: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): `sleep = random(0, min(cap, base · 2^attempt))`,
//! the variant that spreads a crowd of clients best after they all lost the same server at once.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Waits that grow from `base` to `cap`, each drawn between a floor and the whole.
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

    /// The next wait; each call counts as one more failed attempt.
    pub fn next_wait(&mut self, random: &mut (impl Rng + ?Sized)) -> Duration {
        let ceiling = self.base.saturating_mul(2_u32.saturating_pow(self.attempt)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        let floor = self.floor.min(self.cap);
        if ceiling <= floor {
            return floor;
        }
        random.random_range(floor..=ceiling)
    }

    /// How many waits were drawn since the start or the last [`Self::reset`].
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
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(2);

    #[test]
    fn waits_stay_within_their_growing_ceiling() {
        let mut random = SmallRng::seed_from_u64(1);
        for _ in 0..200 {
            let mut backoff = Backoff::new(BASE, CAP);
            for attempt in 0..40 {
                let ceiling = BASE.saturating_mul(2_u32.saturating_pow(attempt)).min(CAP);
                assert!(backoff.next_wait(&mut random) <= ceiling, "attempt {attempt}");
            }
        }
    }

    #[test]
    fn waits_spread_over_the_whole_range() {
        let mut random = SmallRng::seed_from_u64(2);
        let draws: Vec<_> = (0..1000).map(|_| Backoff::new(BASE, CAP).next_wait(&mut random)).collect();
        assert!(draws.iter().any(|wait| *wait < BASE / 10), "none is short");
        assert!(draws.iter().any(|wait| *wait > BASE * 9 / 10), "none is long");
    }

    #[test]
    fn no_wait_is_shorter_than_the_floor() {
        let mut random = SmallRng::seed_from_u64(3);
        let mut backoff = Backoff::new(BASE, CAP).at_least(Duration::from_millis(150));
        assert_eq!(backoff.next_wait(&mut random), Duration::from_millis(150), "the ceiling is below the floor");
        for _ in 0..100 {
            assert!(backoff.next_wait(&mut random) >= Duration::from_millis(150));
        }
    }

    #[test]
    fn a_success_makes_waits_short_again() {
        let mut random = SmallRng::seed_from_u64(4);
        let mut backoff = Backoff::new(BASE, CAP);
        for _ in 0..10 {
            backoff.next_wait(&mut random);
        }
        backoff.reset();
        assert_eq!(backoff.attempts(), 0);
        assert!(backoff.next_wait(&mut random) <= BASE);
    }
}
