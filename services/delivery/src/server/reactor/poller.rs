//! Which sockets have something new, told in batches: an epoll set of its own that the thread's runtime watches as one descriptor.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    task::{Context, Poll, ready},
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};
use tokio::io::{Interest, unix::AsyncFd};

/// How many sockets a batch has.
const BATCH: usize = 64;

/// A set of sockets. Each is told of once for everything new (edge-triggered), whether or not that was used up.
#[derive(Debug)]
pub(super) struct Poller {
    set: AsyncFd<OwnedFd>,
}

/// What is new about a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    /// The number under which it was added.
    pub(super) number: usize,
    /// There may be octets.
    pub(super) readable: bool,
    /// There may be room.
    pub(super) writable: bool,
    /// The client has ended its side, or the connection is gone: behind what was received there is an end.
    pub(super) ends: bool,
}

impl Poller {
    /// An empty set, watched by the runtime that this is called in.
    pub(super) fn new() -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "unsound only for what changes its descriptor, as an OwnedFd does not; its successor is unsafe"
        )]
        let set = AsyncFd::with_interest(set, Interest::READABLE)?;
        Ok(Self { set })
    }

    /// Adds a socket under a number; what is new about it already is told too.
    pub(super) fn add(&self, socket: impl AsFd, number: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(self.set.get_ref(), socket, EventData::new_u64(number as u64), flags)?)
    }

    /// Takes a socket out that goes on living. One that is closed leaves by itself.
    pub(super) fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(self.set.get_ref(), socket)?)
    }

    /// Writes the next batch to `news`; pending while there is nothing new.
    pub(super) fn poll_batch(&mut self, cx: &mut Context<'_>, news: &mut Vec<News>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.set.poll_read_ready(cx))?;
            if wait(guard.get_inner(), news)? {
                guard.retain_ready();
                return Poll::Ready(Ok(()));
            }
            guard.clear_ready();
        }
    }

    /// Writes what is new now to `news`, whatever the runtime knows of it. That it was heard here does no harm there.
    pub(super) fn look(&mut self, news: &mut Vec<News>) -> io::Result<()> {
        wait(self.set.get_ref(), news).map(drop)
    }
}

/// Writes the next batch to `news`; false if there is nothing new.
fn wait(set: &OwnedFd, news: &mut Vec<News>) -> io::Result<bool> {
    let mut batch = [const { MaybeUninit::uninit() }; BATCH];
    news.clear();
    loop {
        match epoll::wait(set, &mut batch[..], Some(&Timespec::default())) {
            Ok((events, _)) => {
                news.extend(events.iter().map(News::of));
                return Ok(!news.is_empty());
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

impl News {
    fn of(event: &Event) -> Self {
        let flags = event.flags;
        let gone = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        Self {
            number: usize::try_from(event.data.u64()).unwrap_or(usize::MAX),
            readable: flags.contains(EventFlags::IN) || gone,
            writable: flags.contains(EventFlags::OUT) || gone,
            ends: flags.contains(EventFlags::RDHUP) || gone,
        }
    }
}
