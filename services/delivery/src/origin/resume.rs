//! How to go on with a body that broke off, and when not to.
//!
//! Pure. Bytes of two fetches are put together only if the origin vouches, by one strong entity tag, that they are of one
//! representation, and says that it sends exactly the bytes that are missing (RFC 9110 sections 13.1.5 and 15.3.7.3).

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::partial::{ContentRange, content_length};
use crate::semantics::validators::Tag;

/// What it takes to ask for the rest of a body.
#[derive(Debug)]
pub struct Plan {
    /// Path and query.
    pub(super) target: String,
    /// The fields of the request, without ranges and conditions.
    request: HeaderMap,
    etag: HeaderValue,
    coding: Option<HeaderValue>,
    /// The position of the next byte within the whole.
    next: u64,
    /// The position after the last byte that is wanted, where it is known.
    end: Option<u64>,
    total: Option<u64>,
}

/// What a response to a request for the rest comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the rest.
    Rest,
    /// The origin cannot answer now; perhaps later.
    Later,
    /// There is no such rest any more, or no way to have it.
    Gone,
}

impl Plan {
    /// A plan for the body of a response to a request (its method, target and fields), if it is one that can be gone on with.
    #[must_use]
    pub fn of(
        (method, target, request): (&Method, &str, &HeaderMap),
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let (first, end, total) = match status {
            StatusCode::OK => (0, content_length(headers), content_length(headers)),
            StatusCode::PARTIAL_CONTENT => {
                let part = ContentRange::of(headers)?;
                (part.first, Some(part.last + 1), part.total)
            }
            _ => return None,
        };
        let etag = strong_etag(headers).filter(|_| *method == Method::GET)?.clone();
        let mut request = request.clone();
        for condition in
            [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE]
        {
            request.remove(condition);
        }
        let coding = headers.get(header::CONTENT_ENCODING).cloned();
        Some(Self { target: target.to_owned(), request, etag, coding, next: first, end, total })
    }

    /// So many bytes more have arrived.
    pub const fn advance(&mut self, bytes: u64) {
        self.next += bytes;
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.end == Some(self.next)
    }

    /// How many bytes are missing, where that is known.
    #[must_use]
    pub fn missing(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.next))
    }

    /// The fields of a request for the rest.
    #[must_use]
    pub fn request(&self) -> HeaderMap {
        let mut request = self.request.clone();
        let range = match self.end {
            Some(end) => format!("bytes={}-{}", self.next, end.saturating_sub(1)),
            None => format!("bytes={}-", self.next),
        };
        request.insert(header::RANGE, HeaderValue::try_from(range).expect("digits and a dash"));
        request.insert(header::IF_RANGE, self.etag.clone());
        request
    }

    /// Judges a response to that request. If it is the rest, its end is known from now on.
    pub fn judge(&mut self, status: StatusCode, headers: &HeaderMap) -> Verdict {
        if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
            return Verdict::Later;
        }
        let Some(part) = ContentRange::of(headers).filter(|_| status == StatusCode::PARTIAL_CONTENT) else {
            return Verdict::Gone;
        };
        let Some(end) = self.end.or(part.total) else { return Verdict::Gone };
        let exact =
            part.first == self.next && part.last + 1 == end && (self.total.is_none() || part.total == self.total);
        let sound = content_length(headers).is_none_or(|length| length == part.width());
        let same = strong_etag(headers).is_some_and(|etag| *etag == self.etag)
            && headers.get(header::CONTENT_ENCODING) == self.coding.as_ref();
        if exact && sound && same {
            (self.end, self.total) = (Some(end), part.total);
            return Verdict::Rest;
        }
        Verdict::Gone
    }
}

/// The one entity tag, if it is strong (RFC 9110 section 8.8.1): equal ones then mean equal bytes.
fn strong_etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(header::ETAG).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    Tag::parse(line.as_bytes()).filter(|tag| tag.matches_strongly(*tag)).map(|_| line)
}

#[cfg(test)]
mod tests;
