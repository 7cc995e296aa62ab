use http::HeaderValue;
use proptest::prelude::*;

use super::{
    Selection::{Many, One, Unsatisfiable, Whole},
    *,
};

fn selected(value: &str, length: u64) -> Selection {
    let mut headers = HeaderMap::new();
    headers.insert(header::RANGE, HeaderValue::from_str(value).expect("a field value"));
    select(&headers, length)
}

#[test]
fn one_range_is_cut_to_the_length() {
    // RFC 9110 section 14.1.2
    for (value, expected) in [
        ("bytes=0-0", One(0..=0)),
        ("bytes=0-99", One(0..=99)),
        ("bytes=0-", One(0..=99)),
        ("bytes=99-", One(99..=99)),
        ("bytes=10-19", One(10..=19)),
        ("bytes=90-200", One(90..=99)),
        ("bytes=0-18446744073709551615", One(0..=99)),
        ("bytes=0-99999999999999999999999", One(0..=99)),
        ("bytes=-1", One(99..=99)),
        ("bytes=-100", One(0..=99)),
        ("bytes=-500", One(0..=99)),
        ("bytes=-99999999999999999999999", One(0..=99)),
        ("bytes=007-008", One(7..=8)),
        ("BYTES=1-2", One(1..=2)),
        ("bytes=,1-2,", One(1..=2)),
        ("bytes=, 1-2 ,\t", One(1..=2)),
    ] {
        assert_eq!(selected(value, 100), expected, "{value:?}");
    }
}

#[test]
fn what_lies_outside_is_unsatisfiable() {
    for value in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-", "bytes=100-,200-300,-0"]
    {
        assert_eq!(selected(value, 100), Unsatisfiable, "{value:?}");
    }
}

#[test]
fn an_invalid_or_foreign_range_is_ignored() {
    // RFC 9110 section 14.2
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=2-1",
        "bytes=0-1,5-2",
        "bytes=0-1,x",
        "bytes = 0-1",
        "bytes= 0-1",
        "bytes=0 - 1",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes:0-1",
        "items=0-1",
        "bytes=0-1;2-3",
        "=0-1",
        "bytes=--1",
    ] {
        assert_eq!(selected(value, 100), Whole, "{value:?}");
    }
    let mut headers = HeaderMap::new();
    assert_eq!(select(&headers, 100), Whole);
    headers.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
    headers.append(header::RANGE, HeaderValue::from_static("bytes=2-3"));
    assert_eq!(select(&headers, 100), Whole, "repeated");
}

#[test]
fn nothing_of_nothing() {
    for (value, expected) in [("bytes=0-", Unsatisfiable), ("bytes=0-0", Unsatisfiable), ("bytes=-0", Unsatisfiable)] {
        assert_eq!(selected(value, 0), expected, "{value:?}");
    }
    assert_eq!(selected("bytes=-5", 0), Whole);
}

#[test]
fn several_ranges_keep_their_order_and_are_joined_where_they_meet() {
    // RFC 9110 section 15.3.7.2
    for (value, expected) in [
        ("bytes=0-1,10-11", Many(vec![0..=1, 10..=11])),
        ("bytes=10-11, 0-1", Many(vec![10..=11, 0..=1])),
        ("bytes=0-0,-1", Many(vec![0..=0, 99..=99])),
        ("bytes=0-5,6-9", One(0..=9)),
        ("bytes=0-5,3-9", One(0..=9)),
        ("bytes=50-59,0-9,55-70", Many(vec![50..=70, 0..=9])),
        ("bytes=0-9,200-", One(0..=9)),
        ("bytes=0-,0-,0-,0-", One(0..=99)),
        ("bytes=60-,0-9,-50", Many(vec![50..=99, 0..=9])),
    ] {
        assert_eq!(selected(value, 100), expected, "{value:?}");
    }
}

#[test]
fn too_many_parts_become_the_whole() {
    let list = |count: u64| {
        let ranges: Vec<_> = (0..count).map(|n| format!("{}-{}", 10 * n, 10 * n)).collect();
        format!("bytes={}", ranges.join(","))
    };
    assert!(matches!(selected(&list(16), 1000), Many(parts) if parts.len() == 16));
    assert_eq!(selected(&list(17), 1000), Whole);
    assert_eq!(selected(&format!("bytes={}", "0-1,".repeat(MOST_SPECS + 1)), 1000), Whole);
}

fn any_spec() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0..300_u64, 0..300_u64).prop_map(|(a, b)| format!("{a}-{b}")),
        2 => (0..300_u64).prop_map(|a| format!("{a}-")),
        2 => (0..300_u64).prop_map(|a| format!("-{a}")),
        1 => any::<u64>().prop_map(|a| format!("{a}-")),
        1 => Just(String::new()),
        1 => "[0-9a-z -]{0,4}",
    ]
}

proptest! {
    /// D1: parts lie within the representation, never overlap or touch, and hold exactly the bytes that were asked for.
    #[test]
    fn parts_are_within_disjoint_and_complete(specs in proptest::collection::vec(any_spec(), 0..24), length in 0..250_u64) {
        let value = format!("bytes={}", specs.join(","));
        let parts = match selected(value.trim(), length) {
            Whole => return Ok(()),
            Unsatisfiable => vec![],
            One(part) => vec![part],
            Many(parts) => { prop_assert!(parts.len() > 1 && parts.len() <= MOST_PARTS); parts }
        };
        let mut sorted = parts.clone();
        sorted.sort_by_key(|part| *part.start());
        for part in &sorted {
            prop_assert!(part.start() <= part.end() && *part.end() < length);
            prop_assert_eq!(width(part), part.clone().count() as u64);
        }
        for pair in sorted.windows(2) {
            prop_assert!(pair[0].end() + 1 < *pair[1].start());
        }
        // A second, dull reading of the same field says which bytes it asks for.
        let asked = |byte: u64| specs.iter().filter_map(|spec| {
            let (a, b) = spec.trim().split_once('-')?;
            match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => Some(byte >= a && byte <= b),
                (Ok(a), Err(_)) => Some(byte >= a),
                (Err(_), Ok(b)) => Some(byte >= length.saturating_sub(b)),
                (Err(_), Err(_)) => None,
            }
        }).any(|hit| hit);
        for byte in 0..length {
            prop_assert_eq!(parts.iter().any(|part| part.contains(&byte)), asked(byte), "byte {}", byte);
        }
    }

    #[test]
    fn any_octets_are_read_without_harm(value in "[ -~]{0,60}", length in any::<u64>()) {
        match selected(value.trim(), length) {
            One(part) => prop_assert!(*part.end() < length),
            Many(parts) => prop_assert!(parts.iter().all(|part| *part.end() < length)),
            Whole | Unsatisfiable => {}
        }
    }
}
