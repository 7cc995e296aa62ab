//! Which methods an object understands: RFC 9110 section 9.

use ferry_core::routes::Methods;
use http::{HeaderValue, Method, StatusCode, header};

use crate::{answer::Answer, request::Request};

/// The methods of every object, as `Allow` lists them.
pub const ALLOW: &str = "GET, HEAD, OPTIONS";

/// The answer to a request that is no plain GET or HEAD, or `None` for one that is.
///
/// A method that RFC 9110 or RFC 5789 defines is refused with 405 and `Allow`, any other with 501 (section 9.1). Content in a GET or HEAD
/// has no meaning (section 9.3.1) and is a known way to smuggle a second request, so it is refused unread.
#[must_use]
pub fn refusal(request: &Request) -> Option<Answer> {
    let unread = !request.content.is_empty();
    let answer = match request.method {
        Method::GET | Method::HEAD if unread => {
            Answer::text(StatusCode::PAYLOAD_TOO_LARGE, "a request for a file has no content")
        }
        Method::GET | Method::HEAD => return None,
        Method::OPTIONS => options(),
        Method::POST | Method::PUT | Method::DELETE | Method::PATCH | Method::TRACE | Method::CONNECT => {
            not_allowed(ALLOW)
        }
        _ => Answer::text(StatusCode::NOT_IMPLEMENTED, "the method is unknown here").with(header::ALLOW, allow()),
    };
    Some(if unread { answer.closing() } else { answer })
}

/// The same on a route that lets more through to an origin: `None` also for what passes there, with content or without. What does not pass is told
/// in `Allow` what does (section 10.2.1).
#[must_use]
pub fn refusal_on(methods: &Methods, request: &Request) -> Option<Answer> {
    if *methods != Methods::None && methods.pass(request.method.as_str()) {
        return None;
    }
    let mut answer = refusal(request)?;
    if let (Methods::Named(names), true) = (methods, answer.headers.contains_key(header::ALLOW)) {
        let own = names.iter().map(String::as_str).filter(|name| !ALLOW.split(", ").any(|usual| usual == *name));
        let all: Vec<_> = std::iter::once(ALLOW).chain(own).collect();
        if let Ok(all) = HeaderValue::try_from(all.join(", ")) {
            answer.headers.insert(header::ALLOW, all);
        }
    }
    Some(answer)
}

/// The answer to OPTIONS (section 9.3.7).
#[must_use]
pub fn options() -> Answer {
    Answer::empty(StatusCode::NO_CONTENT).with(header::ALLOW, allow())
}

/// 405 with the methods that are allowed (section 15.5.6).
#[must_use]
pub fn not_allowed(allowed: &'static str) -> Answer {
    Answer::text(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here")
        .with(header::ALLOW, HeaderValue::from_static(allowed))
}

const fn allow() -> HeaderValue {
    HeaderValue::from_static(ALLOW)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;
    use crate::{request::Content, stream::ByteStream};

    fn asked(method: &str, content: bool) -> Option<(u16, bool, bool)> {
        let mut request = Request::internal(method.parse().expect("a method"), "/a").expect("a request");
        if content {
            let bytes = stream::iter([Ok(Bytes::from_static(b"x"))]);
            request.content = Content::of(ByteStream::new(Some(1), bytes));
        }
        refusal(&request)
            .map(|answer| (answer.status.as_u16(), answer.headers.contains_key(header::ALLOW), answer.close))
    }

    #[test]
    fn a_route_lets_through_what_it_lists_and_names_it() {
        let named = Methods::Named(["POST", "GET", "REPORT"].map(str::to_owned).to_vec());
        let asked = |methods: &Methods, method: &str, content: bool| {
            let mut request = Request::internal(method.parse().expect("a method"), "/a").expect("a request");
            if content {
                request.content = Content::of(ByteStream::new(Some(1), stream::iter([Ok(Bytes::from_static(b"x"))])));
            }
            let answer = refusal_on(methods, &request)?;
            let allow = answer.headers.get_all(header::ALLOW).iter();
            let allow: Vec<_> = allow.map(|value| value.to_str().expect("a text").to_owned()).collect();
            Some((answer.status.as_u16(), allow.concat(), answer.close))
        };
        for (method, content) in [("GET", false), ("GET", true), ("HEAD", false), ("POST", true), ("REPORT", true)] {
            assert_eq!(asked(&named, method, content), None, "{method}, content: {content}");
        }
        let all = || "GET, HEAD, OPTIONS, POST, REPORT".to_owned();
        assert_eq!(asked(&named, "PUT", true), Some((405, all(), true)));
        assert_eq!(asked(&named, "BREW", false), Some((501, all(), false)));
        assert_eq!(asked(&named, "OPTIONS", false), Some((204, all(), false)));
        for method in ["PUT", "OPTIONS", "BREW"] {
            assert_eq!(asked(&Methods::All, method, true), None, "{method}");
        }
        assert_eq!(asked(&Methods::All, "TRACE", false), Some((405, ALLOW.to_owned(), false)));
        assert_eq!(asked(&Methods::None, "PUT", true), Some((405, ALLOW.to_owned(), true)));
        assert_eq!(asked(&Methods::None, "GET", true), Some((413, String::new(), true)));
    }

    #[test]
    fn only_get_and_head_without_content_are_served() {
        for (method, content, expected) in [
            ("GET", false, None),
            ("HEAD", false, None),
            ("GET", true, Some((413, false, true))),
            ("HEAD", true, Some((413, false, true))),
            ("OPTIONS", false, Some((204, true, false))),
            ("OPTIONS", true, Some((204, true, true))),
            ("POST", true, Some((405, true, true))),
            ("PUT", false, Some((405, true, false))),
            ("DELETE", false, Some((405, true, false))),
            ("PATCH", false, Some((405, true, false))),
            ("TRACE", false, Some((405, true, false))),
            ("CONNECT", false, Some((405, true, false))),
            ("BREW", false, Some((501, true, false))),
            ("get", false, Some((501, true, false))),
        ] {
            assert_eq!(asked(method, content), expected, "{method}, content: {content}");
        }
    }
}
