//! How much room the store may take. Pure: what there is comes in as numbers.

use ferry_core::eviction::{Admission, First};

/// Once something has to go, a little more does, so that it has not for each block: the share of the limit.
const SLACK: u64 = 32;

/// How much room the store may take, and for what.
#[derive(Debug, Clone)]
pub struct Space {
    /// All objects together, metadata included, in bytes.
    pub bytes: u64,
    /// Where less than this is free on the file system, objects go...
    pub free_low: u64,
    /// ...until so much is free.
    pub free_high: u64,
    /// What is let in.
    pub admission: Admission,
    /// Objects whose keys begin with one of these stay until they are purged.
    pub pinned: Vec<String>,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            bytes: u64::MAX,
            free_low: 512 << 20,
            free_high: 1 << 30,
            admission: Admission { largest: u64::MAX, first: First::default() },
            pinned: Vec::new(),
        }
    }
}

impl Space {
    /// So many bytes, of which one object may take a quarter.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let admission = Admission { largest: bytes / 4, first: First::default() };
        Self { bytes, admission, ..Self::default() }
    }

    /// How many bytes have to go, where so many are used.
    pub(super) const fn excess(&self, used: u64) -> u64 {
        if used <= self.bytes { 0 } else { used - (self.bytes - self.bytes / SLACK) }
    }

    /// How many bytes have to go, where so many are free on the file system.
    pub(super) const fn shortage(&self, free: u64) -> u64 {
        if free >= self.free_low { 0 } else { self.free_high.saturating_sub(free) }
    }

    pub(super) fn pins(&self, key: &str) -> bool {
        self.pinned.iter().any(|prefix| key.starts_with(prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_more_goes_than_has_to() {
        let space = Space { free_low: 100, free_high: 300, ..Space::of(3_200) };
        assert_eq!([0, 3_200, 3_201, 4_000].map(|used| space.excess(used)), [0, 0, 101, 900]);
        assert_eq!([1_000, 100, 99, 0].map(|free| space.shortage(free)), [0, 0, 201, 300]);
        assert_eq!(Space::default().excess(u64::MAX), 0);
    }

    #[test]
    fn keys_are_pinned_by_their_beginnings() {
        let space = Space { pinned: vec!["os/".to_owned()], ..Space::default() };
        assert_eq!(["os/a", "os", "x/os/a"].map(|key| space.pins(key)), [true, false, false]);
    }
}
