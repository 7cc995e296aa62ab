//! One request to one origin, until there is an answer to pass on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::Empty;
use hyper::body::Incoming;
use tokio::time;

use super::{OriginError, admission::Turn, body, client::Pool, heads, redirect, settings::Base, stats::Counters};
use crate::answer::{Answer, Body};

/// How long an origin may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For the head of a response.
    pub(super) head: Duration,
    /// For the next bytes of a body.
    pub(super) idle: Duration,
}

pub(super) struct Exchange<'a> {
    pub(super) base: &'a Base,
    pub(super) pool: &'a Pool,
    pub(super) counters: &'a Arc<Counters>,
    pub(super) limits: Limits,
}

impl Exchange<'_> {
    /// Asks, and asks again where the origin points within itself. The turn is held until the answer's body ends.
    pub(super) async fn run(
        self,
        method: &Method,
        mut address: Uri,
        headers: &HeaderMap,
        turn: Turn,
    ) -> Result<Answer, OriginError> {
        for followed in 0.. {
            let response = self.ask(method, &address, headers).await?;
            match redirect::step(self.base, &address, response.status(), response.headers(), followed) {
                redirect::Step::Done => return self.answer(method, headers, response, turn),
                redirect::Step::Follow(next) => address = next,
                redirect::Step::Refuse(location) => {
                    return Err(OriginError::Redirect { origin: self.base.clone(), location });
                }
            }
        }
        Err(OriginError::NoneLeft)
    }

    async fn ask(
        &self,
        method: &Method,
        address: &Uri,
        headers: &HeaderMap,
    ) -> Result<Response<Incoming>, OriginError> {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = address.clone();
        *request.headers_mut() = headers.clone();
        match time::timeout(self.limits.head, self.pool.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(cause)) => Err(OriginError::Unreachable { origin: self.base.clone(), cause }),
            Err(_) => Err(OriginError::Late { origin: self.base.clone(), limit: self.limits.head }),
        }
    }

    fn answer(
        &self,
        method: &Method,
        asked: &HeaderMap,
        response: Response<Incoming>,
        turn: Turn,
    ) -> Result<Answer, OriginError> {
        let (head, incoming) = response.into_parts();
        if !usable(head.status, asked) {
            let retry_after = head.headers.get(header::RETRY_AFTER).cloned();
            return Err(OriginError::Status { origin: self.base.clone(), status: head.status, retry_after });
        }
        let announced = head.headers.get(header::CONTENT_LENGTH).cloned();
        let mut answer = Answer { headers: heads::response(head.headers), ..Answer::empty(head.status) };
        if *method == Method::HEAD {
            // Nothing follows that could be counted: the origin's word is all there is.
            if let Some(length) = announced.filter(is_length) {
                answer.headers.insert(header::CONTENT_LENGTH, length);
            }
        } else if !incoming.is_end_stream() {
            let counters = Arc::clone(self.counters);
            answer.body = Body::Stream(body::stream(self.base.clone(), incoming, self.limits.idle, counters, turn));
        }
        Ok(answer)
    }
}

/// Whether a status answers a GET or HEAD such as ours. 206 does only if a range was asked for, 304 only if a condition was set:
/// else the one would be taken for the whole, and the other for nothing. A demand for credentials is for us, not for a client
/// who has none to give there.
fn usable(status: StatusCode, asked: &HeaderMap) -> bool {
    match status {
        StatusCode::OK => true,
        StatusCode::NOT_MODIFIED => {
            asked.contains_key(header::IF_NONE_MATCH) || asked.contains_key(header::IF_MODIFIED_SINCE)
        }
        StatusCode::PARTIAL_CONTENT => asked.contains_key(header::RANGE),
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => false,
        other => other.is_client_error(),
    }
}

fn is_length(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static("x"))])
    }

    #[test]
    fn an_answer_to_what_was_not_asked_is_no_answer() {
        let plain = HeaderMap::new();
        for (status, asked, expected) in [
            (StatusCode::OK, &plain, true),
            (StatusCode::NOT_FOUND, &plain, true),
            (StatusCode::PARTIAL_CONTENT, &plain, false),
            (StatusCode::PARTIAL_CONTENT, &with(header::RANGE), true),
            (StatusCode::NOT_MODIFIED, &plain, false),
            (StatusCode::NOT_MODIFIED, &with(header::IF_NONE_MATCH), true),
            (StatusCode::NOT_MODIFIED, &with(header::IF_MODIFIED_SINCE), true),
            (StatusCode::UNAUTHORIZED, &plain, false),
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, &plain, false),
            (StatusCode::INTERNAL_SERVER_ERROR, &plain, false),
        ] {
            assert_eq!(usable(status, asked), expected, "{status} to {asked:?}");
        }
    }
}
