//! What an origin's pool is doing, for people and for `/debug/http-client`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One origin's pool at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStats {
    /// The origin's address.
    pub origin: String,
    /// Requests under way, from the turn they got to the last byte of the body.
    pub in_flight: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
    /// How many may be under way.
    pub limit: usize,
    /// Requests begun since the start, redirects and refused ones included.
    pub requests: u64,
    /// Of those, the ones without a usable answer, and bodies that broke off.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    pub(super) fn begun(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> (u64, u64) {
        (self.requests.load(Relaxed), self.failures.load(Relaxed))
    }
}
