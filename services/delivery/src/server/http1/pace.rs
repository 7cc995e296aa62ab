//! How much a client may have waiting in the kernel.
//!
//! Left to itself the kernel takes MiB for a client that reads slowly. With `TCP_NOTSENT_LOWAT` it takes what is in flight and a
//! little more; the price is waking up more often, which a fast client pays dearly. So every connection begins restrained, and
//! one that proves fast is let go until it is slow again.

use std::{os::fd::AsFd, time::Duration};

use socket2::SockRef;
use tokio::time::Instant;

/// What may wait unsent for a restrained client.
const LOWAT: u32 = 64 * 1024;

/// The same over TLS, for every client. What the kernel has in advance there it sends from a timer of the congestion control, a piece at a
/// time, when it has left the processor's cache: what it is given as the network takes it costs an eighth less.
const SEALED_LOWAT: u32 = 32 * 1024;

/// What an unrestrained client may take of a thread's time before others have their turn: less costs more calls, more costs them
/// latency.
const STEP: u64 = 2 << 20;

/// An answer takes about as much time as so many bytes more.
const ANSWER: u64 = 8 * 1024;

/// A client is judged by the time that so many bytes took.
const STRETCH: u64 = 1 << 20;

/// Faster than a MiB in so much time (64 MiB/s), waking up at each [`LOWAT`] costs more than memory.
const FAST: Duration = Duration::from_millis(16);

/// A client that takes nothing for so long is slow, whatever it was.
const SLOW: Duration = Duration::from_millis(200);

/// The pace of one connection's client.
#[derive(Debug)]
pub(in super::super) struct Pace {
    restrained: bool,
    /// Whether it is never let go.
    sealed: bool,
    begin: Option<Instant>,
    bytes: u64,
    /// What the client took of the thread's time since others had their turn, in bytes.
    turn: u64,
}

impl Pace {
    /// A connection that just began.
    pub(in super::super) fn begin(socket: impl AsFd) -> Self {
        restrain(&socket, LOWAT);
        Self { restrained: true, sealed: false, begin: None, bytes: 0, turn: 0 }
    }

    /// The same over TLS.
    pub(super) fn over_tls(socket: impl AsFd) -> Self {
        restrain(&socket, SEALED_LOWAT);
        Self { restrained: true, sealed: true, begin: None, bytes: 0, turn: 0 }
    }

    /// How much the kernel is asked to take at once.
    pub(super) const fn step(&self) -> u64 {
        if self.restrained { 2 * LOWAT as u64 } else { STEP }
    }

    /// So many bytes were taken by the kernel.
    pub(super) fn took(&mut self, socket: impl AsFd, bytes: u64) {
        self.turn += bytes;
        if !self.restrained || self.sealed {
            return;
        }
        self.bytes += bytes;
        let Some(begin) = self.begin else {
            // A large answer begins: small ones say nothing about the client.
            self.begin = (self.bytes >= u64::from(LOWAT)).then(Instant::now);
            self.bytes = 0;
            return;
        };
        if self.bytes >= STRETCH {
            if begin.elapsed() < FAST {
                self.restrained = false;
                restrain(socket, u32::MAX);
            }
            self.begin = None;
            self.bytes = 0;
        }
    }

    /// The others have had theirs.
    pub(in super::super) const fn begin_turn(&mut self) {
        self.turn = 0;
    }

    /// An answer has ended: whether the thread's other connections should have their turn before the next one.
    pub(in super::super) const fn has_had_its_turn(&mut self) -> bool {
        self.turn += ANSWER;
        let had = self.turn >= STEP;
        if had {
            self.turn = 0;
        }
        had
    }

    /// The kernel took nothing for so long.
    pub(super) fn waited(&mut self, socket: impl AsFd, time: Duration) {
        if !self.restrained && time >= SLOW {
            self.restrained = true;
            self.begin = None;
            self.bytes = 0;
            restrain(socket, LOWAT);
        }
    }
}

fn restrain(socket: impl AsFd, lowat: u32) {
    // Without it everything works, and costs more memory.
    let _ = SockRef::from(&socket).set_tcp_notsent_lowat(lowat);
}
