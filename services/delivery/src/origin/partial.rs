//! Whether a partial response is what was asked for (RFC 9110 sections 14.4 and 15.3.7).
//!
//! A client trusts the positions that a 206 names. One that contradicts itself, or the request, would put bytes where they do not belong.

use http::{HeaderMap, StatusCode, header};

use crate::semantics::ranges::{self, Selection};

/// What `Content-Range` says of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The first byte's position.
    pub(super) first: u64,
    /// The last byte's position.
    pub(super) last: u64,
    /// The length of the whole, where the origin knows it.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Reads the one field of that name; `None` if it is missing, repeated or makes no sense.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(header::CONTENT_RANGE).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let (unit, rest) = line.to_str().ok()?.split_once(' ')?;
        let (place, total) = rest.trim_start().split_once('/')?;
        let (first, last) = place.split_once('-')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        let range = Self { first: number(first)?, last: number(last)?, total };
        let sound = range.first <= range.last && range.last < range.total.unwrap_or(u64::MAX);
        (unit.eq_ignore_ascii_case("bytes") && sound).then_some(range)
    }

    /// How many bytes the part has.
    pub(super) const fn width(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// `Content-Length`, if it is one number.
#[must_use]
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok().and_then(number)
}

/// What is wrong with a response to a request with the fields `asked`, if it is a 206 that cannot be true.
pub(super) fn contradiction(asked: &HeaderMap, status: StatusCode, headers: &HeaderMap) -> Option<&'static str> {
    if status != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let Some(range) = asked.get(header::RANGE) else {
        return Some("sent a part where the whole was asked for");
    };
    let several = range.as_bytes().contains(&b',');
    if is_multipart(headers) {
        return (!several).then_some("sent several parts where one was asked for");
    }
    let Some(part) = ContentRange::of(headers) else {
        return Some("sent a part without saying which");
    };
    if content_length(headers).is_some_and(|length| length != part.width()) {
        return Some("sent a part whose length is not that of its range");
    }
    let fits = several
        || match ranges::select(asked, part.total.unwrap_or(u64::MAX)) {
            // It may send less than was asked for, but never from elsewhere.
            Selection::One(wanted) => part.first == *wanted.start() && part.last <= *wanted.end(),
            Selection::Whole | Selection::Many(_) | Selection::Unsatisfiable => false,
        };
    (!fits).then_some("sent another part than was asked for")
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..20)).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/byteranges"))
}

fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a field value"))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn a_content_range_is_two_positions_and_a_length() {
        let read = |text| ContentRange::of(&headers(&[("content-range", text)]));
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(read("bytes 0-0/1"), range(0, 0, Some(1)));
        assert_eq!(read("Bytes 5-9/*"), range(5, 9, None));
        for bad in [
            "",
            "bytes",
            "bytes 1-2",
            "bytes */9",
            "bytes 2-1/9",
            "bytes 0-9/9",
            "bytes -1/9",
            "bytes +1-2/9",
            "items 0-1/9",
            "bytes 0-1/99999999999999999999",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let mut twice = headers(&[("content-range", "bytes 0-0/1")]);
        twice.append("content-range", HeaderValue::from_static("bytes 0-0/1"));
        assert_eq!(ContentRange::of(&twice), None);
    }

    #[test]
    fn a_part_is_believed_only_if_it_is_what_was_asked_for() {
        for (asked, range, length, believed) in [
            ("bytes=0-4", "bytes 0-4/9", "5", true),
            ("bytes=0-4", "bytes 0-3/9", "4", true),
            ("bytes=0-99", "bytes 0-8/9", "9", true),
            ("bytes=4-", "bytes 4-8/9", "5", true),
            ("bytes=4-", "bytes 4-8/*", "5", true),
            ("bytes=-3", "bytes 6-8/9", "3", true),
            ("bytes=-99", "bytes 0-8/9", "9", true),
            ("bytes=0-1,4-5", "bytes 0-5/9", "6", true),
            ("bytes=0-4", "bytes 1-5/9", "5", false),
            ("bytes=0-4", "bytes 0-5/9", "6", false),
            ("bytes=0-4", "bytes 0-4/9", "4", false),
            ("bytes=4-", "bytes 3-8/9", "6", false),
            ("bytes=-3", "bytes 5-8/9", "4", false),
            ("bytes=9-", "bytes 0-8/9", "9", false),
            ("bytes=0-4", "nonsense", "5", false),
        ] {
            let response = headers(&[("content-range", range), ("content-length", length)]);
            let wrong = contradiction(&headers(&[("range", asked)]), StatusCode::PARTIAL_CONTENT, &response);
            assert_eq!(wrong.is_none(), believed, "{asked} answered with {range} of {length}: {wrong:?}");
        }
    }

    #[test]
    fn several_parts_come_only_where_several_were_asked_for() {
        let parts = headers(&[("content-type", "multipart/byteranges; boundary=x")]);
        for (asked, believed) in [("bytes=0-1,4-5", true), ("bytes=0-1", false)] {
            let wrong = contradiction(&headers(&[("range", asked)]), StatusCode::PARTIAL_CONTENT, &parts);
            assert_eq!(wrong.is_none(), believed, "{asked}: {wrong:?}");
        }
        assert!(contradiction(&HeaderMap::new(), StatusCode::PARTIAL_CONTENT, &parts).is_some());
        assert_eq!(contradiction(&HeaderMap::new(), StatusCode::OK, &parts), None);
    }
}
