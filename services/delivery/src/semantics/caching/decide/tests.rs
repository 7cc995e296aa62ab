use proptest::prelude::*;

use super::*;
use crate::semantics::caching::{
    Got, Times,
    fixture::{NOW, headers},
};

const TAG: (&str, &str) = ("etag", "\"v\"");

fn stored_at(received: UnixMillis, request: &[(&str, &str)], fields: &[(&str, &str)]) -> Stored {
    let asked = Asked { method: &Method::GET, target: "/a", headers: &headers(request), has_content: false };
    let got = Got { status: StatusCode::OK, headers: &headers(fields) };
    Stored::new(asked, got, Times { requested: received, received }, &Policy::default()).expect("storable")
}

fn stored(cache_control: &str) -> Stored {
    stored_at(NOW, &[], &[("cache-control", cache_control), TAG])
}

fn heeding() -> Policy {
    Policy { heed_clients: true, ..Policy::default() }
}

fn after(seconds: u64) -> UnixMillis {
    NOW + Duration::from_secs(seconds)
}

/// A decision in one word.
fn word(method: &str, wish: &str, stored: &Stored, policy: &Policy, later: u64) -> &'static str {
    let method = method.parse().expect("a method");
    let fields = if wish.is_empty() { HeaderMap::new() } else { headers(&[("cache-control", wish)]) };
    let asked = Asked { method: &method, target: "/a", headers: &fields, has_content: false };
    match decide(asked, Found::This(stored), policy, after(later)) {
        Decision::Use { stale: None, .. } => "use",
        Decision::Use { stale: Some(_), .. } => "use stale",
        Decision::Validate { may_serve_stale_while: true, .. } => "validate behind",
        Decision::Validate { why, .. } => why.as_str(),
        Decision::Fetch(why) => why.as_str(),
        Decision::GatewayTimeout => "504",
    }
}

#[test]
fn what_is_fresh_is_used_and_what_is_stale_is_validated() {
    for (control, later, expected) in [
        ("max-age=60", 0, "use"),
        ("max-age=60", 59, "use"),
        ("max-age=60", 60, "stale"),
        ("max-age=60, must-revalidate", 59, "use"),
        ("max-age=60, must-revalidate", 60, "stale"),
        ("max-age=60, immutable", 60, "stale"),
        ("max-age=60, no-cache", 0, "stale"),
        ("max-age=60, no-cache=\"x\"", 0, "use"),
        ("no-cache", 0, "stale"),
        ("max-age=0", 0, "stale"),
        ("max-age=60, stale-while-revalidate=10", 59, "use"),
        ("max-age=60, stale-while-revalidate=10", 60, "validate behind"),
        ("max-age=60, stale-while-revalidate=10", 69, "validate behind"),
        ("max-age=60, stale-while-revalidate=10", 70, "stale"),
        ("s-maxage=60, stale-while-revalidate=10", 60, "validate behind"),
        ("max-age=60, stale-while-revalidate=10, must-revalidate", 60, "stale"),
        ("max-age=60, stale-while-revalidate=10, proxy-revalidate", 60, "stale"),
        ("no-cache, max-age=60, stale-while-revalidate=10", 0, "stale"),
    ] {
        for method in ["GET", "HEAD"] {
            assert_eq!(
                word(method, "", &stored(control), &Policy::default(), later),
                expected,
                "{control:?} after {later} s"
            );
        }
    }
}

#[test]
fn other_methods_and_content_go_to_the_origin() {
    let fresh = stored("max-age=60");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "M-SEARCH", "get"] {
        assert_eq!(word(method, "only-if-cached", &fresh, &Policy::default(), 0), "method", "{method}");
    }
    let asked = Asked { method: &Method::GET, target: "/a", headers: &HeaderMap::new(), has_content: true };
    assert_eq!(decide(asked, Found::This(&fresh), &Policy::default(), NOW), Decision::Fetch(Forward::Bypass));
}

#[test]
fn what_is_not_there_is_fetched() {
    let plain = HeaderMap::new();
    let asked = Asked { method: &Method::GET, target: "/a", headers: &plain, has_content: false };
    for (found, why) in [(Found::Nothing, Forward::UriMiss), (Found::OtherVariants, Forward::VaryMiss)] {
        assert_eq!(decide(asked, found, &Policy::default(), NOW), Decision::Fetch(why));
        let only = headers(&[("cache-control", "only-if-cached")]);
        let asked = Asked { headers: &only, ..asked };
        assert_eq!(decide(asked, found, &Policy::default(), NOW), Decision::GatewayTimeout);
    }
}

