//! How long requests wait for the first byte of their answers.

use std::{
    mem::MaybeUninit,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::closed::{EVENTS, Fleet, wait};

/// What becomes of the bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They are taken to the end and checked as always.
    Taken,
    /// They are left where they are, once each request has its first byte: the fleet is good for nothing after that.
    Left,
}

impl Fleet {
    /// Asks on every connection, again and again until `duration` is over, as [`Fleet::run`] does. For each request the
    /// nanoseconds from when it was asked to when the first byte of its answer was there.
    pub(crate) fn first_bytes(&mut self, duration: Duration, rest: Rest) -> Result<Vec<u64>> {
        let begun = Instant::now();
        let clients = self.connections.len();
        let (mut asked, mut first) = (vec![begun; clients], Vec::new());
        let mut waiting = vec![true; clients];
        for (number, asked) in asked.iter_mut().enumerate() {
            *asked = Instant::now();
            self.ask(number)?;
        }
        let mut busy = clients;
        let mut events = [MaybeUninit::uninit(); EVENTS];
        while busy > 0 && (rest == Rest::Taken || waiting.contains(&true)) {
            for event in wait(&self.epoll, &mut events)? {
                let number = usize::try_from(event.data.u64())?;
                // Before the body is taken, which may be long.
                let now = Instant::now();
                let complete = self.connections[number].receive(&mut self.scratch)?.is_some();
                if waiting[number] && self.connections[number].has_answer() {
                    waiting[number] = false;
                    first.push(u64::try_from((now - asked[number]).as_nanos())?);
                }
                if complete && begun.elapsed() < duration {
                    (asked[number], waiting[number]) = (Instant::now(), true);
                    self.ask(number)?;
                } else if complete {
                    busy -= 1;
                }
            }
        }
        Ok(first)
    }
}
