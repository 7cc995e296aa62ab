//! The directives of a `Cache-Control` line, one by one: RFC 9111 section 5.2.
//!
//! Nothing is refused here. What is no directive is said to be broken, and the reader decides what that costs.

use std::borrow::Cow;

/// One directive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    /// As it was written; letters of both cases mean the same.
    pub(super) name: &'a [u8],
    pub(super) argument: Argument<'a>,
}

/// What follows the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// Nothing.
    None,
    /// A token or what stood between quotes: section 5.2 wants both forms to be read alike.
    Text(Cow<'a, [u8]>),
    /// Neither: blanks where none belong, a quote that does not end, text after the quoted.
    Broken,
}

impl Directive<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The directives of one line of the field. Empty elements are left out; a quote that does not end swallows nothing, so that a
/// `no-store` behind it is still seen.
pub(super) fn of(line: &[u8]) -> impl Iterator<Item = Directive<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return None;
        }
        let (directive, after) = first(rest);
        rest = after;
        Some(directive)
    })
}

/// Reads the directive at the beginning of `text`, which is neither empty nor begins with a blank or a comma.
fn first(text: &[u8]) -> (Directive<'_>, &[u8]) {
    let end = text.iter().position(|byte| matches!(byte, b'=' | b',' | b'"' | b' ' | b'\t')).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    if let [b'=', b'"', quoted @ ..] = after
        && let Some((value, after)) = unquote(quoted)
    {
        let (trailing, after) = element(after);
        let argument = if trailing.is_empty() { Argument::Text(value) } else { Argument::Broken };
        return (Directive { name, argument }, after);
    }
    let (raw, after) = element(after);
    let argument = match raw {
        [] => Argument::None,
        [b'=', token @ ..] if !token.is_empty() && token.iter().all(|byte| is_token(*byte)) => {
            Argument::Text(Cow::Borrowed(token))
        }
        _ => Argument::Broken,
    };
    (Directive { name, argument }, after)
}

/// What stands before the next comma, without the blanks at its end; and what comes from that comma on.
fn element(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
    (text[..end].trim_ascii_end(), &text[end..])
}

/// Reads a quoted string (RFC 9110 section 5.6.4) whose first quote is behind; `None` if it does not end.
fn unquote(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' if value.len() == at => return Some((Cow::Borrowed(&text[..at]), &text[at + 1..])),
            b'"' => return Some((Cow::Owned(value), &text[at + 1..])),
            b'\\' => {
                value.push(*text.get(at + 1)?);
                at += 2;
            }
            plain => {
                value.push(*plain);
                at += 1;
            }
        }
    }
}

/// RFC 9110 section 5.6.2.
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<(String, Option<String>)> {
        of(line.as_bytes())
            .map(|directive| {
                let name = String::from_utf8_lossy(directive.name).into_owned();
                let argument = match directive.argument {
                    Argument::None => None,
                    Argument::Text(text) => Some(String::from_utf8_lossy(&text).into_owned()),
                    Argument::Broken => Some("(broken)".to_owned()),
                };
                (name, argument)
            })
            .collect()
    }

    #[test]
    fn a_line_is_read_directive_by_directive() {
        for (line, expected) in [
            ("", &[][..]),
            (" , ,\t,", &[]),
            ("no-store", &[("no-store", None)]),
            ("a=1, b", &[("a", Some("1")), ("b", None)]),
            ("a=1,b=\"2, 3\",c", &[("a", Some("1")), ("b", Some("2, 3")), ("c", None)]),
            ("a=\"x\\\"y\\\\\" ,b", &[("a", Some("x\"y\\")), ("b", None)]),
            ("a=\"\"", &[("a", Some(""))]),
            ("a='1'", &[("a", Some("'1'"))]),
            ("MaX-aGe=1", &[("MaX-aGe", Some("1"))]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
            assert_eq!(read(line), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_no_directive_is_broken_and_hides_nothing_behind_it() {
        const BROKEN: Option<&str> = Some("(broken)");
        for (line, expected) in [
            ("a =1, b", &[("a", BROKEN), ("b", None)][..]),
            ("a= 1, b", &[("a", BROKEN), ("b", None)]),
            ("a=, b", &[("a", BROKEN), ("b", None)]),
            ("a=1 2, b", &[("a", BROKEN), ("b", None)]),
            ("a=\"1\"2, b", &[("a", BROKEN), ("b", None)]),
            ("a=\"1, b", &[("a", BROKEN), ("b", None)]),
            ("a=\"1\\", &[("a", BROKEN)]),
            ("a=1;b=2, c", &[("a", BROKEN), ("c", None)]),
            ("=1, b", &[("", Some("1")), ("b", None)]),
            ("\"a\", b", &[("", BROKEN), ("b", None)]),
            ("a\"b\", c", &[("a", BROKEN), ("c", None)]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
            assert_eq!(read(line), expected, "{line:?}");
        }
    }
}
