//! Conditional requests: RFC 9110 section 13, in the order of section 13.2.2.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::validators::{self, Etag, LastModified, Tag};

/// What the preconditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304: the client's copy is current.
    NotModified,
    /// 412: the client wanted another version.
    Failed,
}

/// Whether a request has any field that this module reads.
#[must_use]
pub fn present(headers: &HeaderMap) -> bool {
    // One look at each field costs less than five searches in vain.
    headers.keys().any(|name| {
        [&header::IF_MATCH, &header::IF_NONE_MATCH, &header::IF_MODIFIED_SINCE, &header::IF_UNMODIFIED_SINCE]
            .contains(&name)
    })
}

/// Judges the preconditions of a GET or HEAD for a representation that exists.
#[must_use]
pub fn judge(headers: &HeaderMap, etag: Option<&Etag>, modified: Option<&LastModified>) -> Verdict {
    let tag = etag.map(Etag::tag);
    if let Some(wanted) = names(headers, &header::IF_MATCH, tag, Tag::matches_strongly) {
        if !wanted {
            return Verdict::Failed;
        }
    } else if let (Some(limit), Some(modified)) = (date(headers, &header::IF_UNMODIFIED_SINCE), modified)
        && modified.seconds() > limit
    {
        return Verdict::Failed;
    }
    if let Some(known) = names(headers, &header::IF_NONE_MATCH, tag, Tag::matches_weakly) {
        if known {
            return Verdict::NotModified;
        }
    } else if let (Some(known), Some(modified)) = (date(headers, &header::IF_MODIFIED_SINCE), modified)
        && modified.seconds() <= known
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether `If-Range` lets a range be answered with a part (section 13.1.5): it is absent, or it holds a strong entity tag that is
/// the current one, or a date that is exactly the current one and strong.
#[must_use]
pub fn range_applies(headers: &HeaderMap, etag: Option<&Etag>, modified: Option<&LastModified>) -> bool {
    let Some(value) = only(headers, &header::IF_RANGE) else {
        // Repeated, it can be neither; then the whole representation is the safe answer.
        return !headers.contains_key(header::IF_RANGE);
    };
    if let Some(wanted) = Tag::parse(value.as_bytes()) {
        return etag.is_some_and(|etag| etag.tag().matches_strongly(wanted));
    }
    let wanted = validators::parse_date(value.as_bytes());
    modified.is_some_and(|modified| modified.is_strong() && wanted == Some(modified.seconds()))
}

/// Whether a list field of entity tags names the current one, `*` being all of them; `None` where there is no such field.
///
/// What is no entity tag matches nothing, and ends the reading of its line: a quote that is missing could have swallowed commas.
fn names<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    current: Option<Tag<'a>>,
    matches: fn(Tag<'a>, Tag<'a>) -> bool,
) -> Option<bool> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let named = |line: &'a HeaderValue| {
        line == "*" || current.is_some_and(|current| listed(line.as_bytes()).any(|tag| matches(tag, current)))
    };
    Some(lines.any(named))
}

/// The entity tags at the beginning of a line of them.
fn listed(line: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        let (tag, after) = Tag::parse_prefix(rest)?;
        let separated = after.trim_ascii_start().first().is_none_or(|next| *next == b',');
        rest = after;
        separated.then_some(tag)
    })
}

/// Reads a date field; one that is repeated or no date is as good as absent (sections 13.1.3 and 13.1.4).
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    validators::parse_date(only(headers, name)?.as_bytes())
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

#[cfg(test)]
mod tests;
