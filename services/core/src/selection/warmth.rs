//! How often each key was asked for within the last minute, as far as one gateway saw it.
//!
//! One slot for each key, by its hash; of several keys that share one, the slot knows the one that is asked for more. Bounded, without a lock, and wrong in one
//! direction only: a key may be forgotten, but none is taken for another, save one in 65,536.
//!
//! Not another sketch of sums ([`Heat`](super::Heat)'s): of the many keys that were asked for once, most would share their columns with others then, and look warm.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::decaying::Moment;

/// In seconds: caches keep for longer what was asked for, and one gateway of many sees a warm key a few times within it.
const MEMORY: f32 = 60.0;
/// Slots for each node: what a gateway sends within the memory, and as many free ones.
const SLOTS_PER_NODE: usize = 64;
const LEAST_SLOTS: usize = 1 << 10;
const MOST_SLOTS: usize = 1 << 17;

/// A slot, in one word: 16 bits of the key's hash, the upper 24 of the count's, and as many of the moment to which it is decayed: with fewer of the count a single
/// request more would be lost beside some hundreds, and so would the little that is forgotten between two.
#[derive(Debug, Clone, Copy)]
struct Slot {
    name: u16,
    count: f32,
    at: Coarse,
}

/// A moment in eights of the quanta of a [`Moment`]; it comes round after twelve days.
#[derive(Debug, Clone, Copy)]
struct Coarse(u32);

impl Coarse {
    const BITS: u32 = 24;
    const MASK: u32 = (1 << Self::BITS) - 1;

    const fn of(moment: Moment) -> Self {
        Self(moment.quanta() >> 3 & Self::MASK)
    }

    fn seconds_since(self, earlier: Self) -> f32 {
        let age = self.0.wrapping_sub(earlier.0) & Self::MASK;
        // Another worker's clock reading may be a moment ahead of this one.
        let age = if age > Self::MASK / 2 { 0 } else { age };
        Moment::from_quanta(age << 3).seconds_since(Moment::from_quanta(0))
    }
}

/// Shared by all who select.
#[derive(Debug)]
pub(super) struct Warmth(Box<[AtomicU64]>);

impl Warmth {
    /// For a cluster of about so many nodes.
    pub(super) fn for_nodes(count: usize) -> Self {
        let slots = count.saturating_mul(SLOTS_PER_NODE).clamp(LEAST_SLOTS, MOST_SLOTS).next_power_of_two();
        Self((0..slots).map(|_| AtomicU64::default()).collect())
    }

    /// Notes that somebody was sent for the key of that hash.
    pub(super) fn sent(&self, hash: u64, now: Moment) {
        let (slot, name) = self.slot(hash);
        let note = |word| {
            let held = Slot::of(word).decayed(now);
            if held.name == name {
                Some(Slot { count: held.count + 1.0, ..held }.word())
            } else {
                // Whoever was asked for more than once of late keeps its place.
                (held.count <= 1.0).then(|| Slot { name, count: 1.0, at: Coarse::of(now) }.word())
            }
        };
        // A refusal is that the slot is taken.
        let _ = slot.fetch_update(Relaxed, Relaxed, note);
    }

    /// About how often somebody was sent for the key within the memory.
    pub(super) fn of(&self, hash: u64, now: Moment) -> f32 {
        let (slot, name) = self.slot(hash);
        let held = Slot::of(slot.load(Relaxed)).decayed(now);
        if held.name == name { held.count } else { 0.0 }
    }

    fn slot(&self, hash: u64) -> (&AtomicU64, u16) {
        (&self.0[hash as usize & (self.0.len() - 1)], (hash >> 48) as u16)
    }
}

impl Slot {
    const fn of(word: u64) -> Self {
        let count = f32::from_bits((word >> 16) as u32 & 0xffff_ff00);
        Self { name: (word >> 48) as u16, count, at: Coarse(word as u32 & Coarse::MASK) }
    }

    fn word(self) -> u64 {
        // To the nearest; a count is far from where that would run over.
        let count = (self.count.to_bits() + (1 << 7)) >> 8;
        u64::from(self.name) << 48 | u64::from(count) << Coarse::BITS | u64::from(self.at.0)
    }

    fn decayed(self, now: Moment) -> Self {
        let now = Coarse::of(now);
        let age = now.seconds_since(self.at);
        Self { count: self.count * (-age / MEMORY).exp(), at: now, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::Tick;

    fn at(seconds: u64) -> Moment {
        Moment::of(Tick::from_origin(Duration::from_secs(1_000_000 + seconds)))
    }

    const KEY: u64 = 7 << 48 | 5;
    /// In the same slot.
    const OTHER: u64 = 8 << 48 | 5;

    #[test]
    fn what_was_asked_for_is_counted_and_forgotten() {
        let warmth = Warmth::for_nodes(1);
        assert_eq!(warmth.of(KEY, at(0)), 0.0);
        (0..4).for_each(|_| warmth.sent(KEY, at(0)));
        assert!((3.9..4.1).contains(&warmth.of(KEY, at(0))));
        assert!((1.4..1.6).contains(&warmth.of(KEY, at(60))), "a time constant later");
        assert!(warmth.of(KEY, at(600)) < 0.01);
    }

    #[test]
    fn a_count_does_not_lose_what_is_added_one_by_one() {
        let warmth = Warmth::for_nodes(1);
        (0..100).for_each(|_| warmth.sent(KEY, at(0)));
        assert!((95.0..105.0).contains(&warmth.of(KEY, at(0))), "{}", warmth.of(KEY, at(0)));
    }

    #[test]
    fn what_is_asked_for_steadily_is_counted_in_full_and_what_is_asked_for_no_longer_is_forgotten() {
        for per_second in [2_u16, 10, 50] {
            let warmth = Warmth::for_nodes(1);
            let moment = |number: u64| {
                Moment::of(Tick::from_origin(Duration::from_millis(1_000_000 + number * 1000 / u64::from(per_second))))
            };
            let requests = 600 * u64::from(per_second);
            (0..requests).for_each(|number| warmth.sent(KEY, moment(number)));
            let (seen, true_count) = (warmth.of(KEY, moment(requests)), f32::from(per_second) * MEMORY);
            assert!((true_count * 0.95..true_count * 1.05).contains(&seen), "{per_second} a second: {seen}");
        }
    }

    #[test]
    fn of_two_keys_in_one_slot_the_one_that_is_asked_for_more_is_known() {
        let warmth = Warmth::for_nodes(1);
        warmth.sent(OTHER, at(0));
        warmth.sent(KEY, at(1));
        assert_eq!(warmth.of(OTHER, at(1)), 0.0, "never taken for the other");
        warmth.sent(KEY, at(1));
        warmth.sent(OTHER, at(1));
        assert!(warmth.of(KEY, at(1)) > 1.9 && warmth.of(OTHER, at(1)) == 0.0);
        warmth.sent(OTHER, at(200));
        assert!(warmth.of(OTHER, at(200)) > 0.9, "the place is free again");
    }
}
