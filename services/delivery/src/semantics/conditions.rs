//! Conditional requests: RFC 9110 section 13, in the order of section 13.2.2.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::validators::{self, Etag, LastModified};

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

/// What a field of entity tags says.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// A list; also what could be read of a field that is broken further on.
    List(Vec<Etag>),
}

/// Judges the preconditions of a GET or HEAD for a representation that exists.
#[must_use]
pub fn judge(headers: &HeaderMap, etag: Option<&Etag>, modified: Option<LastModified>) -> Verdict {
    if let Some(wanted) = tags(headers, &header::IF_MATCH) {
        if !wanted.holds(etag, Etag::matches_strongly) {
            return Verdict::Failed;
        }
    } else if let (Some(limit), Some(modified)) = (date(headers, &header::IF_UNMODIFIED_SINCE), modified)
        && modified.seconds > limit
    {
        return Verdict::Failed;
    }
    if let Some(known) = tags(headers, &header::IF_NONE_MATCH) {
        if known.holds(etag, Etag::matches_weakly) {
            return Verdict::NotModified;
        }
    } else if let (Some(known), Some(modified)) = (date(headers, &header::IF_MODIFIED_SINCE), modified)
        && modified.seconds <= known
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether `If-Range` lets a range be answered with a part (section 13.1.5): it is absent, or it holds a strong entity tag that is
/// the current one, or a date that is exactly the current one and strong.
#[must_use]
pub fn range_applies(headers: &HeaderMap, etag: Option<&Etag>, modified: Option<LastModified>) -> bool {
    let Some(value) = only(headers, &header::IF_RANGE) else {
        // Repeated, it can be neither; then the whole representation is the safe answer.
        return !headers.contains_key(header::IF_RANGE);
    };
    if let Some(wanted) = Etag::parse(value.as_bytes()) {
        return etag.is_some_and(|etag| etag.matches_strongly(&wanted));
    }
    let wanted = validators::parse_date(value.as_bytes());
    modified.is_some_and(|modified| modified.strong && wanted == Some(modified.seconds))
}

impl Tags {
    fn holds(&self, current: Option<&Etag>, matches: fn(&Etag, &Etag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => current.is_some_and(|current| tags.iter().any(|tag| matches(current, tag))),
        }
    }
}

/// Reads a list field of entity tags; `None` where there is no such field.
///
/// What is no entity tag matches nothing, and ends the reading of its line: a quote that is missing could have swallowed commas.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let mut list = Vec::new();
    for line in lines {
        if line == "*" {
            return Some(Tags::Any);
        }
        let mut rest = line.as_bytes();
        loop {
            while let [b' ' | b'\t' | b',', after @ ..] = rest {
                rest = after;
            }
            let Some((etag, after)) = Etag::parse_prefix(rest) else { break };
            let separated = after.trim_ascii_start().first().is_none_or(|next| *next == b',');
            if !separated {
                break;
            }
            list.push(etag);
            rest = after;
        }
    }
    Some(Tags::List(list))
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
