use ferry_core::time::UnixMillis;
use http::Method;

use super::*;
use crate::semantics::caching::{
    Asked,
    fixture::{NOW, headers},
    policy::SetCookie,
};

/// An hour later.
const LATER: UnixMillis = UnixMillis(1_000_003_600_000);
const THEN: Times = Times { requested: NOW, received: NOW };
const AGAIN: Times = Times { requested: LATER, received: LATER };
const TAG: (&str, &str) = ("etag", "\"v\"");
const MODIFIED: (&str, &str) = ("last-modified", "Sat, 08 Sep 2001 01:46:40 GMT");
const SHORT: (&str, &str) = ("cache-control", "max-age=2");

fn stored(fields: &[(&str, &str)]) -> Stored {
    stored_with(fields, &Policy::default())
}

fn stored_with(fields: &[(&str, &str)], policy: &Policy) -> Stored {
    let asked = Asked { method: &Method::GET, target: "/a", headers: &HeaderMap::new(), has_content: false };
    let got = Got { status: StatusCode::OK, headers: &headers(fields) };
    Stored::new(asked, got, THEN, policy).expect("storable")
}

fn freshened(stored: &mut Stored, fields: &[(&str, &str)]) -> Freshened {
    freshened_with(stored, fields, &Policy::default())
}

fn freshened_with(stored: &mut Stored, fields: &[(&str, &str)], policy: &Policy) -> Freshened {
    let got = Got { status: StatusCode::NOT_MODIFIED, headers: &headers(fields) };
    freshen(stored, got, AGAIN, policy)
}

#[test]
fn a_304_makes_it_fresh_again() {
    let mut stored = stored(&[SHORT, TAG, ("age", "1"), ("date", "Sun, 09 Sep 2001 01:46:40 GMT")]);
    assert!(!stored.is_fresh(LATER));
    assert_eq!(freshened(&mut stored, &[TAG]), Freshened::Current);
    assert!(stored.is_fresh(LATER));
    assert_eq!(stored.times(), AGAIN);
    assert_eq!(stored.age(LATER).as_secs(), 0, "the old age and date are those of the old exchange");
    assert_eq!(stored.headers()[header::DATE], "Sun, 09 Sep 2001 02:46:40 GMT");
    assert!(!stored.headers().contains_key(header::AGE));

    assert_eq!(freshened(&mut stored, &[TAG, ("age", "1"), ("cache-control", "max-age=5")]), Freshened::Current);
    assert_eq!((stored.age(LATER).as_secs(), stored.terms().freshness.lifetime.as_secs()), (1, 5));
}

#[test]
fn what_was_invalidated_is_good_again_once_the_origin_confirms_it() {
    let mut stored = stored(&[SHORT, TAG]);
    stored.spoil();
    assert_eq!(freshened(&mut stored, &[TAG]), Freshened::Current);
    assert!(stored.is_fresh(LATER));
}

#[test]
fn each_field_of_a_304_replaces_its_like() {
    // RFC 9111 section 3.2
    for (name, old, new, updated) in [
        ("test-header", "a", "b", true),
        ("x-test-header", "a", "b", true),
        ("content-foo", "a", "b", true),
        ("content-type", "text/plain", "text/plain;charset=utf-8", true),
        ("content-location", "/foo", "/bar", true),
        ("content-security-policy", "a", "b", true),
        ("content-language", "de", "en", true),
        ("clear-site-data", "cache", "cookies", true),
        ("expires", "Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT", true),
        ("x-frame-options", "deny", "sameorigin", true),
        ("content-length", "5", "10", false),
        ("content-encoding", "a", "b", false),
        ("content-range", "a", "b", false),
        ("content-md5", "a", "b", false),
        ("content-digest", "a", "b", false),
        ("repr-digest", "a", "b", false),
    ] {
        let mut stored = stored(&[SHORT, TAG, (name, old)]);
        assert_eq!(freshened(&mut stored, &[TAG, (name, new)]), Freshened::Current, "{name}");
        let expected = if updated { new } else { old };
        assert_eq!(stored.headers().get_all(name).iter().collect::<Vec<_>>(), [expected], "{name}");
    }
    let mut strong = stored(&[SHORT, TAG]);
    assert_eq!(freshened(&mut strong, &[("etag", "W/\"v\"")]), Freshened::Current);
    assert_eq!(strong.headers()[header::ETAG], TAG.1, "a strong validator is not weakened");
}

