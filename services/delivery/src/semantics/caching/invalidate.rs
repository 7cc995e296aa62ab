//! What a change at the origin makes doubtful here: RFC 9111 section 4.4.

use http::{Method, header};
use url::Url;

use super::{Asked, Got};

/// The targets (path and query) whose stored responses are to be marked ([`super::Stored::spoil`]) or removed after this exchange, the
/// request's own first; none if the method is safe or the response says that it failed.
///
/// `origin` is scheme and authority as the origin knows itself, such as `https://files.example`: `Location` and `Content-Location`
/// count only where they stay within it, so that no response makes doubtful what is another's.
#[must_use]
pub fn invalidated(asked: Asked<'_>, got: Got<'_>, origin: &str) -> Vec<String> {
    if is_safe(asked.method) || !(got.status.is_success() || got.status.is_redirection()) {
        return Vec::new();
    }
    let mut targets = vec![asked.target.to_owned()];
    let Some(base) = Url::parse(origin).and_then(|origin| origin.join(asked.target)).ok() else { return targets };
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        for value in got.headers.get_all(name) {
            let named = value.to_str().ok().and_then(|text| base.join(text).ok());
            let Some(named) = named.filter(|named| named.origin() == base.origin()) else { continue };
            let query = named.query().map_or_else(String::new, |query| format!("?{query}"));
            let target = format!("{}{query}", named.path());
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets
}

/// RFC 9110 section 9.2.1. A method that is not known may change anything.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::*;

    fn after(method: &str, status: u16, fields: &[(HeaderName, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).expect("a field value"));
        }
        let method = method.parse().expect("a method");
        let asked = Asked { method: &method, target: "/a/b?c=1", headers: &HeaderMap::new(), has_content: true };
        let got = Got { status: StatusCode::from_u16(status).expect("a status"), headers: &headers };
        invalidated(asked, got, "https://files.example")
    }

    #[test]
    fn a_change_that_succeeded_makes_its_target_doubtful() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get", "PURGE"] {
            for (status, changed) in [(200, true), (204, true), (303, true), (400, false), (404, false), (500, false)] {
                assert_eq!(!after(method, status, &[]).is_empty(), changed, "{method} {status}");
            }
            assert_eq!(after(method, 200, &[]), ["/a/b?c=1"]);
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(after(method, 200, &[(header::LOCATION, "/x")]).is_empty(), "{method}");
        }
    }

    #[test]
    fn so_it_does_with_what_it_names_at_the_same_origin() {
        for (location, named) in [
            ("/x", Some("/x")),
            ("x?y=2", Some("/a/x?y=2")),
            ("../x", Some("/x")),
            ("?d", Some("/a/b?d")),
            ("https://files.example/x#y", Some("/x")),
            ("https://files.example:443/x", Some("/x")),
            ("//files.example/x", Some("/x")),
            ("https://FILES.example/%78", Some("/%78")),
            ("https://files.example/a/b?c=1", None),
            ("https://files.example:8443/x", None),
            ("http://files.example/x", None),
            ("https://evil.example/x", None),
            ("//evil.example/x", None),
            ("https://files.example@evil.example/x", None),
            ("https://files.example.evil.example/x", None),
            ("javascript:alert(1)", None),
            ("https://[", None),
        ] {
            for name in [header::LOCATION, header::CONTENT_LOCATION] {
                let targets = after("POST", 201, &[(name, location)]);
                let expected: Vec<_> = ["/a/b?c=1"].into_iter().chain(named).collect();
                assert_eq!(targets, expected, "{location:?}");
            }
        }
        let both = [(header::LOCATION, "/x"), (header::CONTENT_LOCATION, "/y"), (header::LOCATION, "/x")];
        assert_eq!(after("PUT", 200, &both), ["/a/b?c=1", "/x", "/y"]);
    }

    #[test]
    fn what_was_asked_for_is_doubtful_even_where_the_origin_has_no_name() {
        let asked = Asked { method: &Method::PUT, target: "/a", headers: &HeaderMap::new(), has_content: false };
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_static("/x"));
        let got = Got { status: StatusCode::OK, headers: &headers };
        assert_eq!(invalidated(asked, got, "not a url"), ["/a"]);
    }
}
