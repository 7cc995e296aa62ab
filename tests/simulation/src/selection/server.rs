//! A node: its link is shared evenly by the transfers under way, and none is faster than its client.
//!
//! Exact processor sharing: as all transfers have the same rate at every moment, one number tells what each of them got so far, and they end in the order of
//! what that number must reach.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::cache::Cache;

/// Bytes, in steps fine enough for a heap: a transfer's rounding is less than a byte.
type Attained = u64;

#[derive(Debug)]
pub(super) struct Server {
    capacity: f64,
    client_rate: f64,
    /// What each transfer got since the beginning of time.
    attained: f64,
    /// Up to when all this holds, in seconds.
    now: f64,
    sent: f64,
    under_way: BinaryHeap<Reverse<(Attained, u64)>>,
    /// When each began, and its size, by number.
    begun: std::collections::HashMap<u64, (f64, u64)>,
    numbered: u64,
    pub(super) cache: Cache,
}

impl Server {
    pub(super) fn new(capacity: f64, client_rate: f64, cache: Cache) -> Self {
        Self {
            capacity,
            client_rate,
            attained: 0.0,
            now: 0.0,
            sent: 0.0,
            under_way: BinaryHeap::new(),
            begun: std::collections::HashMap::new(),
            numbered: 0,
            cache,
        }
    }

    fn rate(&self) -> f64 {
        (self.capacity / self.under_way.len().max(1) as f64).min(self.client_rate)
    }

    /// Goes on to `now`; tells how many times as long each transfer that ended took as its client alone would have made it take.
    pub(super) fn advance(&mut self, now: f64, mut ended: impl FnMut(f64)) {
        while let Some(&Reverse((end, number))) = self.under_way.peek() {
            let rate = self.rate();
            let at = self.now + (end as f64 - self.attained).max(0.0) / rate;
            if at > now {
                break;
            }
            self.sent += (at - self.now) * rate * self.under_way.len() as f64;
            (self.attained, self.now) = (end as f64, at);
            self.under_way.pop();
            if let Some((begun, size)) = self.begun.remove(&number) {
                ended((at - begun) / (size as f64 / self.client_rate));
            }
        }
        let passed = now - self.now;
        self.sent += passed * self.rate() * self.under_way.len() as f64;
        self.attained += passed * self.rate();
        self.now = now;
        if self.under_way.is_empty() {
            self.attained = 0.0;
        }
    }

    /// Begins a transfer at the moment to which it was advanced.
    pub(super) fn begin(&mut self, size: u64) {
        self.numbered += 1;
        self.under_way.push(Reverse(((self.attained + size as f64).ceil() as Attained, self.numbered)));
        self.begun.insert(self.numbered, (self.now, size));
    }

    pub(super) fn transfers(&self) -> usize {
        self.under_way.len()
    }

    /// The bytes sent since this was asked last.
    pub(super) fn take_sent(&mut self) -> f64 {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn set_capacity(&mut self, capacity: f64) {
        self.capacity = capacity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_share_the_link_and_none_outruns_its_client() {
        let mut server = Server::new(100.0, 50.0, Cache::with_room(0));
        let mut slowness = Vec::new();
        for size in [100, 100, 200, 400] {
            server.begin(size);
        }
        // 25 each for 4 s, then two are left at 50 each: 200 ends at 6 s, 400 at 10 s.
        server.advance(5.0, |times| slowness.push(times));
        assert_eq!((server.transfers(), server.take_sent().round()), (2, 500.0));
        server.advance(20.0, |times| slowness.push(times));
        assert_eq!((server.transfers(), server.take_sent().round()), (0, 300.0));
        assert_eq!(slowness, [2.0, 2.0, 1.5, 1.25]);
    }
}