#[test]
fn clients_that_are_heeded_may_want_something_newer_or_older() {
    // RFC 9111 section 5.2.1
    for (wish, control, later, expected) in [
        ("no-cache", "max-age=60", 0, "request"),
        ("max-age=0", "max-age=60", 0, "use"),
        ("max-age=0", "max-age=60", 1, "request"),
        ("max-age=5", "max-age=60", 5, "use"),
        ("max-age=5", "max-age=60", 6, "request"),
        ("max-age=x", "max-age=60", 6, "use"),
        ("min-fresh=50", "max-age=60", 10, "use"),
        ("min-fresh=50", "max-age=60", 11, "request"),
        ("min-fresh=61", "max-age=60", 0, "request"),
        ("max-stale=10", "max-age=60", 70, "use stale"),
        ("max-stale=10", "max-age=60", 71, "stale"),
        ("max-stale", "max-age=60", 9999, "use stale"),
        ("max-stale", "max-age=60, must-revalidate", 61, "stale"),
        ("max-stale", "max-age=60, proxy-revalidate", 61, "stale"),
        ("max-stale", "s-maxage=60", 61, "stale"),
        ("max-stale", "no-cache", 0, "stale"),
        ("max-stale, no-cache", "max-age=60", 61, "stale"),
        ("max-stale, max-age=100", "max-age=60", 100, "use stale"),
        ("max-stale, max-age=100", "max-age=60", 101, "stale"),
        ("no-cache", "max-age=60, stale-while-revalidate=9", 61, "stale"),
        ("only-if-cached", "max-age=60", 59, "use"),
        ("only-if-cached", "max-age=60", 60, "504"),
        ("only-if-cached, max-stale=1", "max-age=60", 60, "use stale"),
        ("only-if-cached, no-cache", "max-age=60", 0, "504"),
        ("no-store", "max-age=60", 0, "use"),
    ] {
        assert_eq!(
            word("GET", wish, &stored(control), &heeding(), later),
            expected,
            "{wish:?}, {control:?} after {later} s"
        );
    }
}

#[test]
fn clients_that_are_not_heeded_cost_the_origin_nothing() {
    let fresh = stored("max-age=60");
    for wish in ["no-cache", "max-age=0", "min-fresh=99", "no-store", "no-cache, no-store, max-age=0"] {
        assert_eq!(word("GET", wish, &fresh, &Policy::default(), 30), "use", "{wish:?}");
    }
    assert_eq!(word("GET", "max-stale", &fresh, &Policy::default(), 61), "stale");
    assert_eq!(word("GET", "only-if-cached", &fresh, &Policy::default(), 61), "504");
}

#[test]
fn what_was_invalidated_or_comes_from_the_future_is_validated_before_it_is_used() {
    let mut spoiled = stored("max-age=60, stale-while-revalidate=60, stale-if-error=60");
    assert_eq!(word("GET", "", &spoiled, &Policy::default(), 61), "validate behind");
    spoiled.spoil();
    for (wish, later) in [("", 0), ("", 61), ("max-stale", 61)] {
        assert_eq!(word("GET", wish, &spoiled, &heeding(), later), "stale", "{wish:?} after {later} s");
    }
    assert_eq!(on_trouble(&spoiled, Trouble::Unreachable, NOW), None);

    let future = stored_at(after(3600), &[], &[("cache-control", "max-age=60, stale-while-revalidate=60"), TAG]);
    assert_eq!(word("GET", "max-stale", &future, &heeding(), 0), "stale");
    assert_eq!(on_trouble(&future, Trouble::Unreachable, NOW), None);
}

#[test]
fn a_validation_asks_by_all_validators() {
    let modified = ("last-modified", "Sat, 08 Sep 2001 01:46:40 GMT");
    let stored = stored_at(NOW, &[], &[("cache-control", "max-age=0"), TAG, modified]);
    let asked = Asked { method: &Method::GET, target: "/a", headers: &HeaderMap::new(), has_content: false };
    let Decision::Validate { conditions, .. } = decide(asked, Found::This(&stored), &Policy::default(), NOW) else {
        panic!("it is stale");
    };
    assert_eq!(conditions, headers(&[("if-none-match", TAG.1), ("if-modified-since", modified.1)]));
}

