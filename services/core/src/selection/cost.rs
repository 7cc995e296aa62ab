//! What a transfer is expected to take, before anybody has seen it.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use super::{
    rendezvous::hash_text,
    table::{RISE, Table},
};
use crate::id::Region;

/// What is expected where nothing was learned, in bytes.
const UNKNOWN_SIZE: f32 = 4.0 * 1024.0 * 1024.0;
/// What a client is taken to take, where nodes do not tell: bytes per second.
const UNKNOWN_RATE: f64 = 1024.0 * 1024.0;
/// The weight of what is new: the mean is of about the last sixteen.
const NEW: f32 = 1.0 / 16.0;
const SLOTS: usize = 1 << 10;

/// The mean size of what was sent, for each prefix (a route, a folder); shared by all who select. Bounded: prefixes that share a slot share a mean.
#[derive(Debug)]
pub struct Sizes(Box<[AtomicU32]>);

impl Default for Sizes {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU32::new(UNKNOWN_SIZE.to_bits())).collect())
    }
}

impl Sizes {
    /// Learns that something below the prefix had that size; a wrong guess is half forgotten after eleven.
    pub fn learn(&self, prefix: &str, bytes: u64) {
        let mean = |bits: u32| {
            let mean = f32::from_bits(bits);
            Some((mean + (bytes as f32 - mean) * NEW).to_bits())
        };
        // Never refuses, so the result tells nothing.
        let _ = self.slot(prefix).fetch_update(Relaxed, Relaxed, mean);
    }

    /// What is expected of something below the prefix, in bytes.
    #[must_use]
    pub fn expected(&self, prefix: &str) -> u64 {
        f32::from_bits(self.slot(prefix).load(Relaxed)) as u64
    }

    fn slot(&self, prefix: &str) -> &AtomicU32 {
        &self.0[hash_text(prefix) as usize % SLOTS]
    }
}

impl Table {
    /// What a transfer in that region is expected to get, in bytes per second.
    pub(super) fn expected_rate(&self, region: Option<&Region>) -> f64 {
        self.typical_rate(region).unwrap_or(UNKNOWN_RATE)
    }

    /// What a transfer of `bytes` is expected to take, in bytes per second: what its client takes, as transfers in that region do, but no more than what makes
    /// it end within the time in which a report shows it. Many small files weigh what they are, and a large one no more than its client.
    #[must_use]
    pub fn cost(&self, bytes: u64, region: Option<&Region>) -> u64 {
        const SHOWN_WITHIN: Duration = RISE;
        let rate = self.expected_rate(region);
        (bytes as f64 / SHOWN_WITHIN.as_secs_f64()).min(rate).max(1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_learned_for_each_prefix() {
        let sizes = Sizes::default();
        assert_eq!(sizes.expected("video/"), 4 << 20);
        for _ in 0..100 {
            sizes.learn("video/", 1_000_000);
        }
        let learned = sizes.expected("video/");
        assert!((990_000..1_100_000).contains(&learned), "{learned}");
        assert_eq!(sizes.expected("images/"), 4 << 20, "another prefix");
    }

    #[test]
    fn small_files_cost_what_they_are_and_large_ones_what_clients_take() {
        let table = Table::default();
        assert_eq!(table.cost(100_000, None), 50_000);
        assert_eq!(table.cost(1 << 40, None), 1 << 20);
        assert_eq!(table.cost(0, None), 1, "nothing is free");
    }
}
