//! What a node carries at one moment.

use std::time::Duration;

/// A share of a whole, between 0 and 1 inclusive; what is not a number is 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Share(f32);

impl Share {
    /// `value`, brought into bounds.
    #[must_use]
    pub fn clamped(value: f32) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// The share as a number between 0 and 1.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }
}

/// A node's own report of its load.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    /// Bytes sent to clients during the last second.
    pub bytes_per_second: u64,
    /// Transfers under way.
    pub transfers: u32,
    /// Processor time in use, of all processors.
    pub cpu: Share,
    /// Share of the last second in which the disk kept requests waiting.
    pub disk: Share,
    /// How long a call to the disk took during the last second, on average; zero if there was none.
    pub disk_wait: Duration,
    /// Requests that were answered during the last second.
    pub requests: u32,
    /// How many of those the node failed to answer as it should: its own errors, not its clients'.
    pub failures: u32,
    /// Share of the cache's requests during the last second whose object was not there; 0 if there were none, or there is no cache.
    pub cold: Share,
    /// How near the node is to sending new requests on, by what it alone knows: what a client would get of its link, and how its disk does. 1 while it does.
    pub fullness: Share,
}
