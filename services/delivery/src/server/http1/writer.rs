//! Octets to a client that may be slow: gathered where they are small, counted as they go, and given up on after a limit.

mod sealed;

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use tokio::{io::Interest, time::Instant};

use super::{
    super::{
        deadline::Deadline,
        wire::{self, Wire},
    },
    LISTENS,
    pace::Pace,
};
use crate::{answer::Slice, disk::OpenFile};
pub(super) use sealed::BATCH;

/// What is gathered before it is written, so that a head and a small body leave in one piece.
pub(super) const GATHER: usize = 64 * 1024;

/// How long a socket that may be full is left alone. A call that took a part looks like one that filled the socket; but where a signal or
/// the end of a truncated file cut it short there is room, and no event will ever tell so.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// Writes one answer.
pub(super) struct Writer<'a, S> {
    wire: &'a mut S,
    deadline: &'a mut Deadline,
    pace: &'a mut Pace,
    /// How long the client may take nothing.
    stall: Duration,
    gathered: Vec<u8>,
    /// How many of the gathered octets were written.
    written: usize,
    /// Whether the socket is taken to be full, and the kernel did not say so.
    in_doubt: bool,
    /// Whether the kernel is asked next without a look at what it last said.
    asks_anyway: bool,
}

/// What the kernel did with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// It took so many bytes.
    Some(usize),
    /// It takes no more for now.
    Full,
    /// There are none: the file ends before them.
    End,
    /// It cannot send this file by itself.
    Never,
    /// It cannot read this file.
    Failed(Errno),
}

impl<'a, S: Wire> Writer<'a, S> {
    pub(super) const fn new(wire: &'a mut S, deadline: &'a mut Deadline, pace: &'a mut Pace, stall: Duration) -> Self {
        // In doubt from the beginning: what the last answer found out about the socket is not known here.
        Self { wire, deadline, pace, stall, gathered: Vec::new(), written: 0, in_doubt: true, asks_anyway: false }
    }

    /// Where octets are gathered, to be sent with what comes next.
    pub(super) const fn gathered(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    /// Hands pieces to the kernel, and says how many octets it took at once: none, if they must go through TLS. With `more`, it is told
    /// that others follow.
    pub(super) fn send_now(&self, pieces: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        let Some(socket) = self.wire.plain() else { return Ok(0) };
        wire::send_now(socket, pieces, if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL })
    }

    /// So many of the gathered octets were written already.
    pub(super) const fn skip(&mut self, written: usize) {
        self.written = written;
    }

    /// Whether the kernel may send files.
    pub(super) fn is_plain(&self) -> bool {
        self.wire.plain().is_some()
    }

    /// Writes what was gathered. With `more`, the kernel is told that other octets follow at once, and fills its packets.
    pub(super) async fn flush(&mut self, more: bool) -> io::Result<()> {
        if !self.is_plain() {
            self.seal(&[], &[]).await?;
            return self.settle().await;
        }
        if self.written == self.gathered.len() {
            self.gathered.clear();
            self.written = 0;
            return Ok(());
        }
        if more {
            self.written += self.send_now(&[IoSlice::new(&self.gathered[self.written..])], true)?;
        }
        while self.written < self.gathered.len() {
            let Self { wire, deadline, pace, stall, gathered, written, .. } = self;
            let count =
                until(deadline, *stall, |cx| Pin::new(&mut **wire).poll_write(cx, &gathered[*written..])).await?;
            pace.took(wire.socket(), count as u64);
            *written += count;
        }
        self.gathered.clear();
        self.written = 0;
        Ok(())
    }

    /// Writes octets behind what was gathered, without gathering them.
    pub(super) async fn write(&mut self, octets: &[u8], behind: &[u8]) -> io::Result<()> {
        if !self.is_plain() {
            self.seal(octets, behind).await?;
            return self.settle().await;
        }
        let (mut octets, mut behind) = (octets, behind);
        while !(self.gathered.is_empty() && octets.is_empty() && behind.is_empty()) {
            let Self { wire, deadline, pace, stall, gathered, written, .. } = self;
            let slices = [IoSlice::new(&gathered[*written..]), IoSlice::new(octets), IoSlice::new(behind)];
            let write = |cx: &mut Context<'_>| Pin::new(&mut **wire).poll_write_vectored(cx, &slices);
            let count = until(deadline, *stall, write).await?;
            pace.took(wire.socket(), count as u64);
            (octets, behind) = self.wrote(count, octets, behind);
        }
        Ok(())
    }