#[test]
fn fields_that_a_304_lacks_stay_and_lines_are_replaced_together() {
    let mut stored = stored(&[SHORT, TAG, ("a", "1"), ("b", "1"), ("b", "2")]);
    assert_eq!(freshened(&mut stored, &[TAG, ("b", "3"), ("c", "4"), ("c", "5")]), Freshened::Current);
    let lines =
        |name: &str| stored.headers().get_all(name).iter().map(|v| v.to_str().expect("ASCII")).collect::<String>();
    assert_eq!(["a", "b", "c"].map(lines), ["1", "3", "45"]);
    assert_eq!(stored.headers()[header::CACHE_CONTROL], "max-age=2");
}

#[test]
fn what_a_304_excepts_is_kept_no_longer() {
    let mut stored = stored(&[SHORT, TAG, ("a", "1"), ("b", "1")]);
    let news = [TAG, ("cache-control", "max-age=5, no-cache=\"a\""), ("a", "2"), ("connection", "b"), ("b", "2")];
    assert_eq!(freshened(&mut stored, &news), Freshened::Current);
    assert!(!stored.headers().contains_key("a"));
    assert_eq!(stored.headers()["b"], "1", "the connection's own field is no news of the stored one");
}

#[test]
fn a_304_about_another_version_changes_nothing() {
    // RFC 9111 section 4.3.4
    let weak = ("etag", "W/\"v\"");
    let other_date = ("last-modified", "Sat, 08 Sep 2001 01:46:41 GMT");
    for (had, news, current) in [
        (&[SHORT, TAG][..], &[TAG][..], true),
        (&[SHORT, TAG], &[weak], true),
        (&[SHORT, weak], &[weak], true),
        (&[SHORT, weak], &[TAG], true),
        (&[SHORT, TAG], &[], true),
        (&[SHORT, TAG, MODIFIED], &[TAG, other_date], true),
        (&[SHORT, TAG], &[("etag", "\"w\"")], false),
        (&[SHORT, TAG], &[("etag", "W/\"w\"")], false),
        (&[SHORT, TAG], &[("etag", "v")], false),
        (&[SHORT, TAG, MODIFIED], &[("etag", "\"w\""), MODIFIED], false),
        (&[SHORT, MODIFIED], &[MODIFIED], true),
        (&[SHORT, MODIFIED], &[], true),
        (&[SHORT, MODIFIED], &[other_date], false),
        (&[SHORT, MODIFIED], &[TAG, MODIFIED], false),
    ] {
        let mut stored = stored(had);
        let before = stored.clone();
        let news: Vec<_> = news.iter().copied().chain([("a", "1")]).collect();
        let came = freshened(&mut stored, &news);
        assert_eq!(came, if current { Freshened::Current } else { Freshened::Mismatch }, "{had:?}, {news:?}");
        assert_eq!(stored == before, !current, "{had:?}, {news:?}");
    }
}

#[test]
fn a_304_that_varies_by_other_fields_is_about_something_else() {
    let vary = |value| ("vary", value);
    for (had, news, current) in [
        (Some("a, b"), Some("B, a"), true),
        (Some("a"), None, true),
        (Some("a"), Some("b"), false),
        (Some("a"), Some("a, b"), false),
        (Some("a"), Some("*"), false),
        (None, Some("a"), false),
        (None, None, true),
    ] {
        let fields: Vec<_> = [SHORT, TAG].into_iter().chain(had.map(vary)).collect();
        let news: Vec<_> = [TAG].into_iter().chain(news.map(vary)).collect();
        let expected = if current { Freshened::Current } else { Freshened::Mismatch };
        assert_eq!(freshened(&mut stored(&fields), &news), expected, "{fields:?}, {news:?}");
    }
}

