use super::*;
use crate::semantics::caching::{
    fixture::{DATE, NOW, headers},
    freshness::Source,
};

const TIMES: Times = Times { requested: NOW, received: NOW };
const TAG: (&str, &str) = ("etag", "\"v\"");
const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// A request, as method, target, fields, and whether it has content.
type Request<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

const GET: Request<'_> = ("GET", &[], false);

fn judged(request: Request<'_>, status: u16, fields: &[(&str, &str)], policy: &Policy) -> Result<Terms, WhyNot> {
    let (method, asked, has_content) = request;
    let (method, asked) = (method.parse().expect("a method"), headers(asked));
    let asked = Asked { method: &method, target: "/a?b", headers: &asked, has_content };
    let status = StatusCode::from_u16(status).expect("a status");
    storable(asked, Got { status, headers: &headers(fields) }, TIMES, policy)
}

fn why(request: Request<'_>, status: u16, fields: &[(&str, &str)]) -> Option<WhyNot> {
    judged(request, status, fields, &Policy::default()).err()
}

const fn cc(value: &str) -> (&str, &str) {
    ("cache-control", value)
}

#[test]
fn only_what_a_get_brings_is_stored() {
    assert_eq!(why(GET, 200, &[FRESH]), None);
    assert_eq!(why(("GET", &[], true), 200, &[FRESH]), Some(WhyNot::Content));
    for method in ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "M-SEARCH", "get"] {
        assert_eq!(why((method, &[], false), 200, &[FRESH]), Some(WhyNot::Method), "{method}");
    }
}

#[test]
fn a_post_is_stored_for_get_only_if_its_response_says_so_and_the_policy_too() {
    // RFC 9110 section 9.3.3
    let policy = Policy { store_post: true, ..Policy::default() };
    let post = ("POST", &[][..], true);
    let location = |value| ("content-location", value);
    for (status, fields, stored) in [
        (200, &[FRESH, location("/a?b")][..], true),
        (200, &[FRESH], false),
        (200, &[FRESH, location("/a")], false),
        (200, &[FRESH, location("/a?b"), location("/a?b")], false),
        (201, &[FRESH, location("/a?b")], false),
        (200, &[TAG, ("last-modified", "Sat, 08 Sep 2001 01:46:40 GMT"), location("/a?b")], false),
        (200, &[cc("no-store"), location("/a?b")], false),
    ] {
        assert_eq!(judged(post, status, fields, &policy).is_ok(), stored, "{status} {fields:?}");
    }
    assert_eq!(why(post, 200, &[FRESH, location("/a?b")]), Some(WhyNot::Method));
}

#[test]
fn what_speaks_of_one_request_is_not_stored() {
    for status in [304, 401, 407, 408, 412, 413, 415, 416, 417, 421, 425, 426, 428, 429, 431, 511] {
        assert_eq!(why(GET, status, &[FRESH, TAG]), Some(WhyNot::Status), "{status}");
    }
    for status in
        [200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 403, 404, 410, 451, 499, 500, 502, 503, 504, 599]
    {
        assert_eq!(why(GET, status, &[FRESH]), None, "{status}");
    }
}

#[test]
fn a_status_without_a_lifetime_is_stored_only_where_it_implies_one() {
    // RFC 9111 section 3, RFC 9110 section 15.1
    let old = ("last-modified", "Sat, 08 Sep 2001 01:46:40 GMT");
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(why(GET, status, &[old, DATE]), None, "{status}");
    }
    for status in [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599] {
        assert_eq!(why(GET, status, &[old, DATE]), Some(WhyNot::NoLifetime), "{status}");
        assert_eq!(why(GET, status, &[old, DATE, cc("public")]), None, "{status}");
        assert_eq!(why(GET, status, &[old, DATE, ("expires", DATE.1)]), None, "{status}");
    }
    let errors = Policy { errors: std::time::Duration::from_secs(1), ..Policy::default() };
    for (status, stored) in [(500, true), (503, true), (400, false), (403, false)] {
        assert_eq!(judged(GET, status, &[], &errors).is_ok(), stored, "{status}");
    }
}

#[test]
fn directives_forbid_storing() {
    // RFC 9111 sections 3 and 5.2.2
    for (value, expected) in [
        ("no-store", Some(WhyNot::NoStore)),
        ("No-StOrE, max-age=60", Some(WhyNot::NoStore)),
        ("max-age=60, public, s-maxage=60, no-store", Some(WhyNot::NoStore)),
        ("private, max-age=60", Some(WhyNot::Private)),
        ("private, s-maxage=60, public", Some(WhyNot::Private)),
        ("private=\"x-a\", max-age=60", None),
        ("no-cache, max-age=60", None),
        ("no-cache=\"x-a\", max-age=60", None),
        ("must-understand, no-store, max-age=60", None),
        ("must-understand, private, max-age=60", Some(WhyNot::Private)),
        ("must-understand=1, no-store, max-age=60", Some(WhyNot::NoStore)),
    ] {
        assert_eq!(why(GET, 200, &[cc(value), TAG]), expected, "{value:?}");
    }
    for status in [299, 418, 451, 499, 599] {
        let fields = [cc("must-understand, max-age=60"), TAG];
        assert_eq!(why(GET, status, &fields), Some(WhyNot::NotUnderstood), "{status}");
    }
    for status in [200, 203, 301, 302, 307, 404, 410, 500, 503] {
        assert_eq!(why(GET, status, &[cc("must-understand, max-age=60"), TAG]), None, "{status}");
    }
}

