//! A limit on how long the next bytes may take.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{self, Instant, Sleep};

/// A message's body as a stream that fails when its sender says nothing for too long.
///
/// The time runs while the reader waits for the sender, never while the reader is busy elsewhere: a slow client behind the reader
/// is not the sender's fault.
pub(crate) struct Patient {
    incoming: Incoming,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Patient {
    pub(crate) fn new(incoming: Incoming, limit: Duration) -> Self {
        Self { incoming, limit, deadline: Box::pin(time::sleep(limit)), waiting: false }
    }

    /// How many bytes were announced.
    pub(crate) fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                // Trailers are read over; empty frames say nothing.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Some(Ok(bytes))),
                    Ok(_) | Err(_) => {}
                },
            }
        }
    }
}

impl Stream for Patient {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(item) = this.poll_data(cx) {
            this.waiting = false;
            return Poll::Ready(item);
        }
        if !this.waiting {
            this.waiting = true;
            this.deadline.as_mut().reset(Instant::now() + this.limit);
        }
        ready!(this.deadline.as_mut().poll(cx));
        let late = format!("no bytes came for {:?}", this.limit);
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, late))))
    }
}
