use http::Method;
use proptest::prelude::*;

use super::*;
use crate::semantics::caching::{
    fixture::{NOW, headers},
    freshness::Source,
};

const TIMES: Times = Times { requested: NOW, received: NOW };

fn stored_with(request: &[(&str, &str)], fields: &[(&str, &str)], policy: &Policy) -> Stored {
    let asked = Asked { method: &Method::GET, target: "/a", headers: &headers(request), has_content: false };
    Stored::new(asked, Got { status: StatusCode::OK, headers: &headers(fields) }, TIMES, policy).expect("storable")
}

fn names(stored: &Stored) -> Vec<&str> {
    let mut names: Vec<_> = stored.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_fields_of_the_connection_are_not_kept_and_all_others_are() {
    // RFC 9111 section 3.1, RFC 9110 section 7.6.1
    let stored = stored_with(
        &[],
        &[
            ("cache-control", "max-age=60, no-cache=\"x-c\", private=\"X-D, x-e\""),
            ("connection", "close, X-A"),
            ("connection", "x-b"),
            ("x-a", "1"),
            ("x-b", "1"),
            ("x-c", "1"),
            ("x-d", "1"),
            ("x-e", "1"),
            ("x-f", "1"),
            ("x-f", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authentication-info", "x"),
            ("proxy-authorization", "x"),
            ("proxy-connection", "close"),
            ("te", "x"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "x"),
            ("cache-status", "other; hit"),
            ("content-type", "text/plain"),
            ("content-encoding", "gzip"),
            ("content-range", "nonsense"),
            ("clear-site-data", "cookies"),
            ("x-frame-options", "deny"),
        ],
        &Policy::default(),
    );
    let expected = [
        "cache-control",
        "clear-site-data",
        "content-encoding",
        "content-range",
        "content-type",
        "date",
        "x-f",
        "x-frame-options",
    ];
    assert_eq!(names(&stored), expected);
    assert_eq!(stored.headers().get_all("x-f").iter().count(), 2);
}

#[test]
fn cookies_are_kept_only_where_the_policy_says_so() {
    let fields = [("cache-control", "max-age=60"), ("set-cookie", "a=b"), ("set-cookie2", "a=b"), ("x-a", "1")];
    for (set_cookie, kept) in [(SetCookie::Strip, false), (SetCookie::Keep, true)] {
        let stored = stored_with(&[], &fields, &Policy { set_cookie, ..Policy::default() });
        let found = ["set-cookie", "set-cookie2"].map(|name| stored.headers().contains_key(name));
        assert_eq!(found, [kept, kept], "{set_cookie:?}");
        assert!(stored.headers().contains_key("x-a"));
    }
}

#[test]
fn a_response_without_a_usable_date_gets_that_of_its_arrival() {
    // RFC 9110 section 6.6.1
    for (dates, kept) in [
        (&[][..], "Sun, 09 Sep 2001 01:46:40 GMT"),
        (&["foo"], "Sun, 09 Sep 2001 01:46:40 GMT"),
        (&["Sun, 09 Sep 2001 00:00:00 GMT", "Sun, 09 Sep 2001 00:00:00 GMT"], "Sun, 09 Sep 2001 01:46:40 GMT"),
        (&["Sun, 09 Sep 2001 01:46:00 GMT"], "Sun, 09 Sep 2001 01:46:00 GMT"),
    ] {
        let fields: Vec<_> =
            dates.iter().map(|date| ("date", *date)).chain([("cache-control", "max-age=99999")]).collect();
        let stored = stored_with(&[], &fields, &Policy::default());
        assert_eq!(stored.headers().get_all(header::DATE).iter().collect::<Vec<_>>(), [kept], "{dates:?}");
    }
}

#[test]
fn it_ages_from_what_it_was_and_answers_with_its_age() {
    let fields = [("cache-control", "max-age=60"), ("age", "30"), ("surrogate-control", "x")];
    let stored = stored_with(&[], &fields, &Policy::default());
    for (later, age, fresh) in [(0, 30, true), (29, 59, true), (30, 60, false), (1000, 1030, false)] {
        let now = NOW + Duration::from_secs(later);
        assert_eq!((stored.age(now).as_secs(), stored.is_fresh(now)), (age, fresh), "{later} s later");
        let answer = stored.answer_headers(now, &Policy::default());
        assert_eq!(answer.get_all(header::AGE).iter().collect::<Vec<_>>(), [&age.to_string()]);
        assert_eq!(answer[header::DATE], stored.headers()[header::DATE], "a stored response keeps its date");
    }
    let surrogate = Policy { surrogate_control: true, ..Policy::default() };
    assert!(stored.answer_headers(NOW, &Policy::default()).contains_key("surrogate-control"));
    assert!(!stored.answer_headers(NOW, &surrogate).contains_key("surrogate-control"));
}

#[test]
fn what_seems_to_come_from_the_future_is_not_believed() {
    let stored = stored_with(&[], &[("cache-control", "max-age=60")], &Policy::default());
    for (back, fresh) in [(0, true), (5_000, true), (5_001, false), (86_400_000, false)] {
        assert_eq!(stored.is_fresh(UnixMillis(NOW.0 - back)), fresh, "a clock set back by {back} ms");
    }
}

#[test]
fn what_was_spoiled_is_fresh_no_more() {
    let mut stored = stored_with(&[], &[("cache-control", "max-age=60")], &Policy::default());
    stored.spoil();
    assert!(!stored.is_fresh(NOW) && !stored.is_trusted(NOW));
}

#[test]
fn it_is_validated_by_what_it_has() {
    const MODIFIED: &str = "Sun, 09 Sep 2001 00:00:00 GMT";
    let fresh = ("cache-control", "max-age=60");
    for (fields, tag, modified) in [
        (&[fresh][..], None, None),
        (&[fresh, ("etag", "\"v\"")], Some("\"v\""), None),
        (&[fresh, ("etag", "W/\"v\"")], Some("W/\"v\""), None),
        (&[fresh, ("etag", "v")], None, None),
        (&[fresh, ("etag", "\"v\""), ("etag", "\"w\"")], None, None),
        (&[fresh, ("last-modified", MODIFIED)], None, Some(MODIFIED)),
        (&[fresh, ("last-modified", "then")], None, None),
        (&[fresh, ("etag", "\"v\""), ("last-modified", MODIFIED)], Some("\"v\""), Some(MODIFIED)),
    ] {
        let conditions = stored_with(&[], fields, &Policy::default()).conditions();
        let text = |name| conditions.get(name).map(|value: &HeaderValue| value.to_str().expect("ASCII"));
        assert_eq!((text(header::IF_NONE_MATCH), text(header::IF_MODIFIED_SINCE)), (tag, modified), "{fields:?}");
    }
}

#[test]
fn a_policy_that_changed_counts_when_it_is_read_again() {
    let stored = stored_with(&[], &[("cache-control", "max-age=60")], &Policy::default());
    let strict = Policy { cap: Duration::from_secs(5), ..Policy::default() };
    let read = Stored::from_bytes(&stored.to_bytes(), &strict).expect("readable");
    assert_eq!((read.terms().freshness.lifetime.as_secs(), read.terms().freshness.source), (5, Source::MaxAge));
}

#[test]
fn other_versions_and_damaged_heads_are_refused() {
    let stored =
        stored_with(&[("foo", "1")], &[("cache-control", "max-age=60"), ("vary", "foo, bar")], &Policy::default());
    let bytes = stored.to_bytes();
    let read = |bytes: &[u8]| Stored::from_bytes(bytes, &Policy::default());
    assert_eq!(read(&bytes), Ok(stored));
    assert_eq!(read(&[]), Err(Unreadable::Damaged));
    let newer: Vec<_> = [2].iter().chain(&bytes[1..]).copied().collect();
    assert_eq!(read(&newer), Err(Unreadable::Version(2)));
    for end in 1..bytes.len() {
        assert_eq!(read(&bytes[..end]), Err(Unreadable::Damaged), "the first {end} bytes");
    }
    assert_eq!(read(&[&bytes[..], &[0]].concat()), Err(Unreadable::Damaged));
    assert_eq!(read(&[&bytes[..1], &[2], &bytes[2..]].concat()), Err(Unreadable::Damaged));
    let endless = [&bytes[..20], &[0xff, 0xff, 0xff, 0xff, 0xff]].concat();
    assert_eq!(read(&endless), Err(Unreadable::Damaged));
}

#[test]
fn the_layout_of_version_1_does_not_change() {
    let stored =
        stored_with(&[("foo", "1")], &[("cache-control", "max-age=9"), ("vary", "foo, bar")], &Policy::default());
    let expected = [
        &[1, 0, 200, 0][..],
        &NOW.0.to_le_bytes(),
        &NOW.0.to_le_bytes(),
        b"\x02\x03bar\x00\x00\x03foo\x01\x011",
        b"\x03\x0dcache-control\x09max-age=9\x04vary\x08foo, bar\x04date\x1dSun, 09 Sep 2001 01:46:40 GMT",
    ];
    assert_eq!(stored.to_bytes(), expected.concat());
}

/// Fields that caching reads and fields that it does not, with values of every kind.
fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let known = prop::sample::select(vec![
        "age",
        "cache-control",
        "connection",
        "content-length",
        "date",
        "etag",
        "expires",
        "last-modified",
        "vary",
        "set-cookie",
    ]);
    let name = prop_oneof![known.prop_map(str::to_owned), "[a-z][a-z0-9-]{0,12}"];
    let word = prop_oneof![
        "[ -~]{0,24}".prop_map(String::into_bytes),
        "(max-age|s-maxage)=[0-9]{1,12}".prop_map(String::into_bytes),
        prop::collection::vec(0x80_u8..=0xff, 0..8),
    ];
    prop::collection::vec((name, word), 0..12)
}

fn map(fields: &[(String, Vec<u8>)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a field name");
        map.append(name, HeaderValue::from_bytes(value).expect("a field value"));
    }
    map
}

/// What is stored of any response that is made storable by what is put in front.
fn any_stored() -> impl Strategy<Value = Stored> {
    let status = prop::sample::select(vec![200_u16, 203, 301, 404, 500]);
    (fields(), fields(), status, 0..100_u64, any::<u32>()).prop_filter_map(
        "storable",
        |(asked, got, status, delay, at)| {
            let mut got = map(&got);
            got.insert(header::ETAG, HeaderValue::from_static("\"v\""));
            got.append(header::CACHE_CONTROL, HeaderValue::from_static("public"));
            let requested = UnixMillis(u64::from(at) * 1000);
            let times = Times { requested, received: requested + Duration::from_millis(delay) };
            let asked = Asked { method: &Method::GET, target: "/a", headers: &map(&asked), has_content: false };
            let status = StatusCode::from_u16(status).expect("a status");
            let policy = Policy { set_cookie: SetCookie::Keep, ..Policy::default() };
            Stored::new(asked, Got { status, headers: &got }, times, &policy).ok()
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(stored in any_stored(), spoil in any::<bool>()) {
        let mut stored = stored;
        if spoil { stored.spoil(); }
        let policy = Policy { set_cookie: SetCookie::Keep, ..Policy::default() };
        prop_assert_eq!(Stored::from_bytes(&stored.to_bytes(), &policy), Ok(stored));
    }

    #[test]
    fn no_bytes_make_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let with_version: Vec<_> = [1].into_iter().chain(bytes.iter().copied()).collect();
        for bytes in [bytes, with_version] {
            if let Ok(stored) = Stored::from_bytes(&bytes, &Policy::default()) {
                prop_assert_eq!(Stored::from_bytes(&stored.to_bytes(), &Policy::default()), Ok(stored));
            }
        }
    }

    #[test]
    fn k1_what_is_forbidden_is_never_stored(
        got in fields(), status in 200_u16..600, at in any::<prop::sample::Index>(),
        word in prop::sample::select(vec!["no-store", "private", "No-Store", "no-store=x", "x, private"]),
    ) {
        let mut fields: Vec<_> = got;
        let at = at.index(fields.len() + 1);
        fields.insert(at, ("cache-control".to_owned(), word.as_bytes().to_vec()));
        let asked = Asked { method: &Method::GET, target: "/a", headers: &HeaderMap::new(), has_content: false };
        let headers = map(&fields);
        let got = Got { status: StatusCode::from_u16(status).expect("a status"), headers: &headers };
        prop_assert!(Stored::new(asked, got, TIMES, &Policy::default()).is_err());
    }

    #[test]
    fn k2_age_never_falls(stored in any_stored(), first in any::<u64>(), second in any::<u64>()) {
        let (earlier, later) = (first.min(second), first.max(second));
        prop_assert!(stored.age(UnixMillis(earlier)) <= stored.age(UnixMillis(later)));
    }

    #[test]
    fn what_is_stale_is_never_fresh_again(stored in any_stored(), first in any::<u32>(), second in any::<u32>()) {
        let at = |offset: u32| UnixMillis(stored.times().received.0.saturating_add(offset.into()));
        let (earlier, later) = (at(first.min(second)), at(first.max(second)));
        prop_assert!(!stored.is_fresh(later) || stored.is_fresh(earlier));
    }
}
