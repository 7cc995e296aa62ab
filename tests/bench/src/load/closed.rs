//! Closed loop: each connection asks again as soon as it has its answer, so the server always has something to do.

use std::{
    mem::MaybeUninit,
    os::fd::OwnedFd,
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
    Job,
    connection::{Connection, Scratch},
    response::Wanted,
    tls,
};

/// A server that sends nothing for so long has stopped.
pub(super) const SILENCE: Duration = Duration::from_secs(20);

/// Events taken from the kernel at one time.
const EVENTS: usize = 256;

/// Clients on one thread.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(super) connections: Vec<Connection>,
    pub(super) requests: Vec<Vec<u8>>,
    pub(super) epoll: OwnedFd,
    pub(super) scratch: Scratch,
    /// Which request is next.
    turn: usize,
}

/// Work that was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Of bodies.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
}

impl Fleet {
    /// Connects all clients of a job, and has each ask once: what a server makes at first use is made then.
    pub(crate) fn connect(job: &Job) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let tls = if job.tls { Some(tls::config()?) } else { None };
        let wanted = Wanted { status: job.status, length: job.length };
        let mut connections = Vec::with_capacity(job.connections);
        for number in 0..job.connections {
            let connection = Connection::open(job.address, tls.as_ref(), wanted)?;
            epoll::add(&epoll, connection.socket(), EventData::new_u64(number as u64), EventFlags::IN)?;
            connections.push(connection);
        }
        let mut fleet = Self { connections, requests: job.requests(), epoll, scratch: Scratch::new(), turn: 0 };
        fleet.run(Duration::ZERO)?;
        Ok(fleet)
    }

    /// Asks on every connection, again and again until `duration` is over, and waits for the last answers. Everything that
    /// was asked for is answered and counted when this returns.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<Tally> {
        let begun = Instant::now();
        let mut tally = Tally::default();
        for number in 0..self.connections.len() {
            self.ask(number)?;
        }
        let (mut busy, mut events) = (self.connections.len(), [MaybeUninit::uninit(); EVENTS]);
        while busy > 0 {
            for event in wait(&self.epoll, &mut events, Some(SILENCE))? {
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

    /// Sends the next request on a connection.
    pub(super) fn ask(&mut self, number: usize) -> Result<()> {
        let request = &self.requests[self.turn];
        self.turn = (self.turn + 1) % self.requests.len();
        self.connections[number].send(request)
    }
}

/// The events that there are, or come within `limit`; that none come is an error.
pub(super) fn wait<'a>(
    epoll: &OwnedFd,
    events: &'a mut [MaybeUninit<Event>; EVENTS],
    limit: Option<Duration>,
) -> Result<&'a [Event]> {
    let limit = limit.map(Timespec::try_from).transpose().context("a limit of seconds")?;
    let (come, _) = match epoll::wait(epoll, &mut events[..], limit.as_ref()) {
        Ok(come) => come,
        Err(Errno::INTR) => return Ok(&[]),
        Err(error) => return Err(error).context("waiting for answers"),
    };
    if come.is_empty() {
        bail!("the server sent nothing for {SILENCE:?}");
    }
    Ok(come)
}
