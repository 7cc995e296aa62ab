//! Weighted rendezvous hashing: every node has a score for every key, and the highest wins.
//!
//! `score = −w / ln(u)` with `u` uniform in (0, 1) makes a node win with probability w / Σw, and moves a key only when its own
//! node goes or a better one comes (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).

use twox_hash::XxHash3_64;

/// XXH3 is specified: all gateways, builds and machines place a key alike.
pub(super) fn hash_text(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}

/// A hash of two hashes, so that no text is hashed more than once per request: both halves of their product, as wyhash and XXH3 mix. Ten thousand
/// of these are what a large table costs.
#[inline]
pub(super) const fn hash_pair(one: u64, other: u64) -> u64 {
    // wyhash's constants: without them, a hash of 0 would be 0 for every partner.
    let product = (one ^ 0xa076_1d64_78bd_642f) as u128 * (other ^ 0xe703_7ed1_a0b4_28db) as u128;
    (product >> 64) as u64 ^ product as u64
}

/// A number in (0, 1), both ends excluded. 52 bits, as a half added to 53 could round up to 1.
pub(super) fn unit(hash: u64) -> f64 {
    const STEPS: f64 = (1_u64 << 52) as f64;
    ((hash >> 12) as f64 + 0.5) / STEPS
}

/// What a node has drawn for a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot {
    weight: f64,
    unit: f64,
}

impl Lot {
    #[inline]
    pub(super) fn draw(weight: f64, key: u64, node: u64) -> Self {
        Self { weight, unit: unit(hash_pair(key, node)) }
    }

    /// Positive and finite; the highest wins.
    pub(super) fn score(self) -> f64 {
        -self.weight / self.unit.ln()
    }

    /// Whether the score can be higher than `other`. Says no to most who lose without taking their logarithm: as
    /// `−ln(u) ≥ 1 − u`, no score is above `w / (1 − u)`, and winners, whose `u` is near 1, come close to that.
    pub(super) fn may_beat(self, other: f64) -> bool {
        self.weight > other * (1.0 - self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_interval_are_never_reached() {
        assert!(unit(0) > 0.0);
        assert!(unit(u64::MAX) < 1.0);
        assert!((-1.0 / unit(u64::MAX).ln()).is_finite());
    }

    #[test]
    fn nobody_who_wins_is_said_to_lose() {
        for node in 0..10_000 {
            let lot = Lot::draw(100.0, 7, node);
            assert!(lot.may_beat(lot.score() * (1.0 - 1e-12)), "{lot:?}");
        }
        assert!(!Lot { weight: 100.0, unit: 0.5 }.may_beat(201.0), "an even lot against a score of twice the weight");
    }

    #[test]
    fn keys_are_placed_as_in_every_other_build() {
        // From another implementation of XXH3, and from Python.
        assert_eq!(hash_text("video/42/"), 11_243_147_225_941_207_652);
        assert_eq!(hash_pair(1, 2), 17_835_814_974_728_543_209);
    }
}
