//! A body on its way out: pulled piece by piece, counted, and held to what was announced (invariant D1).

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use futures_util::Stream as _;

use crate::{
    answer::{Body, FileBody, Parts, Segment, Slice},
    disk::OpenFile,
    stream::ByteStream,
    transfers::Transfer,
};

/// A body on its way; dropping it ends the transfer.
pub(super) struct Outgoing {
    source: Source,
    /// Bytes that are still to come, if their number was announced.
    left: Option<u64>,
    transfer: Option<Transfer>,
}

enum Source {
    Nothing,
    Bytes(Bytes),
    File(FileSource),
    Stream(ByteStream),
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

/// Segments of a file, at most one chunk of them on its way.
pub(super) struct FileSource {
    pub(super) file: Arc<OpenFile>,
    pub(super) segments: VecDeque<Segment>,
    reading: Option<Reading>,
}

impl Outgoing {
    /// No body at all, and no transfer.
    pub(super) const fn nothing() -> Self {
        Self { source: Source::Nothing, left: Some(0), transfer: None }
    }

    pub(super) fn new(body: Body, transfer: Option<Transfer>) -> Self {
        let left = body.length();
        let source = match body {
            Body::Empty => Source::Nothing,
            Body::Bytes(bytes) => Source::Bytes(bytes),
            Body::File(body) => Source::File(FileSource::of(body)),
            Body::Stream(stream) => Source::Stream(stream),
        };
        if let (Some(0), Some(transfer)) = (left, &transfer) {
            // Nobody asks for the bytes of nothing.
            transfer.complete();
        }
        Self { source, left, transfer }
    }

    /// Bytes that are still to come, if their number was announced.
    pub(super) const fn left(&self) -> Option<u64> {
        self.left
    }

    /// Whether nothing is left to ask for.
    pub(super) const fn is_at_end(&self) -> bool {
        matches!(self.source, Source::Nothing) || matches!(self.left, Some(0))
    }

    /// Takes the file out, for an engine that sends it by itself and says so with [`Self::sent`].
    pub(super) fn take_file(&mut self) -> Option<FileSource> {
        match std::mem::replace(&mut self.source, Source::Nothing) {
            Source::File(file) => Some(file),
            other => {
                self.source = other;
                None
            }
        }
    }

    /// The first bytes of memory or of a file's first slice, and no more than there are, were sent, and counted, before.
    pub(super) fn skip(&mut self, count: u64) {
        match &mut self.source {
            Source::Bytes(bytes) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                bytes.advance(count.min(bytes.len()));
            }
            Source::File(FileSource { segments, .. }) => {
                if let Some(Segment::Slice(slice)) = segments.front_mut() {
                    slice.offset += count;
                    slice.length -= count.min(slice.length);
                }
            }
            Source::Nothing | Source::Stream(_) => {}
        }
        self.left = self.left.map(|left| left.saturating_sub(count));
    }

    /// Counts bytes that [`Self::poll_bytes`] did not hand over.
    pub(super) fn sent(&mut self, count: usize) {
        debug_assert!(self.left.is_none_or(|left| left >= count as u64), "D1: more than was announced");
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        if let Some(transfer) = &self.transfer {
            transfer.sent(count);
            if self.left == Some(0) {
                transfer.complete();
            }
        }
    }

    /// The next bytes, one at least; `None` at the end. After an error nothing more is to be asked for: the message cannot be completed.
    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let item = ready!(self.source.poll_bytes(cx));
            // Nothing is sent of nothing: clients count the empty frames of HTTP/2, and leave when there are many.
            if !matches!(&item, Some(Ok(bytes)) if bytes.is_empty()) {
                return Poll::Ready(self.account(item));
            }
        }
    }

    fn account(&mut self, item: Option<io::Result<Bytes>>) -> Option<io::Result<Bytes>> {
        let item = self.count(item);
        if let (Some(Err(_)), Some(transfer)) = (&item, &self.transfer) {
            transfer.fail();
        }
        item
    }

    fn count(&mut self, item: Option<io::Result<Bytes>>) -> Option<io::Result<Bytes>> {
        match (item, self.left) {
            (Some(Ok(bytes)), Some(left)) if bytes.len() as u64 > left => {
                Some(Err(io::Error::other("there is more than was announced")))
            }
            (Some(Ok(bytes)), _) => {
                // With a known length, the engine may not ask again after the last byte: this completes the transfer.
                self.sent(bytes.len());
                Some(Ok(bytes))
            }
            (None, Some(1..)) => {
                Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there is less than was announced")))
            }
            (None, _) => {
                if let Some(transfer) = &self.transfer {
                    transfer.complete();
                }
                None
            }
            (failed, _) => failed,
        }
    }
}

impl Source {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match self {
            Self::Nothing => Poll::Ready(None),
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Self::File(file) => file.poll_bytes(cx),
            Self::Stream(stream) => Pin::new(stream).poll_next(cx),
        }
    }
}

impl FileSource {
    fn of(FileBody { file, parts }: FileBody) -> Self {
        let segments = match parts {
            Parts::One(slice) => VecDeque::from([Segment::Slice(slice)]),
            Parts::Many(segments) => segments.iter().cloned().collect(),
        };
        Self { file, segments, reading: None }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(reading.as_mut().poll(cx));
                self.reading = None;
                return Poll::Ready(Some(read.and_then(|bytes| self.took(bytes))));
            }
            match self.segments.front() {
                None => return Poll::Ready(None),
                Some(Segment::Text(text)) => {
                    let text = text.clone();
                    self.segments.pop_front();
                    return Poll::Ready(Some(Ok(text)));
                }
                Some(Segment::Slice(Slice { length: 0, .. })) => {
                    self.segments.pop_front();
                }
                Some(Segment::Slice(Slice { offset, length })) => {
                    let (file, offset) = (Arc::clone(&self.file), *offset);
                    let most = usize::try_from(*length).unwrap_or(usize::MAX);
                    self.reading = Some(Box::pin(async move { file.read_at(offset, most).await }));
                }
            }
        }
    }

    /// Takes note of what was read of the first segment. Nothing read means that the file became shorter than it was.
    fn took(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        if bytes.is_empty() {
            return Err(truncated());
        }
        if let Some(Segment::Slice(slice)) = self.segments.front_mut() {
            let count = (bytes.len() as u64).min(slice.length);
            slice.offset += count;
            slice.length -= count;
        }
        Ok(bytes)
    }
}

/// The file became shorter than what was announced of it.
pub(super) fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file was truncated while it was sent")
}
