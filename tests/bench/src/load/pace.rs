//! Slow readers: clients that take a file at a steady pace, far below what the server could send.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Fleet, Job};
use crate::server::pause;

/// How often each client takes its share.
const BEAT: Duration = Duration::from_millis(100);

/// Clients take their shares one group after another, so that the work is spread over the beat.
const GROUPS: usize = 20;

/// Clients that have asked for a file and take it slowly.
#[derive(Debug)]
pub(crate) struct SlowReaders {
    fleet: Fleet,
    /// Bytes that each takes in one beat.
    share: usize,
}

impl SlowReaders {
    /// Connects, and asks once on every connection. `pace`: bytes per second of each.
    pub(crate) fn connect(job: &Job, pace: usize) -> Result<Self> {
        let beats = usize::try_from(Duration::from_secs(1).as_millis() / BEAT.as_millis())?;
        let mut fleet = Fleet::connect(job)?;
        fleet.ask_all()?;
        Ok(Self { fleet, share: pace / beats })
    }

    /// Reads for a while. The share of their pace that the clients got, at most 1.
    #[allow(clippy::cast_precision_loss, reason = "what a few seconds bring is far below 2^52 bytes")]
    pub(crate) fn read(&mut self, duration: Duration) -> Result<f64> {
        let begun = Instant::now();
        let (mut taken, mut asked, mut step) = (0_usize, 0_usize, 0);
        while begun.elapsed() < duration {
            for connection in self.fleet.connections.iter_mut().skip(step % GROUPS).step_by(GROUPS) {
                taken += connection.receive_some(&mut self.fleet.scratch, self.share)?;
                asked += self.share;
            }
            step += 1;
            let due = BEAT * u32::try_from(step)? / u32::try_from(GROUPS)?;
            pause(due.saturating_sub(begun.elapsed()));
        }
        Ok(taken as f64 / asked as f64)
    }
}
