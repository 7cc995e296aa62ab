//! What an origin's pool is doing, for people and for `/debug/http-client`.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::breaker::BreakerState;

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
    /// TCP connections, idle ones included.
    pub connections: usize,
    /// The best state among its addresses: closed if any of them may be asked.
    pub breaker: BreakerState,
    /// Requests begun since the start, redirects and refused ones included.
    pub requests: u64,
    /// Of those, the ones without an answer or with a 5xx, and bodies that broke off.
    pub failures: u64,
    /// Of the requests, those that were sent again because nothing came of them before.
    pub retries: u64,
    /// Bodies that broke off and went on with another request.
    pub resumed: u64,
    /// Each address that it was reached at.
    pub addresses: Vec<AddressStats>,
}

/// One address of an origin at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressStats {
    /// The address.
    pub address: SocketAddr,
    /// TCP connections to it, idle ones included.
    pub connections: usize,
    /// Whether it is asked.
    pub breaker: BreakerState,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: Counter,
    pub(super) failures: Counter,
    pub(super) retries: Counter,
    pub(super) resumed: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
