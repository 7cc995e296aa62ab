//! An answer as hyper wants it: the framing fields, and a body that is pulled chunk by chunk.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Stream as _;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::watched::Clock;
use crate::{
    answer::{Answer, Body, FileBody, Parts, Segment, Slice},
    disk::OpenFile,
    stream::ByteStream,
    transfers::Transfer,
};

/// How much of a file is in memory for one client: large enough that reading costs little, small enough for thousands of clients.
const CHUNK: u64 = 128 * 1024;

/// A body on its way; dropping it ends the transfer.
pub(super) struct Rendered {
    source: Source,
    /// Bytes that are still to come, if their number was announced.
    left: Option<u64>,
    transfer: Option<Transfer>,
    clock: Arc<Clock>,
    owing: bool,
}

enum Source {
    Nothing,
    Bytes(Bytes),
    File(FileSource),
    Stream(ByteStream),
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

/// Segments of a file, at most one chunk of them on its way.
struct FileSource {
    file: Arc<OpenFile>,
    segments: VecDeque<Segment>,
    reading: Option<Reading>,
}

/// Renders an answer to a request of that method and version. The clock's request ends with the body.
pub(super) fn response(answer: Answer, method: &Method, version: Version, clock: Arc<Clock>) -> Response<Rendered> {
    let Answer { status, mut headers, body, mut transfer, close } = answer;
    let silent = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational();
    let length = body.length();
    if silent {
        // RFC 9110 section 8.6: none at all with 204, and what a 304 could say here would be wrong.
        headers.remove(header::CONTENT_LENGTH);
    } else if *method == Method::HEAD {
        // The length of what GET would send, where that is known; a handler that left the body out says it itself.
        if let (Some(length), false) = (length, headers.contains_key(header::CONTENT_LENGTH)) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    } else {
        match length {
            Some(length) => headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length)),
            None => headers.remove(header::CONTENT_LENGTH),
        };
    }
    if close && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let source = if silent || *method == Method::HEAD {
        transfer = None;
        Source::Nothing
    } else {
        Source::of(body)
    };
    let left = if matches!(source, Source::Nothing) { Some(0) } else { length };
    if let (Some(0), Some(transfer)) = (left, &transfer) {
        // No engine asks for the bytes of nothing.
        transfer.complete();
    }
    let mut response = Response::new(Rendered { source, left, transfer, clock, owing: false });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl Source {
    fn of(body: Body) -> Self {
        match body {
            Body::Empty => Self::Nothing,
            Body::Bytes(bytes) => Self::Bytes(bytes),
            Body::File(FileBody { file, parts }) => {
                let segments = match parts {
                    Parts::One(slice) => VecDeque::from([Segment::Slice(slice)]),
                    Parts::Many(segments) => segments.iter().cloned().collect(),
                };
                Self::File(FileSource { file, segments, reading: None })
            }
            Body::Stream(stream) => Self::Stream(stream),
        }
    }

    /// The next bytes; `None` at the end.
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
                    let most = usize::try_from(CHUNK.min(*length)).unwrap_or(usize::MAX);
                    self.reading = Some(Box::pin(async move { file.read_at(offset, most).await }));
                }
            }
        }
    }

    /// Takes note of what was read of the first segment. Nothing read means that the file became shorter than it was.
    fn took(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was truncated while it was sent"));
        }
        if let Some(Segment::Slice(slice)) = self.segments.front_mut() {
            let count = (bytes.len() as u64).min(slice.length);
            slice.offset += count;
            slice.length -= count;
        }
        Ok(bytes)
    }
}

impl Rendered {
    /// Counts what is handed over, and holds it to what was announced (invariant D1).
    fn account(&mut self, item: Option<io::Result<Bytes>>) -> Option<io::Result<Bytes>> {
        let checked = match (item, self.left) {
            (Some(Ok(bytes)), Some(left)) => match left.checked_sub(bytes.len() as u64) {
                Some(rest) => {
                    self.left = Some(rest);
                    Some(Ok(bytes))
                }
                None => Some(Err(io::Error::other("there is more than was announced"))),
            },
            (None, Some(left)) if left > 0 => {
                Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there is less than was announced")))
            }
            (item, _) => item,
        };
        if let (Some(Ok(bytes)), Some(transfer)) = (&checked, &self.transfer) {
            transfer.sent(bytes.len());
        }
        // With a known length, the engine may not ask again after the last byte.
        let ended = checked.is_none() || (self.left == Some(0) && matches!(checked, Some(Ok(_))));
        if let (true, Some(transfer)) = (ended, &self.transfer) {
            transfer.complete();
        }
        if let Some(Err(error)) = &checked {
            tracing::warn!(error = %ferry_core::chain::Chain(error), "an answer ends short");
        }
        checked
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.owing) {
            self.clock.activity.owes_no_more();
        }
    }
}

impl HttpBody for Rendered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // To be asked means that what was handed over before has gone on.
        self.settle();
        let item = ready!(self.source.poll_bytes(cx));
        let item = self.account(item);
        if matches!(item, Some(Ok(_))) {
            self.owing = true;
            self.clock.activity.owes(self.clock.now());
        }
        Poll::Ready(item.map(|item| item.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Nothing) || self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Rendered {
    fn drop(&mut self) {
        self.settle();
        self.clock.activity.end(self.clock.now());
    }
}

#[cfg(test)]
mod tests;
