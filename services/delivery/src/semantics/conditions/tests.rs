use http::HeaderName;
use proptest::prelude::*;

use super::{
    Verdict::{Failed, NotModified, Proceed},
    *,
};

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a field name"),
            HeaderValue::from_bytes(value.as_bytes()).expect("a field value"),
        );
    }
    map
}

fn etag(text: &str) -> Etag {
    Etag::parse(HeaderValue::from_str(text).expect("a field value")).expect("an entity tag")
}

fn modified(strong: bool) -> LastModified {
    LastModified::new(784_111_777, strong)
}

fn judged(fields: &[(&str, &str)]) -> Verdict {
    let headers = headers(fields);
    let verdict = judge(&headers, Some(&etag("\"v1\"")), Some(&modified(true)));
    assert!(present(&headers) || verdict == Proceed, "what is not looked at decides nothing");
    verdict
}

#[test]
fn if_match_compares_strongly() {
    // RFC 9110 section 13.1.1
    for (value, verdict) in [
        ("\"v1\"", Proceed),
        ("*", Proceed),
        ("\"v0\", \"v1\"", Proceed),
        ("\"v0\",,\t\"v1\",", Proceed),
        ("\"a,b\",\"v1\"", Proceed),
        ("\"v0\"", Failed),
        ("W/\"v1\"", Failed),
        ("v1", Failed),
        ("\"v1", Failed),
        ("\"v1\"x", Failed),
        ("\"*\"", Failed),
        ("", Failed),
    ] {
        assert_eq!(judged(&[("if-match", value)]), verdict, "{value:?}");
    }
    assert_eq!(judged(&[("if-match", "\"v0\""), ("if-match", "\"v1\"")]), Proceed);
}

#[test]
fn if_match_fails_for_a_tag_that_is_weak_itself() {
    let weak = etag("W/\"v1\"");
    assert_eq!(judge(&headers(&[("if-match", "W/\"v1\"")]), Some(&weak), None), Failed);
    assert_eq!(judge(&headers(&[("if-match", "*")]), Some(&weak), None), Proceed);
    assert_eq!(judge(&headers(&[("if-match", "\"v1\"")]), None, None), Failed);
}

#[test]
fn if_none_match_compares_weakly() {
    // RFC 9110 section 13.1.2
    for (value, verdict) in [
        ("\"v1\"", NotModified),
        ("W/\"v1\"", NotModified),
        ("*", NotModified),
        ("\"v0\", W/\"v1\"", NotModified),
        ("\"v0\"", Proceed),
        ("\"v0\",\"v2\"", Proceed),
        ("v1", Proceed),
        ("", Proceed),
    ] {
        assert_eq!(judged(&[("if-none-match", value)]), verdict, "{value:?}");
    }
}

