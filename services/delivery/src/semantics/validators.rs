//! Validators of a representation: entity tags and modification dates (RFC 9110 section 8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::coding::Coding;

/// How long after its last modification a file may still change without its modification time showing it.
///
/// Modification times are compared in whole seconds, and a file system's clock may lag a little behind: two seconds cover both.
pub(crate) const UNSETTLED: Duration = Duration::from_secs(2);

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
    /// Its entity tag. Each file has one; what came from elsewhere may have none.
    pub etag: Option<Etag>,
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

    /// A tag that is the same for the same bytes, on whatever disk.
    #[must_use]
    pub fn of_sha256(digest: &[u8; 32]) -> Self {
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("\"sha256-{digits}\"");
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
            etag: Some(Etag::of_file(modified, length, now)),
            last_modified: LastModified::of_file(modified, now),
            hold: (now, next_change(modified, now)),
        }
    }

    /// Those of a file of that modification time, which was looked at not before `now`, by what it hashes to: while that is not known, it has no tag, and the same
    /// is to be asked again at once. Its date may be another disk's date of other bytes, so it combines no ranges.
    #[must_use]
    pub fn by_sha256(digest: Option<&[u8; 32]>, modified: SystemTime, now: SystemTime) -> Self {
        let last_modified = LastModified::of_file(modified, now).map(|date| LastModified { strong: false, ..date });
        let end = if digest.is_some() { next_change(modified, now) } else { Some(now) };
        Self { etag: digest.map(Etag::of_sha256), last_modified, hold: (now, end) }
    }

    /// Those that somebody else gave to what came from there. Time does not change them.
    #[must_use]
    pub const fn given(etag: Option<Etag>, last_modified: Option<LastModified>) -> Self {
        Self { etag, last_modified, hold: (UNIX_EPOCH, None) }
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
mod tests;
