//! From an answer to a framed message: what every engine does alike.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::outgoing::Outgoing;
use crate::answer::Answer;

/// An answer with its `Content-Length`, and without the body that its method or status forbids.
pub(super) struct Framed {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) outgoing: Outgoing,
    /// Whether the end of the body follows from the head; if not, the engine has to mark it.
    pub(super) delimited: bool,
    /// Whether the connection must not be used again.
    pub(super) close: bool,
}

/// Frames the answer to a request of that method (RFC 9110 section 8.6, RFC 9112 section 6).
pub(super) fn frame(answer: Answer, method: &Method) -> Framed {
    let Answer { status, mut headers, body, transfer, close, stands_until: _ } = answer;
    let length = body.length();
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational() {
        // None at all with 204, and what a 304 could say here would be wrong.
        headers.remove(header::CONTENT_LENGTH);
        return Framed { status, headers, outgoing: Outgoing::nothing(), delimited: true, close };
    }
    if *method == Method::HEAD {
        // The length of what GET would send, where that is known; a handler that left the body out says it itself.
        if let (Some(length), false) = (length, headers.contains_key(header::CONTENT_LENGTH)) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        return Framed { status, headers, outgoing: Outgoing::nothing(), delimited: true, close };
    }
    match length {
        Some(length) => headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length)),
        None => headers.remove(header::CONTENT_LENGTH),
    };
    Framed { status, headers, outgoing: Outgoing::new(body, transfer), delimited: length.is_some(), close }
}
