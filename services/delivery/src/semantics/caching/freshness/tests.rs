use super::*;
use crate::semantics::caching::fixture::{DATE, NOW, headers};

/// An hour later, and an hour before.
const LATER: (&str, &str) = ("expires", "Sun, 09 Sep 2001 02:46:40 GMT");
const PAST: (&str, &str) = ("expires", "Sun, 09 Sep 2001 00:46:40 GMT");
/// A day before.
const MODIFIED: (&str, &str) = ("last-modified", "Sat, 08 Sep 2001 01:46:40 GMT");

fn terms_with(status: u16, fields: &[(&str, &str)], policy: &Policy) -> Terms {
    let status = StatusCode::from_u16(status).expect("a status");
    Terms::of(Got { status, headers: &headers(fields) }, Times { requested: NOW, received: NOW }, policy)
}

fn terms(status: u16, fields: &[(&str, &str)]) -> Terms {
    terms_with(status, fields, &Policy::default())
}

fn fresh(status: u16, fields: &[(&str, &str)]) -> (u64, Source) {
    let Freshness { lifetime, source } = terms(status, fields).freshness;
    (lifetime.as_secs(), source)
}

const fn cc(value: &str) -> (&str, &str) {
    ("cache-control", value)
}

#[test]
fn a_lifetime_comes_from_the_first_of_s_maxage_max_age_and_expires() {
    // RFC 9111 section 4.2.1
    use Source::{Expires, MaxAge, Nothing, SharedMaxAge};
    for (fields, expected) in [
        (&[cc("max-age=60")][..], (60, MaxAge)),
        (&[cc("max-age=60"), LATER, DATE], (60, MaxAge)),
        (&[cc("max-age=60"), PAST, DATE], (60, MaxAge)),
        (&[cc("max-age=60"), ("expires", "0")], (60, MaxAge)),
        (&[cc("max-age=0"), LATER, DATE], (0, MaxAge)),
        (&[cc("s-maxage=5, max-age=60")], (5, SharedMaxAge)),
        (&[cc("max-age=5, s-maxage=60"), PAST], (60, SharedMaxAge)),
        (&[cc("s-maxage=x, max-age=60")], (0, SharedMaxAge)),
        (&[cc("max-age=99999999999")], (31_536_000, MaxAge)),
        (&[LATER, DATE], (3600, Expires)),
        (&[LATER], (3600, Expires)),
        (&[LATER, ("date", "foo")], (3600, Expires)),
        (&[LATER, ("date", "Sun, 09 Sep 2001 02:16:40 GMT")], (1800, Expires)),
        (&[LATER, ("date", "Sun, 09 Sep 2001 03:16:40 GMT")], (0, Expires)),
        (&[PAST, DATE], (0, Expires)),
        (&[("expires", DATE.1), DATE], (0, Expires)),
        (&[("expires", "0"), DATE], (0, Expires)),
        (&[("expires", "-1"), DATE], (0, Expires)),
        (&[("expires", ""), DATE, MODIFIED], (0, Expires)),
        (&[LATER, ("expires", "x"), DATE], (0, Expires)),
        (&[LATER, ("expires", "Sun, 09 Sep 2001 01:56:40 GMT"), DATE], (600, Expires)),
        (&[("expires", "Sunday, 09-Sep-01 02:46:40 GMT"), DATE], (3600, Expires)),
        (&[("expires", "Sun Sep  9 02:46:40 2001"), DATE], (3600, Expires)),
        (&[("expires", "Sun, 09 Sep 2001 02:46:40 UTC"), DATE], (0, Expires)),
        (&[cc("public"), LATER, DATE], (3600, Expires)),
        (&[], (0, Nothing)),
        (&[DATE, cc("public")], (0, Nothing)),
    ] {
        assert_eq!(fresh(200, fields), expected, "{fields:?}");
    }
}

#[test]
fn a_targeted_field_puts_cache_control_and_expires_aside() {
    // RFC 9213 section 2.2
    use Source::{Expires, Heuristic, MaxAge};
    let cdn = |value| ("cdn-cache-control", value);
    for (fields, expected) in [
        (&[cdn("max-age=60"), cc("max-age=5")][..], (60, MaxAge)),
        (&[cdn("max-age=5"), cc("max-age=60, s-maxage=60")], (5, MaxAge)),
        (&[cdn("max-age=60"), cc("no-cache, must-revalidate"), PAST, DATE], (60, MaxAge)),
        (&[cdn("no-cache"), LATER, DATE, MODIFIED], (8640, Heuristic)),
        (&[cdn("max-age="), cc("max-age=5")], (5, MaxAge)),
        (&[cdn(""), LATER, DATE], (3600, Expires)),
    ] {
        assert_eq!(fresh(200, fields), expected, "{fields:?}");
    }
    assert!(!terms(200, &[cdn("max-age=60"), cc("no-cache")]).always_validate);
    assert!(terms(200, &[cdn("no-cache"), cc("max-age=60")]).always_validate);
}