#[test]
fn only_a_304_is_one() {
    let mut stored = stored(&[SHORT, TAG]);
    for status in [200, 204, 302, 412, 500] {
        let got = Got { status: StatusCode::from_u16(status).expect("a status"), headers: &headers(&[TAG]) };
        assert_eq!(freshen(&mut stored, got, AGAIN, &Policy::default()), Freshened::Mismatch, "{status}");
    }
}

#[test]
fn a_304_may_end_what_was_allowed() {
    for (value, why) in [
        ("no-store", Some(WhyNot::NoStore)),
        ("private", Some(WhyNot::Private)),
        ("private=\"a\"", None),
        ("no-cache", None),
        ("no-store, must-understand", None),
    ] {
        let expected = why.map_or(Freshened::Current, Freshened::LastUse);
        let news = [TAG, ("cache-control", value)];
        assert_eq!(freshened(&mut stored(&[SHORT, TAG]), &news), expected, "{value:?}");
    }
}

#[test]
fn the_cookies_of_a_304_are_kept_as_those_of_a_200() {
    for (set_cookie, kept) in [(SetCookie::Refuse, None), (SetCookie::Strip, None), (SetCookie::Keep, Some("a=c"))] {
        let policy = Policy { set_cookie, ..Policy::default() };
        let mut stored = stored_with(&[SHORT, TAG], &policy);
        let news = [TAG, ("set-cookie", "a=c")];
        assert_eq!(freshened_with(&mut stored, &news, &policy), Freshened::Current);
        let found = stored.headers().get(header::SET_COOKIE).map(|value| value.to_str().expect("ASCII"));
        assert_eq!(found, kept, "{set_cookie:?}");
    }
}

#[test]
fn a_head_brings_up_to_date_or_casts_doubt() {
    // RFC 9111 section 4.3.5
    let long = ("cache-control", "max-age=99");
    let coded = ("content-encoding", "gzip");
    let length = |value| ("content-length", value);
    for (status, had, news, expected) in [
        (200, &[SHORT, TAG, length("5")][..], &[long, TAG, length("5")][..], HeadSays::Current),
        (200, &[SHORT, TAG, length("5")], &[long, TAG], HeadSays::Current),
        // No validator at all: it may be another version of the same length.
        (200, &[SHORT, length("5")], &[long, length("5")], HeadSays::Nothing),
        (200, &[SHORT, length("5")], &[long, length("6")], HeadSays::Changed),
        (200, &[SHORT, TAG, coded], &[long, TAG, coded], HeadSays::Current),
        (200, &[SHORT, TAG, length("5")], &[long, TAG, length("6")], HeadSays::Changed),
        (200, &[SHORT, TAG], &[long, ("etag", "\"w\"")], HeadSays::Changed),
        (200, &[SHORT, MODIFIED], &[long, ("last-modified", "Sat, 08 Sep 2001 01:46:41 GMT")], HeadSays::Changed),
        (200, &[SHORT, TAG], &[long, TAG, coded], HeadSays::Changed),
        (200, &[SHORT, TAG], &[("cache-control", "no-store"), TAG], HeadSays::Changed),
        (404, &[SHORT, TAG], &[long, TAG], HeadSays::Nothing),
        (410, &[SHORT], &[long], HeadSays::Nothing),
        (304, &[SHORT, TAG], &[long, TAG], HeadSays::Nothing),
        (500, &[SHORT, TAG], &[long, TAG], HeadSays::Nothing),
    ] {
        let mut stored = stored(had);
        let before = stored.clone();
        let got = Got { status: StatusCode::from_u16(status).expect("a status"), headers: &headers(news) };
        assert_eq!(learn_from_head(&mut stored, got, AGAIN, &Policy::default()), expected, "{had:?}, {news:?}");
        assert_eq!(stored.is_fresh(LATER), expected == HeadSays::Current, "{had:?}, {news:?}");
        assert_eq!(stored == before, expected == HeadSays::Nothing, "{had:?}, {news:?}");
    }
}
