//! An origin's body on its way to a client.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::Incoming;

use super::{admission::Turn, settings::Base, stats::Counters};
use crate::stream::{ByteStream, Patient};

/// A body that gives its origin's slot back when it ends or is dropped.
struct Passing {
    origin: Base,
    bytes: Patient,
    counters: Arc<Counters>,
    _turn: Turn,
}

/// The body as a stream. It fails when the origin sends nothing for `idle`, or less than it announced.
pub(super) fn stream(
    origin: Base,
    incoming: Incoming,
    idle: Duration,
    counters: Arc<Counters>,
    turn: Turn,
) -> ByteStream {
    let bytes = Patient::new(incoming, idle);
    ByteStream::new(bytes.length(), Passing { origin, bytes, counters, _turn: turn })
}

impl Stream for Passing {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.bytes).poll_next(cx));
        if let Some(Err(error)) = &item {
            self.counters.failed();
            tracing::warn!(origin = %self.origin, error = %ferry_core::chain::Chain(error), "the origin broke off in mid-body");
        }
        Poll::Ready(item)
    }
}
