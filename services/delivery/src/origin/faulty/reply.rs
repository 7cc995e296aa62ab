//! What a request gets: decided here, for both protocols alike.

use std::{ops::Range, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{Content, Fault, Seen};
use crate::semantics::ranges::{self, Selection};

/// The date of all versions. It says nothing about the bytes: it is no strong validator.
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// An answer, as it is to be sent.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    pub(super) version: u64,
    /// The positions that are sent.
    pub(super) range: Range<u64>,
    /// `Content-Length`; chunked without one.
    pub(super) announced: Option<u64>,
    /// Whether the body is left out, as HEAD and some statuses have it.
    pub(super) bare: bool,
    pub(super) manner: Manner,
    /// How long its head is waited for.
    pub(super) late: Duration,
}

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    Slow(Duration),
    Silent,
    Garbage,
    Unheard,
    Hang(u64),
    Reset(u64),
    Close(u64),
    GoAway(u64),
    Last,
}

impl Reply {
    pub(super) fn to(request: &Seen, content: Content, version: u64, fault: &Fault, fields: HeaderMap) -> Self {
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let mut reply = match fault {
            Fault::Status(status) => Self::bare(*status, content),
            Fault::StatusWith(status, name, value) => {
                let mut reply = Self::bare(*status, content);
                reply.set(name, value);
                reply
            }
            Fault::Redirect(location) => {
                let mut reply = Self::bare(302, content);
                reply.set("location", location);
                reply
            }
            _ if !reads => Self { headers: fields, ..Self::bare(200, content) },
            _ => Self::good(request, content, version, fault, fields),
        };
        reply.bare |= request.method == Method::HEAD;
        reply.spoil(fault);
        reply
    }

    fn bare(status: u16, content: Content) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a test names a status"),
            headers: HeaderMap::new(),
            content,
            version: 0,
            range: 0..0,
            announced: Some(0),
            bare: false,
            manner: Manner::Whole,
            late: Duration::ZERO,
        }
    }

    /// As a good server answers a GET or HEAD.
    fn good(request: &Seen, content: Content, version: u64, fault: &Fault, fields: HeaderMap) -> Self {
        let etag = content.etag(version);
        let says =
            |name| request.headers.get(name).is_some_and(|value: &HeaderValue| value.as_bytes() == etag.as_bytes());
        let asked = !request.headers.contains_key(header::IF_RANGE) || says(header::IF_RANGE);
        let ranged = (asked && !fault.has(&Fault::Whole)) || fault.has(&Fault::Careless);
        let length = content.length();
        let mut reply = Self { headers: fields, version, ..Self::bare(200, content) };
        reply.set("etag", &etag);
        reply.set("last-modified", MODIFIED);
        reply.set("accept-ranges", "bytes");
        reply.set("content-type", "application/octet-stream");
        if says(header::IF_NONE_MATCH) {
            return Self { status: StatusCode::NOT_MODIFIED, bare: true, announced: None, ..reply };
        }
        let selection = if ranged { ranges::select(&request.headers, length) } else { Selection::Whole };
        match selection {
            // Several parts in one answer are beyond it.
            Selection::Whole | Selection::Many(_) => reply.range = 0..length,
            Selection::One(part) => {
                reply.status = StatusCode::PARTIAL_CONTENT;
                reply.range = *part.start()..*part.end() + 1;
                reply.label(0);
            }
            Selection::Unsatisfiable => {
                reply.status = StatusCode::RANGE_NOT_SATISFIABLE;
                reply.set("content-range", &format!("bytes */{length}"));
            }
        }
        reply.announced = Some(reply.range.end - reply.range.start);
        reply
    }

    fn spoil(&mut self, fault: &Fault) {
        let partial = self.status == StatusCode::PARTIAL_CONTENT;
        match fault {
            Fault::None
            | Fault::Whole
            | Fault::Renewed
            | Fault::Careless
            | Fault::Status(_)
            | Fault::StatusWith(..)
            | Fault::Redirect(_) => {}
            Fault::Both(both) => both.iter().for_each(|fault| self.spoil(fault)),
            Fault::Slow(pause) => self.manner = Manner::Slow(*pause),
            Fault::Late(pause) => self.late = *pause,
            Fault::Silent => self.manner = Manner::Silent,
            Fault::Garbage => self.manner = Manner::Garbage,
            Fault::Unheard => self.manner = Manner::Unheard,
            Fault::Hang(at) => self.manner = Manner::Hang(*at),
            Fault::Reset(at) => self.manner = Manner::Reset(*at),
            Fault::Close(at) => self.manner = Manner::Close(*at),
            Fault::GoAway(at) => self.manner = Manner::GoAway(*at),
            Fault::Last => self.manner = Manner::Last,
            Fault::Chunked => self.announced = None,
            Fault::ChunkedClose(at) => (self.announced, self.manner) = (None, Manner::Close(*at)),
            Fault::Stub(most) => {
                self.range.end = self.range.end.min(self.range.start + most);
                self.announced = None;
            }
            Fault::Overlong(more) => {
                self.manner = Manner::Close(self.range.end - self.range.start);
                self.announced = self.announced.map(|length| length + more);
            }
            Fault::Overfull(more) => {
                self.announced = self.announced.map(|length| length.saturating_sub(*more));
                // What follows on the connection makes no sense: nobody may read it as the next answer.
                self.manner = Manner::Close(u64::MAX);
            }
            Fault::Shifted if partial => self.label(1),
            Fault::Unlabelled if partial => drop(self.headers.remove(header::CONTENT_RANGE)),
            Fault::Miscounted if partial => {
                self.range.end -= 1;
                self.announced = self.announced.map(|length| length - 1);
            }
            Fault::Short { tagged } if partial => {
                self.range.end -= 1;
                self.announced = None;
                if !tagged {
                    self.headers.remove(header::ETAG);
                }
            }
            Fault::Shifted | Fault::Unlabelled | Fault::Miscounted | Fault::Short { .. } => {}
            Fault::Weak => self.set("etag", &format!("W/{}", self.content.etag(self.version))),
            Fault::Untagged => {
                self.headers.remove(header::ETAG);
                self.headers.remove(header::LAST_MODIFIED);
            }
            Fault::GzipLie => self.set("content-encoding", "gzip"),
        }
    }

    /// Says which part it is, or one beside it.
    fn label(&mut self, beside: u64) {
        let (first, last) = (self.range.start + beside, self.range.end - 1 + beside);
        self.set("content-range", &format!("bytes {first}-{last}/{}", self.content.length() + beside));
    }

    fn set(&mut self, name: &str, value: &str) {
        let name: header::HeaderName = name.parse().expect("a test names a field");
        self.headers.insert(name, value.parse().expect("a test gives a field value"));
    }

    /// The body in pieces, with what is to be waited for before each; and where it stops short, if it does.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        let stop = match self.manner {
            Manner::Hang(at) | Manner::Reset(at) | Manner::Close(at) | Manner::GoAway(at) => at,
            Manner::Whole | Manner::Slow(_) | Manner::Silent | Manner::Garbage | Manner::Unheard | Manner::Last => {
                u64::MAX
            }
        };
        let end = if self.bare { self.range.start } else { self.range.end.min(self.range.start.saturating_add(stop)) };
        let size = match self.manner {
            Manner::Slow(_) => (end - self.range.start).div_ceil(16).max(1),
            _ => 16 << 10,
        };
        let (content, version, start) = (self.content, self.version, self.range.start);
        (0..(end - start).div_ceil(size)).map(move |index| {
            let first = start + index * size;
            content.bytes(version, first..(first + size).min(end))
        })
    }
}
