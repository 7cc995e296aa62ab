//! Range requests: RFC 9110 section 14.

use std::ops::RangeInclusive;

use http::{HeaderMap, header};

/// The most parts that one answer has. Who asks for more, after overlapping ones were joined, gets the whole representation, which
/// section 14.2 allows and which costs us less than the bookkeeping.
pub const MOST_PARTS: usize = 16;

/// The most ranges that are looked at. More than this fit into a header only as an attack.
const MOST_SPECS: usize = 1024;

/// Positions of the first and the last byte of a part, both within the representation.
pub type ByteRange = RangeInclusive<u64>;

/// What a `Range` field comes to for a representation of some length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it, as if there were no such field.
    Whole,
    /// One part.
    One(ByteRange),
    /// At least two parts that neither overlap nor touch, in the order in which they were asked for.
    Many(Vec<ByteRange>),
    /// 416: it lies outside.
    Unsatisfiable,
}

/// One range-spec (section 14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

/// Selects what is sent of a representation of `length` bytes.
///
/// A field with another unit, with wrong syntax, or repeated is ignored (section 14.2).
#[must_use]
pub fn select(headers: &HeaderMap, length: u64) -> Selection {
    let mut lines = headers.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Selection::Whole;
    };
    match parse(line.as_bytes()) {
        Some(specs) => resolve(&specs, length),
        None => Selection::Whole,
    }
}

/// The `Content-Range` of a part (section 14.4).
#[must_use]
pub fn content_range(range: &ByteRange, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start(), range.end())
}

/// How many bytes a part has.
#[must_use]
pub const fn width(range: &ByteRange) -> u64 {
    *range.end() - *range.start() + 1
}

/// Reads `bytes=` and its list; `None` where the field is not of this form.
fn parse(field: &[u8]) -> Option<Vec<Spec>> {
    let equals = field.iter().position(|byte| *byte == b'=')?;
    let (unit, list) = (&field[..equals], &field[equals + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for (at, element) in list.split(|byte| *byte == b',').enumerate() {
        // Optional whitespace belongs to the commas, so there is none right after the equals sign.
        if at == 0 && element.first().is_some_and(u8::is_ascii_whitespace) {
            return None;
        }
        let element = element.trim_ascii();
        if element.is_empty() {
            // Recipients accept empty elements of a list (section 5.6.1.2).
            continue;
        }
        if specs.len() == MOST_SPECS {
            return None;
        }
        specs.push(spec(element)?);
    }
    (!specs.is_empty()).then_some(specs)
}

fn spec(element: &[u8]) -> Option<Spec> {
    let dash = element.iter().position(|byte| *byte == b'-')?;
    match (&element[..dash], &element[dash + 1..]) {
        (b"", last) => number(last).map(Spec::Last),
        (first, b"") => number(first).map(Spec::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Between(first, last))
        }
    }
}

/// Reads digits; a number that is too large for anything becomes the largest there is.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

fn resolve(specs: &[Spec], length: u64) -> Selection {
    if length == 0 {
        // A suffix of nothing is satisfiable, and no Content-Range can express it (section 14.1.2): the whole is right.
        let suffix = specs.iter().any(|spec| matches!(spec, Spec::Last(1..)));
        return if suffix { Selection::Whole } else { Selection::Unsatisfiable };
    }
    let satisfiable: Vec<_> = specs.iter().filter_map(|spec| spec.within(length)).collect();
    let mut parts = joined(satisfiable);
    match parts.len() {
        0 => Selection::Unsatisfiable,
        1 => Selection::One(parts.remove(0)),
        2..=MOST_PARTS => Selection::Many(parts),
        _ => Selection::Whole,
    }
}

impl Spec {
    /// The part of a representation of `length` (at least one) bytes, or `None` if this range is unsatisfiable.
    fn within(self, length: u64) -> Option<ByteRange> {
        let last = length - 1;
        match self {
            Self::From(first) => (first <= last).then_some(first..=last),
            Self::Between(first, end) => (first <= last).then_some(first..=end.min(last)),
            Self::Last(0) => None,
            Self::Last(count) => Some(length.saturating_sub(count)..=last),
        }
    }
}

/// Joins parts that overlap or touch; each joined part stands where the first of its members stood (section 15.3.7.2).
fn joined(parts: Vec<ByteRange>) -> Vec<ByteRange> {
    let mut sorted: Vec<_> = parts.into_iter().enumerate().collect();
    sorted.sort_unstable_by_key(|(_, part)| *part.start());
    let mut joined: Vec<(usize, ByteRange)> = Vec::with_capacity(sorted.len());
    for (place, part) in sorted {
        match joined.last_mut() {
            // Both ends are below the length, so adding one cannot overflow.
            Some((first, last)) if *part.start() <= *last.end() + 1 => {
                *first = place.min(*first);
                *last = *last.start()..=*last.end().max(part.end());
            }
            _ => joined.push((place, part)),
        }
    }
    joined.sort_unstable_by_key(|(place, _)| *place);
    joined.into_iter().map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests;