#[test]
fn if_modified_since_holds_up_to_the_second() {
    // RFC 9110 section 13.1.3
    for (value, verdict) in [
        (BEFORE, Proceed),
        (THEN, NotModified),
        (AFTER, NotModified),
        ("Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
        ("yesterday", Proceed),
        ("0", Proceed),
    ] {
        assert_eq!(judged(&[("if-modified-since", value)]), verdict, "{value:?}");
    }
    assert_eq!(judged(&[("if-modified-since", AFTER), ("if-modified-since", AFTER)]), Proceed, "repeated");
    assert_eq!(judge(&headers(&[("if-modified-since", AFTER)]), None, None), Proceed, "no date to compare with");
}

#[test]
fn if_unmodified_since_holds_up_to_the_second() {
    // RFC 9110 section 13.1.4
    for (value, verdict) in [(BEFORE, Failed), (THEN, Proceed), (AFTER, Proceed), ("yesterday", Proceed)] {
        assert_eq!(judged(&[("if-unmodified-since", value)]), verdict, "{value:?}");
    }
}

#[test]
fn tags_go_before_dates_and_demands_before_savings() {
    // RFC 9110 section 13.2.2
    for (fields, verdict) in [
        (&[("if-match", "\"v1\""), ("if-unmodified-since", BEFORE)][..], Proceed),
        (&[("if-match", "\"v0\""), ("if-unmodified-since", AFTER)], Failed),
        (&[("if-none-match", "\"v0\""), ("if-modified-since", AFTER)], Proceed),
        (&[("if-none-match", "\"v1\""), ("if-modified-since", BEFORE)], NotModified),
        (&[("if-none-match", "junk"), ("if-modified-since", AFTER)], Proceed),
        (&[("if-match", "\"v0\""), ("if-none-match", "\"v1\"")], Failed),
        (&[("if-match", "\"v1\""), ("if-none-match", "\"v1\"")], NotModified),
        (&[("if-unmodified-since", BEFORE), ("if-none-match", "\"v1\"")], Failed),
        (&[("if-unmodified-since", AFTER), ("if-modified-since", AFTER)], NotModified),
        (&[("if-match", "*"), ("if-modified-since", AFTER)], NotModified),
        (&[], Proceed),
    ] {
        assert_eq!(judged(fields), verdict, "{fields:?}");
    }
}

#[test]
fn if_range_wants_a_strong_validator() {
    // RFC 9110 section 13.1.5
    let strong = etag("\"v1\"");
    for (value, applies) in [
        ("\"v1\"", true),
        ("W/\"v1\"", false),
        ("\"v0\"", false),
        ("\"v1\", \"v2\"", false),
        ("*", false),
        (THEN, true),
        (BEFORE, false),
        (AFTER, false),
        ("yesterday", false),
        ("", false),
    ] {
        let headers = headers(&[("if-range", value)]);
        assert_eq!(range_applies(&headers, Some(&strong), Some(&modified(true))), applies, "{value:?}");
    }
    assert!(range_applies(&HeaderMap::new(), None, None));
    assert!(!range_applies(&headers(&[("if-range", "\"v1\"")]), Some(&etag("W/\"v1\"")), None), "weak here");
    assert!(!range_applies(&headers(&[("if-range", "\"v1\"")]), None, None), "no tag here");
    let fresh = modified(false);
    assert!(!range_applies(&headers(&[("if-range", THEN)]), None, Some(&fresh)), "a date that is still weak");
    let twice = headers(&[("if-range", "\"v1\""), ("if-range", "\"v1\"")]);
    assert!(!range_applies(&twice, Some(&strong), None), "repeated");
}

proptest! {
    /// Whatever the fields hold, a verdict comes out, and adding the current tag to `If-None-Match` never hides a failure.
    #[test]
    fn any_octets_have_a_verdict(
        wanted in "[ -~\u{e9}]{0,40}",
        known in "[ -~]{0,40}",
        date in prop_oneof![Just(BEFORE), Just(THEN), Just(AFTER), Just("x")],
    ) {
        let fields = [("if-match", wanted.trim()), ("if-none-match", known.trim()), ("if-unmodified-since", date)];
        let before = judged(&fields);
        let with_current = [fields[0], ("if-none-match", "\"v1\""), fields[2]];
        let after = judged(&with_current);
        prop_assert_eq!(before == Failed, after == Failed);
        prop_assert_ne!(after, Proceed);
    }

    /// A list holds exactly the tags that were put into it, however it is spaced and split over lines.
    #[test]
    fn a_list_of_tags_reads_back(
        tags in proptest::collection::vec(("[!#-~]{0,6}", any::<bool>(), "[ \t]{0,2}", any::<bool>()), 1..8),
    ) {
        let mut lines = vec![String::new()];
        let mut expected = Vec::new();
        for (opaque, weak, space, new_line) in tags {
            if new_line {
                lines.push(String::new());
            }
            let text = format!("{}\"{opaque}\"", if weak { "W/" } else { "" });
            expected.push(text.clone());
            let line = lines.last_mut().expect("never empty");
            line.push_str(&format!("{text}{space},{space}"));
        }
        let mut map = HeaderMap::new();
        for line in &lines {
            map.append(header::IF_MATCH, HeaderValue::from_str(line.trim()).expect("a field value"));
        }
        let read: Vec<_> = map.get_all(header::IF_MATCH).iter().flat_map(|line| listed(line.as_bytes())).collect();
        let expected: Option<Vec<_>> = expected.iter().map(|text| Tag::parse(text.as_bytes())).collect();
        prop_assert_eq!(Some(read), expected);
    }
}
