//! What this gateway sent since the nodes last spoke.
//!
//! Without it every gateway herds onto the node that was idle a second ago. An addition decays with the time constant with
//! which a reported load rises ([`RISE`](super::table::RISE)): as the report comes to show a transfer, the correction forgets it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::table::{Candidate, RISE, Table};
use crate::{id::NodeId, time::Tick};

/// Expected bytes per second that this gateway added to each node of one [`Table`]; shared by all who select from it.
#[derive(Debug, Default)]
pub struct Corrections {
    slots: Vec<(NodeId, Slot)>,
}

impl Corrections {
    /// Corrections for `table`, with what is still remembered of nodes that the previous table had too.
    #[must_use]
    pub fn for_table(table: &Table, previous: Option<&Self>) -> Self {
        let remembered = |id: &NodeId| {
            let slots = &previous?.slots;
            let at = slots.binary_search_by(|(known, _)| known.cmp(id)).ok()?;
            Some(slots[at].1.0.load(Ordering::Relaxed))
        };
        let slot = |id: &NodeId| (id.clone(), Slot(AtomicU64::new(remembered(id).unwrap_or(0))));
        Self { slots: table.iter().map(|candidate| slot(candidate.id())).collect() }
    }

    /// Notes that a transfer of `cost` bytes per second was sent to `candidate`.
    pub fn sent(&self, candidate: &Candidate, cost: u64, now: Tick) {
        if let Some(slot) = self.slot(candidate) {
            slot.add(cost, Moment::of(now));
        }
    }

    /// What is expected of `candidate` beyond its reports, in bytes per second.
    #[must_use]
    pub fn of(&self, candidate: &Candidate, now: Tick) -> f64 {
        self.slot(candidate).map_or(0.0, |slot| slot.at(Moment::of(now)).into())
    }

    /// The same, of the candidate with that index.
    pub(super) fn at(&self, index: usize, now: Moment) -> f64 {
        self.slots.get(index).map_or(0.0, |(_, slot)| slot.at(now).into())
    }

    fn slot(&self, candidate: &Candidate) -> Option<&Slot> {
        let (id, slot) = self.slots.get(candidate.index())?;
        debug_assert_eq!(id, candidate.id(), "these corrections were made for another table");
        Some(slot)
    }
}

/// An amount (`f32`) in the upper half, and in the lower half the moment to which it is decayed, in quanta. One word, so
/// that workers share it without a lock; two that add at once both count.
#[derive(Debug)]
struct Slot(AtomicU64);

/// A lower half of such quanta lasts for a year before it wraps around; what is older than that has long decayed.
const QUANTUM_MS: u128 = 8;
/// In quanta.
const HALF_LIFE: f32 = RISE.as_millis() as f32 * std::f32::consts::LN_2 / QUANTUM_MS as f32;

/// A moment as the slots count it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(u32);

impl Moment {
    pub(super) fn of(now: Tick) -> Self {
        Self((now.since_origin().as_millis() / QUANTUM_MS) as u32)
    }
}

impl Slot {
    fn add(&self, cost: u64, now: Moment) {
        let add = |word: u64| {
            let amount = decayed(word, now) + cost as f32;
            Some(u64::from(amount.to_bits()) << 32 | u64::from(now.0))
        };
        // Never refuses, so the result tells nothing.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn at(&self, now: Moment) -> f32 {
        decayed(self.0.load(Ordering::Relaxed), now)
    }
}

/// `amount · 2^(−age / half-life)`, drawn straight between whole half-lives: at most 6 % too much, a few nanoseconds.
fn decayed(word: u64, now: Moment) -> f32 {
    let (amount, since) = (f32::from_bits((word >> 32) as u32), word as u32);
    if amount == 0.0 {
        return 0.0;
    }
    // Another worker's clock reading may be a moment ahead of this one.
    let age = now.0.wrapping_sub(since);
    let age = if age > u32::MAX / 2 { 0 } else { age };
    let half_lives = age as f32 * (1.0 / HALF_LIFE);
    let whole = half_lives as u32;
    if whole >= 64 {
        return 0.0;
    }
    let part = half_lives - whole as f32;
    // 2^(−whole), put together from its exponent.
    let halved = f32::from_bits((127 - whole) << 23);
    amount * (1.0 - part * 0.5) * halved
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::of(Tick::from_origin(Duration::from_millis(ms)))
    }

    #[test]
    fn what_was_sent_fades_as_the_reports_catch_up() {
        let slot = Slot(AtomicU64::new(0));
        slot.add(1_000_000, at(5_000));
        let half_life = (f64::from(HALF_LIFE) * 8.0) as u64;
        for (after, left) in [(0, 1.0), (half_life, 0.5), (2 * half_life, 0.25), (200 * half_life, 0.0)] {
            let amount = f64::from(slot.at(at(5_000 + after))) / 1e6;
            assert!((amount - left).abs() < 0.01, "{amount} of 1 left after {after} ms");
        }
        for after in 0..5_000_u64 {
            let exact = (-(after as f64) / RISE.as_millis() as f64).exp();
            let ratio = f64::from(slot.at(at(5_000 + after))) / 1e6 / exact;
            assert!((0.99..1.07).contains(&ratio), "{ratio} of the exact decay after {after} ms");
        }
    }

    #[test]
    fn additions_add_up_and_a_clock_that_is_a_moment_behind_changes_nothing() {
        let slot = Slot(AtomicU64::new(0));
        slot.add(10, at(1_000));
        slot.add(20, at(1_000));
        assert!((slot.at(at(900)) - 30.0).abs() < 0.001);
    }
}
