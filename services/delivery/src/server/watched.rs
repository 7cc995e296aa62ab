//! A socket that tells its connection's [`Clock`] what passes through it, and shows it to [`Heads`] before hyper reads it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{activity::Activity, deadline::Deadline, heads::Heads, linger::Linger};

/// A connection's activity and its time.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) activity: Activity,
    begin: Instant,
}

/// A socket, watched.
pub(super) struct Watched<S> {
    socket: S,
    /// What was read of it before.
    received: Bytes,
    clock: Arc<Clock>,
    heads: Heads,
    /// Once this end is closed.
    ending: Option<Box<(Linger, Deadline)>>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { activity: Activity::new(), begin: Instant::now() }
    }

    /// The time since the connection began.
    pub(super) fn now(&self) -> Duration {
        self.begin.elapsed()
    }
}

impl<S> Watched<S> {
    /// Watches a socket of which `received` was read already.
    pub(super) const fn new(socket: S, received: Bytes, clock: Arc<Clock>) -> Self {
        Self { socket, received, clock, heads: Heads::new(), ending: None }
    }

    fn poll_octets(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + Unpin,
    {
        if self.received.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let count = self.received.len().min(buf.remaining());
        buf.put_slice(&self.received.split_to(count));
        Poll::Ready(Ok(()))
    }

    fn note<T>(&self, written: &Poll<io::Result<T>>) {
        match written {
            Poll::Pending => self.clock.activity.blocked(self.clock.now()),
            Poll::Ready(_) => self.clock.activity.sent(self.clock.now()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            let read = self.poll_octets(cx, buf);
            let came = buf.filled().len() - before;
            if came == 0 {
                return read;
            }
            self.clock.activity.received(self.clock.now());
            let kept = self.heads.pass(&mut buf.filled_mut()[before..]);
            buf.set_filled(before + kept);
            // To return with nothing would mean the end.
            if kept > 0 {
                return read;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A flush that ends says nothing of progress; one that waits (TLS) waits for the client.
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if flushed.is_pending() {
            self.note(&flushed);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, ending, .. } = &mut *self;
        if ending.is_none() {
            ready!(Pin::new(&mut *socket).poll_shutdown(cx))?;
        }
        let (linger, deadline) = &mut **ending.get_or_insert_with(|| {
            let linger = Linger::begin();
            let deadline = Deadline::at(linger.due());
            Box::new((linger, deadline))
        });
        linger.poll(cx, socket, deadline).map(Ok)
    }
}
