//! What the cache counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters, each since the cache was opened.
#[derive(Debug, Default)]
pub(super) struct Stats {
    hits: AtomicU64,
    stale: AtomicU64,
    partial: AtomicU64,
    misses: AtomicU64,
    collapsed: AtomicU64,
    validated: AtomicU64,
    passed: AtomicU64,
    asked: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    refused: AtomicU64,
}

/// What the cache has done since it was opened, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Requests answered from what was here, fresh.
    pub hits: u64,
    /// Requests answered from what was here, stale.
    pub stale: u64,
    /// Requests for an object that was here in part, of which some bytes had to come.
    pub partial: u64,
    /// Requests for what was not here, or not of use any more.
    pub misses: u64,
    /// Of the misses, those that waited for another request's answer.
    pub collapsed: u64,
    /// Validations that found what was here to be current.
    pub validated: u64,
    /// Requests that passed by: for what is not to be kept, or by methods that are not for caches.
    pub passed: u64,
    /// Exchanges with the origin.
    pub asked: u64,
    /// Bytes of content that the origin sent for objects that were kept.
    pub origin_bytes: u64,
    /// Fetches that failed.
    pub failed: u64,
    /// Objects that could not be kept although they should have been: the disk was full, or failed.
    pub given_up: u64,
    /// Answers that were not kept because they must not be, or were not admitted.
    pub refused: u64,
    /// Objects that are being filled or read before they are whole.
    pub filling: usize,
    /// Fetches under way.
    pub fetches: usize,
    /// Exchanges with the origin whose head has not come.
    pub waiting: usize,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Stats {
    pub(super) fn hit(&self) {
        count(&self.hits);
    }

    pub(super) fn stale(&self) {
        count(&self.stale);
    }

    pub(super) fn partial(&self) {
        count(&self.partial);
    }

    pub(super) fn missed(&self, collapsed: bool) {
        count(&self.misses);
        if collapsed {
            count(&self.collapsed);
        }
    }

    pub(super) fn validated(&self) {
        count(&self.validated);
    }

    pub(super) fn passed(&self) {
        count(&self.passed);
    }

    pub(super) fn asked(&self) {
        count(&self.asked);
    }

    pub(super) fn came(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn failed(&self) {
        count(&self.failed);
    }

    pub(super) fn gave_up(&self) {
        count(&self.given_up);
    }

    pub(super) fn refused(&self) {
        count(&self.refused);
    }

    pub(super) fn read(&self, (filling, fetches): (usize, usize), waiting: usize) -> CacheStats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        CacheStats {
            hits: read(&self.hits),
            stale: read(&self.stale),
            partial: read(&self.partial),
            misses: read(&self.misses),
            collapsed: read(&self.collapsed),
            validated: read(&self.validated),
            passed: read(&self.passed),
            asked: read(&self.asked),
            origin_bytes: read(&self.bytes),
            failed: read(&self.failed),
            given_up: read(&self.given_up),
            refused: read(&self.refused),
            filling,
            fetches,
            waiting,
        }
    }
}
