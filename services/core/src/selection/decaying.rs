//! Amounts that fade: what selection remembers of what was sent, shared by all workers without a lock.

use std::{
    f32::consts::LN_2,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::time::Tick;

/// An amount (`f32`) in the upper half, and in the lower half the moment to which it is decayed, in quanta. One word, so
/// that workers share it without a lock; two that add at once both count. It forgets with a time constant of `SECONDS`.
#[derive(Debug, Default)]
pub(super) struct Decaying<const SECONDS: u64>(AtomicU64);

/// A lower half of such quanta lasts for a year before it wraps around; what is older than that has long decayed.
const QUANTUM_MS: u128 = 8;

/// A moment as the amounts count it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(u32);

impl Moment {
    pub(super) fn of(now: Tick) -> Self {
        Self((now.since_origin().as_millis() / QUANTUM_MS) as u32)
    }

    pub(super) const fn from_quanta(quanta: u32) -> Self {
        Self(quanta)
    }

    pub(super) const fn quanta(self) -> u32 {
        self.0
    }

    pub(super) fn seconds_since(self, earlier: Self) -> f32 {
        self.quanta_since(earlier) as f32 * (QUANTUM_MS as f32 / 1e3)
    }

    fn quanta_since(self, earlier: Self) -> u32 {
        // Another worker's clock reading may be a moment ahead of this one.
        let age = self.0.wrapping_sub(earlier.0);
        if age > u32::MAX / 2 { 0 } else { age }
    }
}

impl<const SECONDS: u64> Decaying<SECONDS> {
    /// In quanta.
    const HALF_LIFE: f32 = Duration::from_secs(SECONDS).as_millis() as f32 * LN_2 / QUANTUM_MS as f32;

    /// One that is what `other` was when this was called.
    pub(super) fn copied(other: &Self) -> Self {
        Self(AtomicU64::new(other.0.load(Ordering::Relaxed)))
    }

    pub(super) fn add(&self, amount: f32, now: Moment) {
        let add = |word: u64| {
            let amount = Self::decayed(word, now) + amount;
            Some(u64::from(amount.to_bits()) << 32 | u64::from(now.0))
        };
        // Never refuses, so the result tells nothing.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(super) fn at(&self, now: Moment) -> f32 {
        Self::decayed(self.0.load(Ordering::Relaxed), now)
    }

    /// `amount · 2^(−age / half-life)`, a parabola between whole half-lives: within 1 %, a few nanoseconds. It begins as steeply as the curve itself: what is
    /// added to often is decayed in small steps, and each would else forget too little.
    fn decayed(word: u64, now: Moment) -> f32 {
        let (amount, since) = (f32::from_bits((word >> 32) as u32), word as u32);
        if amount == 0.0 {
            return 0.0;
        }
        let half_lives = now.quanta_since(Moment(since)) as f32 * (1.0 / Self::HALF_LIFE);
        let whole = half_lives as u32;
        if whole >= 64 {
            return 0.0;
        }
        let part = half_lives - whole as f32;
        // 2^(−whole), put together from its exponent.
        let halved = f32::from_bits((127 - whole) << 23);
        amount * (1.0 - part * (LN_2 - (LN_2 - 0.5) * part)) * halved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TwoSeconds = Decaying<2>;

    fn at(ms: u64) -> Moment {
        Moment::of(Tick::from_origin(Duration::from_millis(ms)))
    }

    #[test]
    fn an_amount_fades_with_its_time_constant() {
        let amount = TwoSeconds::default();
        amount.add(1e6, at(5_000));
        let half_life = (f64::from(TwoSeconds::HALF_LIFE) * 8.0) as u64;
        for (after, left) in [(0, 1.0), (half_life, 0.5), (2 * half_life, 0.25), (200 * half_life, 0.0)] {
            let amount = f64::from(amount.at(at(5_000 + after))) / 1e6;
            assert!((amount - left).abs() < 0.01, "{amount} of 1 left after {after} ms");
        }
        for after in 0..5_000_u64 {
            let exact = (-(after as f64) / 2_000.0).exp();
            let ratio = f64::from(amount.at(at(5_000 + after))) / 1e6 / exact;
            assert!((0.985..1.01).contains(&ratio), "{ratio} of the exact decay after {after} ms");
        }
    }

    #[test]
    fn what_is_added_to_often_is_forgotten_as_fast() {
        let amount = TwoSeconds::default();
        (0..2_000_u64).for_each(|step| amount.add(1.0, at(1_000 + step * 8)));
        // 125 a second for two seconds.
        let steady = amount.at(at(1_000 + 2_000 * 8));
        assert!((245.0..255.0).contains(&steady), "{steady}");
    }

    #[test]
    fn additions_add_up_and_a_clock_that_is_a_moment_behind_changes_nothing() {
        let amount = TwoSeconds::default();
        amount.add(10.0, at(1_000));
        amount.add(20.0, at(1_000));
        assert!((amount.at(at(900)) - 30.0).abs() < 0.001);
    }
}
