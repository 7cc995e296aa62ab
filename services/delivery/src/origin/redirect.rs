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
    /// It leads elsewhere, or it is one too many.
    Refuse,
}

/// Where an origin's own redirects may lead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home<'a> {
    /// The origin as the operator has it.
    pub(super) base: &'a Base,
    /// The origin as it is asked for: it may know itself only by that name.
    pub(super) called: &'a Base,
}

/// Whether a status sends the client to another address.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Judges a response to a request for `asked`, after `followed` redirects.
pub(super) fn step(
    home: Home<'_>,
    asked: &Uri,
    status: StatusCode,
    headers: &http::HeaderMap,
    followed: usize,
) -> Step {
    if !is_redirect(status) {
        return Step::Done;
    }
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| Url::parse(&asked.to_string()).ok()?.join(location).ok());
    let Some(mut target) = target.filter(|_| followed < MOST) else { return Step::Refuse };
    target.set_fragment(None);
    let plain = target.username().is_empty() && target.password().is_none();
    if !plain || !(home.base.is_authority_of(&target) || home.called.is_authority_of(&target)) {
        return Step::Refuse;
    }
    let place = &target[url::Position::BeforePath..];
    home.called.beside(place).parse().map_or(Step::Refuse, Step::Follow)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn after(status: u16, location: &str, followed: usize) -> Step {
        let base: Base = "http://origin:81/files".parse().expect("a base");
        let called: Base = "http://files.example/files".parse().expect("a base");
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).expect("a field value"));
        let asked = Uri::from_static("http://files.example/files/a/b?q");
        let home = Home { base: &base, called: &called };
        step(home, &asked, StatusCode::from_u16(status).expect("a status"), &headers, followed)
    }

    #[test]
    fn a_redirect_stays_with_its_authority() {
        for (location, target) in [
            ("/c", "http://files.example/c"),
            ("c?x=1#f", "http://files.example/files/a/c?x=1"),
            ("http://ORIGIN:81/d", "http://files.example/d"),
            ("//origin:81/e", "http://files.example/e"),
            ("http://files.example:80/g", "http://files.example/g"),
        ] {
            assert_eq!(after(302, location, 0), Step::Follow(target.parse().expect("a URI")), "{location}");
        }
        for elsewhere in [
            "http://other:81/c",
            "http://origin/c",
            "http://files.example:81/c",
            "https://origin:81/c",
            "//evil/c",
            "http://u@origin:81/c",
            "file:///etc",
        ] {
            assert_eq!(after(302, elsewhere, 0), Step::Refuse, "{elsewhere}");
        }
    }

    #[test]
    fn only_so_many_redirects_are_followed() {
        for status in [301, 302, 303, 307, 308] {
            assert!(matches!(after(status, "/c", MOST - 1), Step::Follow(_)), "{status}");
            assert_eq!(after(status, "/c", MOST), Step::Refuse, "{status}");
        }
        for status in [200, 206, 300, 304, 404, 500] {
            assert_eq!(after(status, "/c", 0), Step::Done, "{status}");
        }
    }
}