#[test]
fn of_several_variants_the_newest_that_matches_is_selected() {
    // RFC 9111 section 4.1
    let fields = |date| [("cache-control", "max-age=999999"), ("vary", "foo"), ("date", date)];
    let first = stored_at(NOW, &[("foo", "1")], &fields("Sun, 09 Sep 2001 01:00:00 GMT"));
    let newer = stored_at(NOW, &[("foo", "1")], &fields("Sun, 09 Sep 2001 01:00:01 GMT"));
    let other = stored_at(NOW, &[("foo", "2")], &fields("Sun, 09 Sep 2001 01:00:02 GMT"));
    let asked = |foo| headers(&[("foo", foo)]);
    for all in [[&first, &newer, &other], [&newer, &other, &first], [&other, &first, &newer]] {
        assert_eq!(Found::select(all, &asked("1")), Found::This(&newer));
        assert_eq!(Found::select(all, &asked("2")), Found::This(&other));
        assert_eq!(Found::select(all, &asked("3")), Found::OtherVariants);
        assert_eq!(Found::select(all, &HeaderMap::new()), Found::OtherVariants);
    }
    assert_eq!(Found::select([], &asked("1")), Found::Nothing);
}

#[test]
fn what_is_stored_stands_in_for_an_origin_that_fails() {
    // RFC 5861 section 4, RFC 9111 section 4.2.4
    const DAY: u64 = 86_400;
    for (control, later, allowed) in [
        ("max-age=60", 30, true),
        ("max-age=60", 60, true),
        ("max-age=60", 59 + DAY, true),
        ("max-age=60", 60 + DAY, false),
        ("max-age=60, stale-if-error=10", 69, true),
        ("max-age=60, stale-if-error=10", 70, false),
        ("max-age=60, stale-if-error=0", 60, false),
        ("s-maxage=60", 59, true),
        ("s-maxage=60", 60, false),
        ("s-maxage=60, stale-if-error=10", 69, true),
        ("max-age=60, must-revalidate", 59, true),
        ("max-age=60, must-revalidate", 60, false),
        ("max-age=60, must-revalidate, stale-if-error=10", 60, false),
        ("max-age=60, proxy-revalidate, stale-if-error=10", 60, false),
        ("max-age=60, no-cache, stale-if-error=10", 0, false),
    ] {
        let stored = stored(control);
        let age = allowed.then(|| Duration::from_secs(later));
        assert_eq!(on_trouble(&stored, Trouble::Unreachable, after(later)), age, "{control:?} after {later} s");
        for (status, error) in
            [(500, true), (502, true), (503, true), (504, true), (501, false), (505, false), (404, false), (200, false)]
        {
            let trouble = Trouble::Status(StatusCode::from_u16(status).expect("a status"));
            assert_eq!(on_trouble(&stored, trouble, after(later)), age.filter(|_| error), "{control:?}, {status}");
        }
    }
}

proptest! {
    #[test]
    fn k3_what_has_to_be_validated_is_never_given_out_stale(
        word in prop::sample::select(vec!["no-cache", "must-revalidate", "proxy-revalidate"]),
        lifetime in 0_u32..100, revalidate in any::<u32>(), error in any::<u32>(), later in 0_u64..1000,
        wish in prop::sample::select(vec!["", "max-stale", "max-stale=9999", "only-if-cached, max-stale"]),
    ) {
        let control =
            format!("max-age={lifetime}, {word}, stale-while-revalidate={revalidate}, stale-if-error={error}");
        let stored = stored(&control);
        let fields = headers(&[("cache-control", wish)]);
        let asked = Asked { method: &Method::GET, target: "/a", headers: &fields, has_content: false };
        let fresh = word != "no-cache" && later < lifetime.into();
        match decide(asked, Found::This(&stored), &heeding(), after(later)) {
            Decision::Use { stale, .. } => prop_assert!(fresh && stale.is_none()),
            Decision::Validate { may_serve_stale_while, .. } => prop_assert!(!fresh && !may_serve_stale_while),
            Decision::GatewayTimeout => prop_assert!(!fresh),
            Decision::Fetch(why) => prop_assert!(false, "{why:?}"),
        }
        prop_assert_eq!(on_trouble(&stored, Trouble::Unreachable, after(later)).is_some(), fresh);
    }
}
