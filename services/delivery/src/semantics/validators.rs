//! Validators of a representation: entity tags and modification dates (RFC 9110 section 8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::coding::Coding;

/// How long after its last modification a file may still change without its modification time showing it.
///
/// Modification times are compared in whole seconds, and a file system's clock may lag a little behind: two seconds cover both.
const UNSETTLED: Duration = Duration::from_secs(2);

/// An entity tag (section 8.8.3) of ours, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(HeaderValue);

/// An entity tag as it stands in somebody's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Whether it is marked `W/`.
    weak: bool,
    /// What stands between the quotes.
    opaque: &'a [u8],
}

/// A modification date, in whole seconds as HTTP has it, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastModified {
    /// Seconds since 1970.
    seconds: u64,
    /// Whether a change after this second would show in the date (section 8.8.2.2), so that it may combine ranges.
    strong: bool,
    value: HeaderValue,
}

/// What validates a file at one moment. Time alone can change it: a tag becomes strong, a date that lay ahead comes to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    /// Its entity tag.
    pub etag: Etag,
    /// Its modification date, unless that lies ahead.
    pub last_modified: Option<LastModified>,
    /// The moments at which they are these: from the first on and before the second; for good where there is no second.
    hold: (SystemTime, Option<SystemTime>),
}

impl Etag {
    /// nginx's form, `"mtime-size"` in hexadecimal, so that mixed clusters and migrations agree; weak while the file could change
    /// unseen. `now` must not be later than the moment at which the file was looked at.
    #[must_use]
    pub fn of_file(modified: SystemTime, length: u64, now: SystemTime) -> Self {
        let mark = if unsettled(modified, now) { "W/" } else { "" };
        let text = format!("{mark}\"{:x}-{length:x}\"", since_1970(modified));
        Self(HeaderValue::from_str(&text).expect("quotes and hexadecimal digits are plain ASCII"))
    }

    /// The tag of the coded form of what has this one: another one, also where both lie there with the same time and size, since
    /// a strong tag names the very octets (section 8.8.3.3).
    #[must_use]
    pub fn coded(&self, coding: Coding) -> Self {
        let plain = self.0.as_bytes();
        let open = plain.strip_suffix(b"\"").unwrap_or(plain);
        let text = [open, b"-", coding.as_str().as_bytes(), b"\""].concat();
        Self(HeaderValue::from_bytes(&text).expect("the name of a coding has only letters"))
    }

    /// A field value that is one entity tag; `None` for any other.
    #[must_use]
    pub fn parse(value: HeaderValue) -> Option<Self> {
        Tag::parse(value.as_bytes()).is_some().then_some(Self(value))
    }

    /// What it says.
    #[must_use]
    pub fn tag(&self) -> Tag<'_> {
        Tag::parse(self.0.as_bytes()).expect("nothing else becomes an Etag")
    }

    /// The tag as a field value.
    #[must_use]
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

impl<'a> Tag<'a> {
    /// Reads one entity tag from the beginning of `text`; returns it and what follows.
    #[must_use]
    pub fn parse_prefix(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, text) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text.strip_prefix(b"\"")?;
        let end = text.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = text.split_at(end);
        // etagc: visible ASCII without the quote, and any octet beyond ASCII
        let fits = opaque.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff));
        fits.then(|| (Self { weak, opaque }, &rest[1..]))
    }

    /// Reads a field value that is one entity tag.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        match Self::parse_prefix(text) {
            Some((tag, [])) => Some(tag),
            _ => None,
        }
    }

    /// Strong comparison (section 8.8.3.2): both strong, and equal.
    #[must_use]
    pub fn matches_strongly(self, other: Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison (section 8.8.3.2): equal but for the marks.
    #[must_use]
    pub fn matches_weakly(self, other: Self) -> bool {
        self.opaque == other.opaque
    }
}

impl LastModified {
    /// A date that many seconds after 1970.
    #[must_use]
    pub fn new(seconds: u64, strong: bool) -> Self {
        let value = date_value(UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH));
        Self { seconds, strong, value }
    }

    /// The modification time of a file. One that lies in the future is no date to tell anybody (section 8.8.2.1): `None`.
    #[must_use]
    pub fn of_file(modified: SystemTime, now: SystemTime) -> Option<Self> {
        let seconds = since_1970(modified);
        (seconds <= since_1970(now)).then(|| Self::new(seconds, !unsettled(modified, now)))
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Whether it is a strong validator.
    #[must_use]
    pub const fn is_strong(&self) -> bool {
        self.strong
    }

    /// The date as a field value.
    #[must_use]
    pub const fn value(&self) -> &HeaderValue {
        &self.value
    }
}

impl Validators {
    /// Those of a file of that modification time and length, which was looked at not before `now`.
    #[must_use]
    pub fn of_file(modified: SystemTime, length: u64, now: SystemTime) -> Self {
        Self {
            etag: Etag::of_file(modified, length, now),
            last_modified: LastModified::of_file(modified, now),
            hold: (now, next_change(modified, now)),
        }
    }

    /// Whether time changes them no more.
    #[must_use]
    pub const fn are_settled(&self) -> bool {
        self.hold.1.is_none()
    }

    /// Whether they are the same for a file that was looked at not before `now`, and found unchanged.
    #[must_use]
    pub fn hold_at(&self, now: SystemTime) -> bool {
        // A clock that was set back makes an unsettled file be judged anew.
        self.hold.1.is_none_or(|end| self.hold.0 <= now && now < end)
    }
}

/// Reads an HTTP date in any of its three forms (section 5.6.7), as seconds since 1970.
#[must_use]
pub fn parse_date(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    httpdate::parse_http_date(text).ok().map(since_1970)
}

/// A moment as an HTTP date; one beyond the year 9999, which the format cannot express, becomes 1970.
#[must_use]
pub fn date_value(moment: SystemTime) -> HeaderValue {
    // 9999-12-31 23:59:59 UTC; httpdate refuses by panic what lies later.
    const LAST: u64 = 253_402_300_799;
    let seconds = Some(since_1970(moment)).filter(|seconds| *seconds <= LAST).unwrap_or(0);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::from_str(&text).expect("a date is plain ASCII")
}

/// Whole seconds since 1970; what lies before counts as 1970.
fn since_1970(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The first moment after `now` at which time alone changes what validates a file that was modified at `modified`.
fn next_change(modified: SystemTime, now: SystemTime) -> Option<SystemTime> {
    // The tag turns weak right after the first, the date comes to pass at the second, both are strong from the third on.
    let weak = modified.checked_sub(UNSETTLED).and_then(|last_strong| last_strong.checked_add(Duration::from_nanos(1)));
    let dated = UNIX_EPOCH.checked_add(Duration::from_secs(since_1970(modified)));
    let strong = modified.checked_add(UNSETTLED);
    [weak, dated, strong].into_iter().flatten().find(|change| *change > now)
}

/// Whether a file modified at `modified` could, at `now`, change again without a new modification second. A time that lies far
/// ahead was set by hand or by another clock: a change now would move it.
fn unsettled(modified: SystemTime, now: SystemTime) -> bool {
    let apart = now.duration_since(modified).unwrap_or_else(|early| early.duration());
    apart < UNSETTLED
}

#[cfg(test)]
mod tests {
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
}
