use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_file_has_nginx_s_tag() {
    let etag = Etag::of_file(at(0x6556_f3a5), 0x1f4, at(0x6556_f3b5));
    assert_eq!(etag.value(), "\"6556f3a5-1f4\"");
    assert_eq!(Etag::of_file(at(16), 0, at(100)).value(), "\"10-0\"");
}

#[test]
fn a_coded_form_has_a_tag_of_its_own() {
    for (now, expected) in [(100, "\"10-5-br\""), (16, "W/\"10-5-br\"")] {
        let coded = Etag::of_file(at(16), 5, at(now)).coded(Coding::Brotli);
        assert_eq!(coded.value(), expected);
        assert!(Tag::parse(coded.value().as_bytes()).is_some());
    }
}

#[test]
fn a_tag_is_weak_while_the_file_could_change_unseen() {
    for (now, weak) in [(1000, true), (1001, true), (1002, false), (999, true), (998, false), (5, false)] {
        assert_eq!(Etag::of_file(at(1000), 1, at(now)).tag().weak, weak, "now {now}");
    }
    assert_eq!(Etag::of_file(at(1000), 1, at(1001)).value(), "W/\"3e8-1\"");
}

#[test]
fn no_date_lies_in_the_future() {
    // RFC 9110 section 8.8.2.1
    assert_eq!(LastModified::of_file(at(1000), at(999)), None);
    assert_eq!(LastModified::of_file(at(1000), at(1000)), Some(LastModified::new(1000, false)));
    assert_eq!(LastModified::of_file(at(1000), at(1002)), Some(LastModified::new(1000, true)));
}

#[test]
fn validators_change_when_they_have_to() {
    let file = |now| Validators::of_file(at(1000) + Duration::from_millis(500), 1, now);
    let (early, weak, dated, strong) = (at(900), at(999), at(1001), at(1003));
    assert_eq!([file(early), file(weak), file(dated)].map(|file| file.are_settled()), [false; 3]);
    assert!(file(strong).are_settled() && file(strong).hold_at(at(u64::from(u32::MAX))));
    assert!(!file(dated).hold_at(at(1002) + Duration::from_millis(500)), "the tag is strong from then on");
    assert!(file(dated).hold_at(at(1002) + Duration::from_millis(499)));
    assert!(!file(dated).hold_at(weak), "the clock was set back");
}

#[test]
fn without_a_digest_there_is_no_tag_and_its_date_is_never_strong() {
    let unknown = Validators::by_sha256(None, at(1000), at(5000));
    assert!(unknown.etag.is_none() && !unknown.hold_at(at(5000)), "the next look asks again");
    let known = Validators::by_sha256(Some(&[0xab; 32]), at(1000), at(5000));
    assert!(known.are_settled() && known.etag.as_ref().is_some_and(|tag| !tag.tag().weak));
    assert_eq!(known.etag.expect("a tag").value(), &format!("\"sha256-{}\"", "ab".repeat(32)));
    for validators in [unknown.last_modified, known.last_modified] {
        assert_eq!(validators, Some(LastModified::new(1000, false)));
    }
}

proptest! {
    /// Validators that were made once are what they would be if they were made now, for as long as they say so.
    #[test]
    fn validators_hold_no_longer_than_they_may(
        modified in 0..20_000_u64, made in 0..20_000_u64, later in 0..20_000_u64,
    ) {
        let [modified, made, later] = [modified, made, later].map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
        let kept = Validators::of_file(modified, 7, made);
        let fresh = Validators::of_file(modified, 7, later);
        if later >= made && kept.hold_at(later) {
            prop_assert_eq!((kept.etag, kept.last_modified), (fresh.etag, fresh.last_modified));
        }
    }
}

#[test]
fn tags_are_read_strictly() {
    for good in [&b"\"\""[..], b"\"a\"", b"W/\"a\"", b"\"a,b\"", b"\"\xff\"", b"\"W/\"", b"\"!#~\""] {
        assert!(Tag::parse(good).is_some(), "{good:?}");
    }
    for bad in
        [&b""[..], b"a", b"\"a", b"a\"", b"w/\"a\"", b"W/a", b"\"a b\"", b"\"a\"b", b"W/ \"a\"", b"'a'", b"\"a\t\""]
    {
        assert!(Tag::parse(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn comparison_is_as_the_table_has_it() {
    // RFC 9110 section 8.8.3.2, table 3
    let tag = |text: &'static str| Tag::parse(text.as_bytes()).expect("a tag");
    for (left, right, strong, weak) in [
        ("W/\"1\"", "W/\"1\"", false, true),
        ("W/\"1\"", "W/\"2\"", false, false),
        ("W/\"1\"", "\"1\"", false, true),
        ("\"1\"", "\"1\"", true, true),
    ] {
        assert_eq!(tag(left).matches_strongly(tag(right)), strong, "{left} {right}");
        assert_eq!(tag(left).matches_weakly(tag(right)), weak, "{left} {right}");
    }
}

#[test]
fn dates_are_read_in_all_three_forms() {
    // RFC 9110 section 5.6.7
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        assert_eq!(parse_date(text.as_bytes()), Some(784_111_777), "{text}");
    }
    for text in ["", "0", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 32 Nov 1994 08:49:37 GMT", "\u{e9}"] {
        assert_eq!(parse_date(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_date_beyond_the_format_does_not_panic() {
    assert_eq!(date_value(at(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(date_value(at(253_402_300_800)), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(date_value(UNIX_EPOCH - Duration::from_secs(1)), "Thu, 01 Jan 1970 00:00:00 GMT");
}
