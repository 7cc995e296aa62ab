//! An origin's response on its way to a client, unchanged but for what is not for clients.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{OriginError, Response, heads, redirect};
use crate::answer::{Answer, Body};

/// The answer that a response makes to a request with the fields `asked`; an error where it makes none.
pub(super) fn on(method: &Method, asked: &HeaderMap, response: Response) -> Result<Answer, OriginError> {
    if !usable(response.status, asked) {
        return Err(refused(response));
    }
    let headers = heads::passed_on(response.headers.clone());
    Ok(framed(method, headers, response))
}

/// The answer to a request that an application is asked in its client's name: all that the origin said.
pub(super) fn whole(method: &Method, response: Response) -> Answer {
    let mut headers = heads::kept(response.headers.clone(), true);
    headers.remove(header::CONTENT_LENGTH);
    framed(method, headers, response)
}

fn framed(method: &Method, headers: HeaderMap, response: Response) -> Answer {
    let announced = response.headers.get(header::CONTENT_LENGTH).cloned();
    let mut answer = Answer { headers, ..Answer::empty(response.status) };
    if *method == Method::HEAD {
        // Nothing follows that could be counted: the origin's word is all there is.
        match announced.filter(is_length) {
            Some(length) => drop(answer.headers.insert(header::CONTENT_LENGTH, length)),
            None => answer = answer.of_unknown_length(),
        }
    } else if !response.body.is_over() {
        answer.body = Body::Stream(response.body.into_stream());
    }
    answer
}

fn refused(response: Response) -> OriginError {
    let Response { status, headers, origin, .. } = response;
    if redirect::is_redirect(status) {
        let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
        return OriginError::Redirect { origin, location: location.chars().take(200).collect() };
    }
    OriginError::Status { origin, status, retry_after: headers.get(header::RETRY_AFTER).cloned() }
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
