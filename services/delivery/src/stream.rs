//! A stream of bytes that is pulled: whoever reads it slowly slows its source, and nothing piles up in between.

mod patience;

use std::{
    fmt, io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, stream};

pub(crate) use patience::Patient;

type Source = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Bytes on their way, with their number where it is known.
///
/// An error item means that the rest will never come; it is the last item. Dropping the stream tells the source to stop.
pub struct ByteStream {
    // The mutex is never locked: it makes the stream `Sync`, so that a `&Request` may be held over an await.
    source: Mutex<Source>,
    length: Option<u64>,
}

impl ByteStream {
    /// A stream of exactly `length` bytes, if that is known.
    pub fn new(length: Option<u64>, source: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self { source: Mutex::new(Box::pin(source)), length }
    }

    /// A stream of nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Some(0), stream::empty())
    }

    /// How many bytes there are in all, if that was known when the stream began.
    #[must_use]
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    fn source(&mut self) -> Pin<&mut (dyn Stream<Item = io::Result<Bytes>> + Send)> {
        self.source.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut()
    }
}

impl Stream for ByteStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.source().poll_next(cx)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("length", &self.length).finish_non_exhaustive()
    }
}