#[test]
fn without_a_word_some_responses_are_fresh_for_a_share_of_their_rest() {
    // RFC 9111 section 4.2.2, RFC 9110 section 15.1
    for status in [200, 203, 204, 300, 301, 308] {
        assert_eq!(fresh(status, &[MODIFIED, DATE]), (8640, Source::Heuristic), "{status}");
    }
    for status in [201, 202, 299, 302, 303, 307, 400, 403, 499, 500, 502, 503, 504, 599] {
        assert_eq!(fresh(status, &[MODIFIED, DATE]), (0, Source::Nothing), "{status}");
    }
    for (fields, expected) in [
        (&[MODIFIED, DATE, cc("must-revalidate")][..], 8640),
        (&[MODIFIED], 8640),
        (&[DATE], 0),
        (&[MODIFIED, MODIFIED, DATE], 0),
        (&[("last-modified", "yesterday"), DATE], 0),
        (&[("last-modified", LATER.1), DATE], 0),
        (&[("last-modified", DATE.1), DATE], 0),
        (&[("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"), DATE], 86_400),
        (&[MODIFIED, DATE, ("pragma", "No-Cache")], 0),
        (&[MODIFIED, DATE, ("pragma", "x")], 8640),
    ] {
        assert_eq!(fresh(200, fields).0, expected, "{fields:?}");
    }
    assert_eq!(fresh(599, &[MODIFIED, DATE, cc("public")]), (300, Source::Heuristic), "capped, being an error");
    assert_eq!(fresh(200, &[cc("max-age=5"), ("pragma", "no-cache")]).0, 5, "Cache-Control goes before Pragma");
}

#[test]
fn what_says_that_there_is_nothing_is_kept_for_a_short_time() {
    for status in [404, 405, 410, 414, 501] {
        assert_eq!(fresh(status, &[]), (10, Source::Negative), "{status}");
        assert_eq!(fresh(status, &[MODIFIED, DATE]), (10, Source::Negative), "{status}");
        assert_eq!(fresh(status, &[cc("max-age=2")]), (2, Source::MaxAge), "{status}");
        assert_eq!(fresh(status, &[cc("max-age=9999")]), (300, Source::MaxAge), "{status}");
    }
    for status in [400, 403, 429, 500, 502, 503, 504] {
        assert_eq!(fresh(status, &[]), (0, Source::Nothing), "{status}");
        assert_eq!(fresh(status, &[cc("max-age=9999")]), (300, Source::MaxAge), "{status}");
    }
}

#[test]
fn an_operator_decides_what_is_kept_without_a_word() {
    let policy = Policy {
        missing: Duration::ZERO,
        errors: Duration::from_secs(3),
        heuristic_percent: 50,
        heuristic_cap: Duration::from_secs(40_000),
        cap: Duration::from_secs(50_000),
        ..Policy::default()
    };
    for (status, fields, lifetime) in [
        (404, &[][..], 0),
        (404, &[MODIFIED, DATE], 0),
        (500, &[], 3),
        (503, &[MODIFIED, DATE], 3),
        (503, &[cc("max-age=9")], 9),
        (403, &[], 0),
        (200, &[MODIFIED, DATE], 40_000),
        (200, &[cc("max-age=60000")], 50_000),
    ] {
        assert_eq!(terms_with(status, fields, &policy).freshness.lifetime.as_secs(), lifetime, "{status} {fields:?}");
    }
}

#[test]
fn an_age_that_nobody_can_read_leaves_no_freshness() {
    for age in ["abc", "-1", "1.0", "0, 0", "7200;a=b"] {
        assert_eq!(fresh(200, &[cc("max-age=60"), ("age", age)]).0, 0, "{age:?}");
        assert_eq!(fresh(404, &[("age", age)]).0, 0, "{age:?}");
    }
    let aged = terms(200, &[cc("max-age=60"), ("age", "70")]);
    assert_eq!((aged.freshness.lifetime.as_secs(), aged.initial_age.as_secs()), (60, 70));
}

#[test]
fn what_is_stale_is_used_only_where_that_is_allowed() {
    // RFC 9111 section 4.2.4, RFC 5861
    const DAY: u64 = 86_400;
    for (value, revalidate, error, on_request) in [
        ("max-age=1", 0, DAY, true),
        ("max-age=1, stale-while-revalidate=5, stale-if-error=7", 5, 7, true),
        ("max-age=1, stale-if-error=0", 0, 0, true),
        ("max-age=1, stale-if-error=x", 0, 0, true),
        ("s-maxage=1", 0, 0, false),
        ("s-maxage=1, stale-while-revalidate=5, stale-if-error=7", 5, 7, false),
        ("max-age=1, must-revalidate", 0, 0, false),
        ("max-age=1, proxy-revalidate", 0, 0, false),
        ("max-age=1, no-cache", 0, 0, false),
        ("max-age=1, no-cache=\"a\"", 0, DAY, true),
        ("must-revalidate, stale-while-revalidate=5, stale-if-error=7", 0, 0, false),
        ("proxy-revalidate, stale-while-revalidate=5, stale-if-error=7", 0, 0, false),
        ("no-cache, stale-while-revalidate=5, stale-if-error=7", 0, 0, false),
    ] {
        let terms = terms(200, &[cc(value)]);
        let read = (terms.stale_while_revalidate.as_secs(), terms.stale_if_error.as_secs(), terms.stale_on_request);
        assert_eq!(read, (revalidate, error, on_request), "{value:?}");
    }
}
