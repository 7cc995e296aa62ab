//! What the operating system asks of the process.
//!
//! Only reports; what a stop means is decided by the role. A first SIGTERM is a wish (finish, then go); SIGINT (Ctrl-C) and a
//! second SIGTERM are an order.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Take nothing new, finish what was begun.
    Graceful,
    /// End now.
    AtOnce,
}

/// The process's signals, one after the other.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    asked: bool,
}

impl Signals {
    /// Takes over SIGTERM, SIGINT and SIGHUP for the rest of the process's life.
    ///
    /// Only signals that come after this are seen, so call it before anything is started.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            asked: false,
        })
    }

    /// Waits for the next request to stop. SIGHUP is logged and otherwise ignored: a terminal that goes away stops nothing.
    ///
    /// Cancelling the wait loses no signal.
    pub async fn next(&mut self) -> Stop {
        loop {
            tokio::select! {
                biased; // the order before the wish
                _ = self.interrupt.recv() => return Stop::AtOnce,
                _ = self.terminate.recv() => return self.terminated(),
                _ = self.hangup.recv() => info!("ignored SIGHUP"),
            }
        }
    }

    const fn terminated(&mut self) -> Stop {
        if self.asked {
            return Stop::AtOnce;
        }
        self.asked = true;
        Stop::Graceful
    }
}
