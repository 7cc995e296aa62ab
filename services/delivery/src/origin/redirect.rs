//! Redirects of an origin: followed within its own authority, a few times.
//!
//! What an origin sends never chooses a host to connect to; a redirect into the cluster could come round for ever.

use http::{StatusCode, Uri, header};
use url::Url;

use super::settings::Base;

/// How many are followed for one request.
pub(super) const MOST: usize = 3;

/// What to do about a response's status.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is no redirect.
    Done,
    /// Ask there.
    Follow(Uri),
    /// Give up; the target as the log may have it.
    Refuse(String),
}

/// Judges a response to a request for `asked`, after `followed` redirects.
pub(super) fn step(base: &Base, asked: &Uri, status: StatusCode, headers: &http::HeaderMap, followed: usize) -> Step {
    let redirects = matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !redirects {
        return Step::Done;
    }
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
    let refused = || Step::Refuse(location.chars().take(200).collect());
    let Some(mut target) = Url::parse(&asked.to_string()).ok().and_then(|asked| asked.join(location).ok()) else {
        return refused();
    };
    target.set_fragment(None);
    let plain = target.username().is_empty() && target.password().is_none();
    if followed >= MOST || !plain || !base.is_authority_of(&target) {
        return refused();
    }
    target.as_str().parse().map_or_else(|_| refused(), Step::Follow)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn after(status: u16, location: &str, followed: usize) -> Step {
        let base: Base = "http://origin:81/files".parse().expect("a base");
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).expect("a field value"));
        let asked = Uri::from_static("http://origin:81/files/a/b?q");
        step(&base, &asked, StatusCode::from_u16(status).expect("a status"), &headers, followed)
    }

    #[test]
    fn a_redirect_stays_with_its_authority() {
        for (location, target) in [
            ("/c", "http://origin:81/c"),
            ("c?x=1#f", "http://origin:81/files/a/c?x=1"),
            ("http://ORIGIN:81/d", "http://origin:81/d"),
            ("//origin:81/e", "http://origin:81/e"),
        ] {
            assert_eq!(after(302, location, 0), Step::Follow(target.parse().expect("a URI")), "{location}");
        }
        for elsewhere in [
            "http://other:81/c",
            "http://origin/c",
            "https://origin:81/c",
            "//evil/c",
            "http://u@origin:81/c",
            "file:///etc",
        ] {
            assert_eq!(after(302, elsewhere, 0), Step::Refuse(elsewhere.to_owned()));
        }
    }

    #[test]
    fn only_so_many_redirects_are_followed() {
        for status in [301, 302, 303, 307, 308] {
            assert!(matches!(after(status, "/c", MOST - 1), Step::Follow(_)), "{status}");
            assert!(matches!(after(status, "/c", MOST), Step::Refuse(_)), "{status}");
        }
        for status in [200, 206, 300, 304, 404, 500] {
            assert_eq!(after(status, "/c", 0), Step::Done, "{status}");
        }
    }
}
