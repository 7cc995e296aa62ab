//! What is remembered of objects that are not here: a fingerprint of each, the oldest forgotten first.

use std::collections::{HashMap, VecDeque};

/// Fingerprints, with what their objects had in bytes.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// In which order they came; some are not known any more.
    order: VecDeque<(u64, u64)>,
    /// Which entry of the order is the one, by fingerprint, and its bytes.
    known: HashMap<u64, (u64, u64)>,
    next: u64,
    bytes: u64,
}

impl Remembered {
    pub(super) fn holds(&self, fingerprint: u64) -> bool {
        self.known.contains_key(&fingerprint)
    }

    pub(super) fn add(&mut self, fingerprint: u64, bytes: u64) {
        self.forget(fingerprint);
        self.next += 1;
        self.order.push_back((fingerprint, self.next));
        self.known.insert(fingerprint, (self.next, bytes));
        self.bytes += bytes;
    }

    /// Returns whether it was known.
    pub(super) fn forget(&mut self, fingerprint: u64) -> bool {
        let known = self.known.remove(&fingerprint);
        self.bytes -= known.map_or(0, |(_, bytes)| bytes);
        known.is_some()
    }

    /// Forgets the oldest until there are no more than so many entries and bytes.
    pub(super) fn shrink(&mut self, entries: usize, bytes: u64) {
        while self.order.len() > entries || self.bytes > bytes {
            let Some((fingerprint, entry)) = self.order.pop_front() else { return };
            if self.known.get(&fingerprint).is_some_and(|(known, _)| *known == entry) {
                self.forget(fingerprint);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
