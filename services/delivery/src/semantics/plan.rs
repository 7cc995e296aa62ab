//! One request, one representation: which status, which header fields, which bytes.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{
    coding::Coding,
    conditions::{self, Verdict},
    multipart::{self, Boundary},
    ranges::{self, Selection},
    validators::{Etag, LastModified},
};
use crate::{
    answer::{Answer, Body, FileBody, Parts, Slice},
    disk::OpenFile,
};

/// What decides which form of a file is sent (RFC 9110 section 12.5.5).
const VARY: HeaderValue = HeaderValue::from_static("accept-encoding");

/// What is known of the thing that was asked for. It is borrowed: most of it was made when the file was opened.
#[derive(Debug, Clone)]
pub struct Representation<'a> {
    /// Its length in bytes.
    pub length: u64,
    /// Its entity tag.
    pub etag: Option<&'a Etag>,
    /// When it was last changed.
    pub last_modified: Option<&'a LastModified>,
    /// Its media type.
    pub content_type: &'a HeaderValue,
    /// Under which name it is saved.
    pub disposition: Option<HeaderValue>,
    /// How long caches may keep it.
    pub cache_control: Option<&'a HeaderValue>,
    /// The coding of its bytes; the media type is that of what they decode to.
    pub coding: Option<Coding>,
    /// Whether a request with another `Accept-Encoding` may get another representation.
    pub varies: bool,
}

/// The answer, but for the bytes themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The status code.
    pub status: StatusCode,
    /// Header fields, without those that frame the message.
    pub headers: HeaderMap,
    /// What is sent.
    pub content: Content,
}

/// What is sent of the representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// A line for people.
    Line(&'static str),
    /// Parts of it. To HEAD too: the engine takes their length and leaves the bytes out (RFC 9110 section 9.3.2).
    Parts(Parts),
}

/// The answer where the client takes no form that is there (RFC 9110 section 12.5.3).
#[must_use]
pub fn not_acceptable() -> Answer {
    Answer::text(StatusCode::NOT_ACCEPTABLE, "it is not there in a coding that is accepted").with(header::VARY, VARY)
}

/// Decides what answers a GET or HEAD for a representation that exists. A boundary is drawn for several parts only.
#[must_use]
pub fn plan(
    method: &Method,
    request: &HeaderMap,
    of: &Representation<'_>,
    boundary: impl FnOnce() -> Boundary,
) -> Plan {
    if conditions::present(request) {
        match conditions::judge(request, of.etag, of.last_modified) {
            Verdict::Proceed => {}
            Verdict::NotModified => return not_modified(of),
            Verdict::Failed => return refused(of, StatusCode::PRECONDITION_FAILED, "it is another version now"),
        }
    }
    let mut headers = described(of);
    let (status, parts) = match selection(method, request, of) {
        Selection::Whole => (StatusCode::OK, Parts::One(Slice { offset: 0, length: of.length })),
        Selection::One(range) => {
            headers.insert(header::CONTENT_RANGE, ascii(&ranges::content_range(&range, of.length)));
            let slice = Slice { offset: *range.start(), length: ranges::width(&range) };
            (StatusCode::PARTIAL_CONTENT, Parts::One(slice))
        }
        Selection::Many(ranges) => {
            let boundary = boundary();
            headers.insert(header::CONTENT_TYPE, boundary.content_type());
            let parts = multipart::layout(&ranges, of.length, of.content_type, boundary);
            (StatusCode::PARTIAL_CONTENT, parts)
        }
        Selection::Unsatisfiable => {
            let mut plan = refused(of, StatusCode::RANGE_NOT_SATISFIABLE, "the range lies outside");
            plan.headers.insert(header::CONTENT_RANGE, ascii(&format!("bytes */{}", of.length)));
            plan.headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            // Whoever asks beyond the end may have bytes of a longer version: this says whether it is another one.
            if let Some(etag) = of.etag {
                plan.headers.insert(header::ETAG, etag.value().clone());
            }
            return plan;
        }
    };
    Plan { status, headers, content: Content::Parts(parts) }
}

/// Range is defined for GET alone (RFC 9110 section 14.2).
fn selection(method: &Method, request: &HeaderMap, of: &Representation<'_>) -> Selection {
    let ranged = method == Method::GET
        && request.contains_key(header::RANGE)
        && conditions::range_applies(request, of.etag, of.last_modified);
    if ranged { ranges::select(request, of.length) } else { Selection::Whole }
}

impl Plan {
    /// The answer, with its bytes out of `file`.
    #[must_use]
    pub fn into_answer(self, file: Arc<OpenFile>) -> Answer {
        match self.content {
            Content::Nothing => Answer { headers: self.headers, ..Answer::empty(self.status) },
            Content::Line(line) => {
                let mut answer = Answer::text(self.status, line);
                answer.headers.extend(self.headers);
                answer
            }
            Content::Parts(parts) => {
                let body = Body::File(FileBody { file, parts });
                Answer { headers: self.headers, body, ..Answer::empty(self.status) }
            }
        }
    }
}

/// All fields of a 200; a 206 has them too (RFC 9110 section 15.3.7).
fn described(of: &Representation<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, of.content_type.clone());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(coding) = of.coding {
        headers.insert(header::CONTENT_ENCODING, coding.value());
    }
    if let Some(modified) = of.last_modified {
        headers.insert(header::LAST_MODIFIED, modified.value().clone());
    }
    if let Some(disposition) = &of.disposition {
        headers.insert(header::CONTENT_DISPOSITION, disposition.clone());
    }
    guide_caches(&mut headers, of);
    headers
}

/// 304 has what guides caches, and `Last-Modified` only where no entity tag does it better (RFC 9110 section 15.4.5).
fn not_modified(of: &Representation<'_>) -> Plan {
    let mut headers = HeaderMap::new();
    guide_caches(&mut headers, of);
    if let (None, Some(modified)) = (of.etag, of.last_modified) {
        headers.insert(header::LAST_MODIFIED, modified.value().clone());
    }
    Plan { status: StatusCode::NOT_MODIFIED, headers, content: Content::Nothing }
}

fn guide_caches(headers: &mut HeaderMap, of: &Representation<'_>) {
    if let Some(etag) = of.etag {
        headers.insert(header::ETAG, etag.value().clone());
    }
    if let Some(cache_control) = of.cache_control {
        headers.insert(header::CACHE_CONTROL, cache_control.clone());
    }
    if of.varies {
        headers.insert(header::VARY, VARY);
    }
}

fn refused(of: &Representation<'_>, status: StatusCode, line: &'static str) -> Plan {
    let mut headers = HeaderMap::new();
    if of.varies {
        headers.insert(header::VARY, VARY);
    }
    Plan { status, headers, content: Content::Line(line) }
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits and signs are plain ASCII")
}

#[cfg(test)]
mod tests;
