//! How long and how much one client may ask of a server.

use std::time::Duration;

/// How long a head that was begun before the server stopped may take to end; connections without one are closed at once.
pub(super) const LAST_HEADS: Duration = Duration::from_millis(500);

/// Limits of one listening socket.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// From a request's first byte (or from the connection's begin) to the end of its head.
    pub head: Duration,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// How long a client that is owed bytes may take none.
    pub stall: Duration,
    /// How long a client that sends a request's content may send nothing.
    pub content: Duration,
    /// How long running requests may take once the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            stall: Duration::from_secs(60),
            content: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// How often a connection looks at its clock: often enough to be at most a quarter late on its shortest limit, and cheap
    /// for ten thousand idle connections.
    pub(super) fn glance(&self) -> Duration {
        let shortest = self.head.min(self.keep_alive).min(self.stall);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_millis(2500))
    }
}
