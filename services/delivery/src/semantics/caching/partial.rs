//! Parts of a response: which ones may be kept, and which belong together (RFC 9111 sections 3.3 and 3.4).

use http::{HeaderMap, HeaderValue, header};

use super::stored::{self, Stored};
use crate::semantics::validators::parse_date;

/// Where a part lies in the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its first byte.
    pub first: u64,
    /// Its last byte.
    pub last: u64,
    /// The length of the whole.
    pub complete: u64,
}

impl Part {
    /// How many bytes it has.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// The place of a part that may be kept beside others: one range of a whole of known length, and a strong validator.
///
/// `None` where any of that is missing, or `Content-Length` tells of another length: two versions could be mixed.
#[must_use]
pub fn part(headers: &HeaderMap) -> Option<Part> {
    let part = content_range(stored::only(headers, &header::CONTENT_RANGE)?)?;
    if headers.contains_key(header::CONTENT_LENGTH) {
        let length = stored::only(headers, &header::CONTENT_LENGTH)?;
        number(length.as_bytes()).filter(|length| *length == part.length())?;
    }
    is_strong(headers).then_some(part)
}

/// Whether a part belongs to the response that is stored: the same strong validator, the same length of the whole.
#[must_use]
pub fn belongs(stored: &Stored, headers: &HeaderMap) -> bool {
    let Some(part) = part(headers) else { return false };
    let length = stored::only(stored.headers(), &header::CONTENT_LENGTH);
    let complete = length.is_none_or(|length| number(length.as_bytes()) == Some(part.complete));
    complete && same_strongly(stored.headers(), headers)
}

/// Whether two heads have the same strong validator: the entity tag if either has one, else a date that is strong in both.
pub(crate) fn same_strongly(one: &HeaderMap, other: &HeaderMap) -> bool {
    match (stored::etag(one), stored::etag(other)) {
        (Some(one), Some(other)) => one.tag().matches_strongly(other.tag()),
        (None, None) => {
            is_strong(one) && is_strong(other) && stored::last_modified(one) == stored::last_modified(other)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether a response has a strong validator. A modification date is one if the response is dated a minute later at least (RFC 9110
/// section 8.8.2.2), since a second change within its second would otherwise not show; but not beside an entity tag, which decides alone.
#[must_use]
pub fn is_strong(headers: &HeaderMap) -> bool {
    if let Some(etag) = stored::etag(headers) {
        return etag.tag().matches_strongly(etag.tag());
    }
    !headers.contains_key(header::ETAG) && is_dated_strongly(headers)
}

/// Whether the modification date of a response is a strong validator by itself.
#[must_use]
pub fn is_dated_strongly(headers: &HeaderMap) -> bool {
    const APART: u64 = 60;
    let seconds = |value: &HeaderValue| parse_date(value.as_bytes());
    let modified = stored::last_modified(headers).and_then(seconds);
    let date = stored::only(headers, &header::DATE).and_then(seconds);
    modified.zip(date).is_some_and(|(modified, date)| date.checked_sub(modified) >= Some(APART))
}

/// `bytes FIRST-LAST/COMPLETE` (RFC 9110 section 14.4), all three known.
fn content_range(value: &HeaderValue) -> Option<Part> {
    let text = value.to_str().ok()?;
    let (unit, place) = text.split_once(' ')?;
    let (range, complete) = place.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let [first, last, complete] = [first, last, complete].map(|text| number(text.as_bytes()));
    let part = Part { first: first?, last: last?, complete: complete? };
    (unit.eq_ignore_ascii_case("bytes") && part.first <= part.last && part.last < part.complete).then_some(part)
}

fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;
    use crate::semantics::caching::{
        Asked, Got, Policy, Times,
        fixture::{DATE, NOW, headers},
    };

    const TAG: (&str, &str) = ("etag", "\"v\"");
    const OLD: (&str, &str) = ("last-modified", "Sun, 09 Sep 2001 01:45:40 GMT");
    const YOUNG: (&str, &str) = ("last-modified", "Sun, 09 Sep 2001 01:45:41 GMT");

    const fn range(value: &str) -> (&str, &str) {
        ("content-range", value)
    }

    #[test]
    fn a_part_has_one_exact_place() {
        let place = Part { first: 5, last: 9, complete: 10 };
        for (fields, expected) in [
            (&[range("bytes 5-9/10")][..], Some(place)),
            (&[range("BYTES 5-9/10"), ("content-length", "5")], Some(place)),
            (&[range("bytes 5-9/10"), ("content-length", "6")], None),
            (&[range("bytes 5-9/10"), ("content-length", "5"), ("content-length", "5")], None),
            (&[range("bytes 5-9/10"), ("content-length", "+5")], None),
            (&[range("bytes 5-9/10"), range("bytes 5-9/10")], None),
            (&[range("bytes 5-9/*")], None),
            (&[range("bytes */10")], None),
            (&[range("bytes 5-10/10")], None),
            (&[range("bytes 9-5/10")], None),
            (&[range("bytes 5-9")], None),
            (&[range("bytes=5-9/10")], None),
            (&[range("bytes -5/10")], None),
            (&[range("bytes 5-/10")], None),
            (&[range("bytes +5-9/10")], None),
            (&[range("bytes 5-9/99999999999999999999")], None),
            (&[range("lines 5-9/10")], None),
            (&[("content-type", "multipart/byteranges; boundary=x")], None),
        ] {
            let with_tag: Vec<_> = fields.iter().copied().chain([TAG]).collect();
            assert_eq!(part(&headers(&with_tag)), expected, "{fields:?}");
        }
        assert_eq!(place.length(), 5);
    }

    #[test]
    fn a_part_has_a_strong_validator() {
        for (fields, strong) in [
            (&[TAG][..], true),
            (&[("etag", "W/\"v\"")], false),
            (&[("etag", "v"), OLD, DATE], false),
            (&[("etag", "W/\"v\""), OLD, DATE], false),
            (&[TAG, TAG], false),
            (&[OLD, DATE], true),
            (&[YOUNG, DATE], false),
            (&[OLD], false),
            (&[DATE], false),
            (&[("last-modified", DATE.1), DATE], false),
            (&[("last-modified", "x"), DATE], false),
            (&[], false),
        ] {
            assert_eq!(is_strong(&headers(fields)), strong, "{fields:?}");
            let as_part: Vec<_> = fields.iter().copied().chain([range("bytes 5-9/10")]).collect();
            assert_eq!(part(&headers(&as_part)).is_some(), strong, "{fields:?}");
        }
    }

    #[test]
    fn only_parts_of_the_same_version_belong_together() {
        let times = Times { requested: NOW, received: NOW };
        let asked = Asked { method: &Method::GET, target: "/a", headers: &HeaderMap::new(), has_content: false };
        let stored = |fields: &[(&str, &str)]| {
            let fields: Vec<_> = fields.iter().copied().chain([("cache-control", "max-age=9"), DATE]).collect();
            let got = Got { status: StatusCode::PARTIAL_CONTENT, headers: &headers(&fields) };
            Stored::new(asked, got, times, &Policy::default()).expect("storable")
        };
        let first = range("bytes 0-4/10");
        let (tagged, dated) = (stored(&[first, TAG]), stored(&[first, OLD]));
        assert_eq!(tagged.status(), StatusCode::OK);
        assert_eq!(tagged.headers()[header::CONTENT_LENGTH], "10");
        assert!(!tagged.headers().contains_key(header::CONTENT_RANGE));
        for (whole, fields, expected) in [
            (&tagged, &[range("bytes 5-9/10"), TAG][..], true),
            (&tagged, &[range("bytes 5-9/10"), TAG, OLD], true),
            (&tagged, &[range("bytes 5-9/11"), TAG], false),
            (&tagged, &[range("bytes 5-9/10"), ("etag", "\"w\"")], false),
            (&tagged, &[range("bytes 5-9/10"), ("etag", "W/\"v\"")], false),
            (&tagged, &[range("bytes 5-9/10"), OLD, DATE], false),
            (&tagged, &[range("bytes 5-9/*"), TAG], false),
            (&tagged, &[TAG], false),
            (&dated, &[range("bytes 5-9/10"), OLD, DATE], true),
            (&dated, &[range("bytes 5-9/10"), YOUNG, DATE], false),
            (&dated, &[range("bytes 5-9/10"), OLD, TAG, DATE], false),
        ] {
            assert_eq!(belongs(whole, &headers(fields)), expected, "{fields:?}");
        }
    }
}