    /// So many octets were written of what was gathered and of what is behind it; what is left of that.
    fn wrote<'b>(&mut self, count: usize, octets: &'b [u8], behind: &'b [u8]) -> (&'b [u8], &'b [u8]) {
        let first = count.min(self.gathered.len() - self.written);
        self.written += first;
        if self.written == self.gathered.len() {
            self.gathered.clear();
            self.written = 0;
        }
        let second = (count - first).min(octets.len());
        (&octets[second..], &behind[count - first - second..])
    }

    /// How much of a file the kernel is asked to send at once, before the thread's other connections have their turn.
    pub(super) const fn step(&self) -> u64 {
        self.pace.step()
    }

    /// Ready if the client has gone while it was owed an answer that is not there yet. One that has ended its side is given the time until
    /// `listens`, which is set when that is seen.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>, listens: &mut Option<Instant>) -> Poll<()> {
        // Over TLS, the next write finds it out.
        let Some(socket) = self.wire.plain() else { return Poll::Pending };
        while listens.is_none() && socket.poll_read_ready(cx).is_ready() {
            let look = || Ok(rustix::net::recv(socket, &mut [0; 1], RecvFlags::PEEK)?.0);
            match socket.try_io(Interest::READABLE, look) {
                Ok(0) => *listens = Some(Instant::now() + LISTENS),
                // A request that came early; how its client ends is seen when it is read.
                Ok(_) => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(()),
            }
        }
        listens.map_or(Poll::Pending, |due| self.deadline.poll(cx, due))
    }

    /// Lets the kernel send of a file what it takes at once. An error is the client's.
    pub(super) fn send_file(&mut self, file: &OpenFile, slice: Slice) -> io::Result<Sent> {
        let Some(socket) = self.wire.plain() else { return Ok(Sent::Never) };
        let mut offset = slice.offset;
        let most = usize::try_from(slice.length).unwrap_or(usize::MAX);
        let mut said = None;
        let mut ask = || {
            let sent = rustix::fs::sendfile(socket, file.as_fd(), Some(&mut offset), most);
            said = Some(sent);
            // A part means that the socket is full: to say so saves the call that would find it out.
            let full = sent.map_or_else(|errno| errno == Errno::AGAIN, |count| 0 < count && count < most);
            if full { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        // Its verdict is in what the kernel said, if that was asked at all.
        let _ = if std::mem::take(&mut self.asks_anyway) { ask() } else { socket.try_io(Interest::WRITABLE, ask) };
        match said {
            None => Ok(Sent::Full),
            Some(Ok(0)) => Ok(Sent::End),
            Some(Ok(count)) => {
                self.in_doubt = count < most;
                self.pace.took(socket, count as u64);
                Ok(Sent::Some(count))
            }
            Some(Err(errno)) => self.unsent(errno),
        }
    }

    /// What it means that the kernel sent nothing.
    fn unsent(&mut self, errno: Errno) -> io::Result<Sent> {
        self.in_doubt = errno == Errno::INTR;
        match errno {
            Errno::AGAIN | Errno::INTR => Ok(Sent::Full),
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => Ok(Sent::Never),
            Errno::PIPE | Errno::CONNRESET | Errno::CONNABORTED | Errno::NOTCONN | Errno::TIMEDOUT => Err(errno.into()),
            Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NETDOWN => Err(errno.into()),
            other => Ok(Sent::Failed(other)),
        }
    }

    /// Waits until the socket may take more; `since` the client last took something.
    pub(super) async fn writable(&mut self, since: Instant) -> io::Result<()> {
        let Some(socket) = self.wire.plain() else { return Ok(()) };
        let due = since + self.stall;
        let look = if self.in_doubt { due.min(Instant::now() + RETRY) } else { due };
        let deadline = &mut *self.deadline;
        self.asks_anyway = poll_fn(|cx| match socket.poll_write_ready(cx) {
            Poll::Pending => deadline.poll(cx, look).map(|()| Ok(true)),
            Poll::Ready(ready) => Poll::Ready(ready.map(|()| false)),
        })
        .await?;
        self.pace.waited(socket, since.elapsed());
        if Instant::now() >= due { Err(stalled()) } else { Ok(()) }
    }
}

/// Polls `act` until it is ready, for at most `limit`.
async fn until<T>(
    deadline: &mut Deadline,
    limit: Duration,
    mut act: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> io::Result<T> {
    let mut due = None;
    poll_fn(|cx| match act(cx) {
        Poll::Pending => {
            let due = *due.get_or_insert_with(|| Instant::now() + limit);
            deadline.poll(cx, due).map(|()| Err(stalled()))
        }
        ready => ready,
    })
    .await
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client took nothing of what it was sent")
}