#[test]
fn a_targeted_field_alone_decides_where_it_holds() {
    // RFC 9213 section 2.2
    let cdn = |value| ("cdn-cache-control", value);
    for (fields, expected) in [
        (&[cdn("max-age=60"), cc("no-store")][..], None),
        (&[cdn("max-age=60"), cc("private")], None),
        (&[cdn("no-store"), cc("max-age=60")], Some(WhyNot::NoStore)),
        (&[cdn("private"), cc("max-age=60, public")], Some(WhyNot::Private)),
        (&[cdn("no store"), cc("max-age=60")], None),
        (&[cdn("max-age=6 0"), cc("no-store")], Some(WhyNot::NoStore)),
        (&[("surrogate-control", "max-age=60"), cc("no-store")], Some(WhyNot::NoStore)),
    ] {
        assert_eq!(why(GET, 200, fields), expected, "{fields:?}");
    }
}

#[test]
fn an_authorized_response_is_shared_only_where_it_says_so() {
    // RFC 9111 section 3.5
    let authorized = ("GET", &[("authorization", "Basic x")][..], false);
    for (value, stored) in [
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("max-age=60, must-revalidate", true),
        ("s-maxage=60", true),
        ("max-age=60, proxy-revalidate", false),
        ("max-age=60, public=1", false),
        ("public, no-store", false),
        ("public, private, max-age=60", false),
    ] {
        assert_eq!(why(authorized, 200, &[cc(value)]).is_none(), stored, "{value:?}");
    }
    assert_eq!(
        why(authorized, 200, &[("expires", "Sun, 09 Sep 2001 02:46:40 GMT"), DATE]),
        Some(WhyNot::Authorization)
    );
}

#[test]
fn what_depends_on_anything_is_not_stored() {
    for vary in ["*", "foo, *", "*, *", "a b"] {
        assert_eq!(why(GET, 200, &[FRESH, ("vary", vary)]), Some(WhyNot::VariesByAnything), "{vary:?}");
    }
    assert_eq!(why(GET, 200, &[FRESH, ("vary", "foo, cookie")]), None);
}

#[test]
fn what_sets_a_cookie_is_stored_as_the_policy_has_it() {
    for (cookies, strict, keep) in
        [(SetCookie::Refuse, false, true), (SetCookie::Strip, true, true), (SetCookie::Keep, true, true)]
    {
        let policy = Policy { set_cookie: cookies, ..Policy::default() };
        for name in ["set-cookie", "set-cookie2"] {
            assert_eq!(judged(GET, 200, &[FRESH, (name, "a=b")], &policy).is_ok(), strict, "{cookies:?} {name}");
        }
        let excepted = [cc("max-age=60, no-cache=\"Set-Cookie\""), ("set-cookie", "a=b")];
        assert_eq!(judged(GET, 200, &excepted, &policy).is_ok(), keep, "{cookies:?}");
    }
}

#[test]
fn what_could_never_be_used_is_not_stored() {
    for (fields, stored) in [
        (&[][..], false),
        (&[DATE], false),
        (&[TAG], true),
        (&[("etag", "unquoted")], false),
        (&[("last-modified", "yesterday")], false),
        (&[("last-modified", DATE.1)], true),
        (&[cc("max-age=0")], false),
        (&[cc("max-age=0"), TAG], true),
        (&[cc("no-cache, max-age=60")], false),
        (&[cc("no-cache"), TAG], true),
        (&[FRESH, ("age", "60")], false),
        (&[FRESH, ("age", "59")], true),
        (&[FRESH, ("age", "60"), TAG], true),
        (&[cc("max-age=0, stale-if-error=60")], true),
        (&[cc("max-age=0, stale-while-revalidate=60")], true),
        (&[cc("no-cache, stale-while-revalidate=60")], false),
        (&[("expires", "0")], false),
    ] {
        let expected = if stored { None } else { Some(WhyNot::Useless) };
        assert_eq!(why(GET, 200, fields), expected, "{fields:?}");
    }
}

#[test]
fn a_part_is_stored_only_with_a_place_and_a_strong_validator() {
    // RFC 9111 section 3.3
    let range = ("content-range", "bytes 0-4/10");
    for (fields, stored) in [
        (&[FRESH, range, TAG][..], true),
        (&[FRESH, range], false),
        (&[FRESH, range, ("etag", "W/\"v\"")], false),
        (&[FRESH, TAG], false),
        (&[FRESH, TAG, ("content-range", "bytes 0-4/*")], false),
        (&[FRESH, TAG, range, ("content-length", "4")], false),
    ] {
        let expected = if stored { None } else { Some(WhyNot::Part) };
        assert_eq!(why(GET, 206, fields), expected, "{fields:?}");
    }
}

#[test]
fn clients_forbid_storing_only_where_they_are_heeded() {
    let request = ("GET", &[("cache-control", "no-store")][..], false);
    assert_eq!(why(request, 200, &[FRESH]), None);
    let policy = Policy { heed_clients: true, ..Policy::default() };
    assert_eq!(judged(request, 200, &[FRESH], &policy), Err(WhyNot::ClientNoStore));
}

#[test]
fn the_terms_are_those_of_the_response() {
    let terms = judged(GET, 200, &[FRESH, ("age", "7")], &Policy::default()).expect("storable");
    assert_eq!((terms.freshness.lifetime.as_secs(), terms.freshness.source), (60, Source::MaxAge));
    assert_eq!(terms.initial_age.as_secs(), 7);
}
