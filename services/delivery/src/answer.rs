//! What goes back to the client, complete but for the framing, which belongs to the connection's engine.
//!
//! An engine adds `Date`, `Content-Length` (or chunked coding) and `Connection`, and leaves the body out of answers to HEAD.
//! It decides nothing else: everything that RFC 9110 says was decided before the answer came to be.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use crate::{disk::OpenFile, stream::ByteStream, transfers::Transfer};

/// An answer to one request.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// Header fields, without those that frame the message. Only where the body was left out already (HEAD passed on to an
    /// origin) may there be a `Content-Length`.
    pub headers: HeaderMap,
    /// The content.
    pub body: Body,
    /// The entry among the transfers under way; the engine reports progress to it, and dropping it ends it.
    pub transfer: Option<Transfer>,
    /// Whether the connection must not be used again, such as when a request's body was not read.
    pub close: bool,
    /// Until when another plain request ([`Request::plain`](crate::Request::plain)) would be given the same: until its age grows by a second, or its
    /// freshness ends. `None` for as long as its file stands; but what comes out of a cache is not given again without one.
    pub stands_until: Option<Instant>,
}

/// The content of an answer.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// Parts of a file. An engine may send them without the bytes entering the process.
    File(FileBody),
    /// Bytes from elsewhere, as they come.
    Stream(ByteStream),
}

/// Parts of one open file, in the order in which they are sent.
#[derive(Debug, Clone)]
pub struct FileBody {
    /// The file; it stays the same file whatever is renamed over its path.
    pub file: Arc<OpenFile>,
    /// What is sent of it.
    pub parts: Parts,
}

/// What is sent of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// One run of bytes: the whole file or a single range.
    One(Slice),
    /// The segments of a `multipart/byteranges` body.
    Many(Arc<[Segment]>),
}

/// A run of bytes within a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The first byte's position.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// A piece of a multipart body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A delimiter and a part's header, or the closing delimiter.
    Text(Bytes),
    /// Bytes of the file.
    Slice(Slice),
}

impl FileBody {
    /// What of the file is sent first.
    pub(crate) fn first(&self) -> Option<Slice> {
        let of = |segment: &Segment| match segment {
            Segment::Slice(slice) => Some(*slice),
            Segment::Text(_) => None,
        };
        match &self.parts {
            Parts::One(slice) => Some(*slice),
            Parts::Many(segments) => segments.iter().find_map(of),
        }
    }
}

impl Answer {
    /// An answer without content.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Body::Empty, transfer: None, close: false, stands_until: None }
    }

    /// The same answer to a HEAD whose GET would bring nobody knows how much: it says nothing of a length (RFC 9110 section 8.6).
    #[must_use]
    pub fn of_unknown_length(self) -> Self {
        Self { body: Body::Stream(ByteStream::new(None, futures_util::stream::empty())), ..self }
    }

    /// An answer that people read: one line of plain text.
    #[must_use]
    pub fn text(status: StatusCode, line: impl Into<Cow<'static, str>>) -> Self {
        let mut text = line.into().into_owned();
        text.push('\n');
        Self::bytes(status, HeaderValue::from_static("text/plain; charset=utf-8"), text)
    }

    /// An answer held in memory.
    #[must_use]
    pub fn bytes(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { body: Body::Bytes(body.into()), ..Self::empty(status) }.with(header::CONTENT_TYPE, content_type)
    }

    /// 503: this cannot be done now; ask again after `delay`, which is rounded up to whole seconds.
    #[must_use]
    pub fn unavailable(line: impl Into<Cow<'static, str>>, delay: Duration) -> Self {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        Self::text(StatusCode::SERVICE_UNAVAILABLE, line).with(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The same answer with one header field set, in place of any of that name.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same answer, after which the connection is closed.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }
}

impl Body {
    /// The same content once more, if that is parts of a file.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::File(file) => Some(Self::File(file.clone())),
            Self::Empty | Self::Bytes(_) | Self::Stream(_) => None,
        }
    }

    /// The exact number of bytes, where it is known before the first of them is sent.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(file) => Some(file.length()),
            Self::Stream(stream) => stream.length(),
        }
    }
}

impl FileBody {
    /// The exact number of bytes, headers of the parts included.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.parts.length()
    }
}

impl Parts {
    /// The exact number of bytes, headers of the parts included.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::One(slice) => slice.length,
            Self::Many(segments) => segments.iter().map(Segment::length).sum(),
        }
    }
}

impl Segment {
    /// How many bytes this piece has.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Slice(slice) => slice.length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_never_less_than_the_delay() {
        for (delay, seconds) in [(0, "0"), (1, "1"), (1_000, "1"), (1_001, "2"), (59_999, "60")] {
            let answer = Answer::unavailable("busy", Duration::from_millis(delay));
            assert_eq!(answer.headers[header::RETRY_AFTER], seconds, "{delay} ms");
        }
    }
}
