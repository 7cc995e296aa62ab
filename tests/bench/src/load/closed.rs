//! Closed loop: each connection asks again as soon as it has its answer, so the server always has something to do.

use std::{
    mem::MaybeUninit,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};

use super::{
    Job, Requests,
    connection::{Connection, Scratch},
    response::Wanted,
    tls,
};

/// A server that sends nothing for so long has stopped.
const SILENCE: Duration = Duration::from_secs(20);

/// Events taken from the kernel at one time.
pub(super) const EVENTS: usize = 256;

pub(super) type Events = [MaybeUninit<Event>; EVENTS];

/// Clients on one thread.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(super) connections: Vec<Connection>,
    requests: Requests,
    pub(super) epoll: OwnedFd,
    pub(super) scratch: Scratch,
    /// For each connection, which request is next.
    next: Vec<usize>,
}

/// Work that was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Of bodies.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
}

impl Tally {
    /// Of both, that went on at the same time.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            bytes: self.bytes + other.bytes,
            elapsed: self.elapsed.max(other.elapsed),
        }
    }
}

impl Fleet {
    /// Connects all clients of a job. Nothing is asked for yet.
    pub(crate) fn connect(job: &Job) -> Result<Self> {
        let tls = if job.tls { Some(tls::config()?) } else { None };
        let wanted = Wanted { status: job.status, length: job.length, content: job.content.clone() };
        let mut fleet = Self {
            connections: Vec::with_capacity(job.connections),
            requests: job.requests(),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            scratch: Scratch::new(),
            next: (0..job.connections).map(|number| number % job.targets.len()).collect(),
        };
        for number in 0..job.connections {
            let connection = Connection::open(job.address, tls.as_ref(), wanted.clone())?;
            epoll::add(
                &fleet.epoll,
                connection.socket(),
                EventData::new_u64(number as u64),
                EventFlags::IN | EventFlags::ET,
            )?;
            fleet.connections.push(connection);
        }
        Ok(fleet)
    }

    /// Asks on every connection, again and again until `duration` is over, and waits for the last answers. Everything that
    /// was asked for is answered and counted when this returns.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<Tally> {
        let begun = Instant::now();
        let mut tally = Tally::default();
        self.ask_all()?;
        let mut busy = self.connections.len();
        let mut events = [MaybeUninit::uninit(); EVENTS];
        while busy > 0 {
            for event in wait(&self.epoll, &mut events)? {
                let number = usize::try_from(event.data.u64())?;
                let Some(bytes) = self.connections[number].receive(&mut self.scratch)? else { continue };
                tally.requests += 1;
                tally.bytes += bytes;
                if begun.elapsed() < duration {
                    self.ask(number)?;
                } else {
                    busy -= 1;
                }
            }
        }
        tally.elapsed = begun.elapsed();
        Ok(tally)
    }

    /// Asks on every connection, again and again until `stop` says so, and leaves the last answers where they are: work in
    /// the background of what is measured. `done` hears of each answer, by its connection's number, before that asks again.
    pub(crate) fn keep_busy(mut self, stop: &AtomicBool, done: &dyn Fn(usize) -> Result<()>) -> Result<()> {
        self.ask_all()?;
        let mut events = [MaybeUninit::uninit(); EVENTS];
        while !stop.load(Ordering::Relaxed) {
            for event in wait(&self.epoll, &mut events)? {
                let number = usize::try_from(event.data.u64())?;
                if self.connections[number].receive(&mut self.scratch)?.is_some() {
                    done(number)?;
                    self.ask(number)?;
                }
            }
        }
        Ok(())
    }

    /// Sends one request on every connection.
    pub(crate) fn ask_all(&mut self) -> Result<()> {
        (0..self.connections.len()).try_for_each(|number| self.ask(number))
    }

    /// Sends the next request on a connection: its first is the one of its own number, and all connections together go
    /// through all of them in turn. Where there are as many as connections, each has one of its own.
    pub(super) fn ask(&mut self, number: usize) -> Result<()> {
        let turn = self.next[number];
        self.next[number] = (turn + self.connections.len()) % self.requests.len();
        self.connections[number].send(&self.requests.get(turn))
    }
}

/// The events that there are, or the first that come; that none come is an error.
pub(super) fn wait<'a>(epoll: &OwnedFd, events: &'a mut Events) -> Result<&'a [Event]> {
    let limit = Timespec::try_from(SILENCE).context("a limit of seconds")?;
    let (come, _) = match epoll::wait(epoll, &mut events[..], Some(&limit)) {
        Ok(come) => come,
        Err(Errno::INTR) => return Ok(&[]),
        Err(error) => return Err(error).context("waiting for answers"),
    };
    if come.is_empty() {
        bail!("the server sent nothing for {SILENCE:?}");
    }
    Ok(come)
}
