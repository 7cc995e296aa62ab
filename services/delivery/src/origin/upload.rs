//! The body of a request to an origin: none, or bytes that a client is still sending.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::{Body, Frame, SizeHint};

use crate::stream::ByteStream;

/// A request's body. It is pulled as the origin takes it.
pub(super) struct Upload(Option<ByteStream>);

impl Upload {
    /// That stream, or nothing.
    pub(super) fn of(stream: Option<ByteStream>) -> Self {
        Self(stream.filter(|stream| stream.length() != Some(0)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(stream) => stream.poll_next_unpin(cx).map(|item| item.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            None => SizeHint::with_exact(0),
            Some(stream) => stream.length().map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}
