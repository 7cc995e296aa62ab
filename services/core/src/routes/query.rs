//! What of a query is part of an object's key, in one form for all ways of writing it.

use std::{fmt::Write as _, sync::Arc};

use crate::target::{Pair, pairs};

/// What of a query is part of the key. ferry's own parameters never are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QueryRule {
    /// Nothing: the path alone names the object.
    Ignore,
    /// All of it, as it was sent: an origin may mind the order.
    Keep,
    /// These parameters, in this order; several of one name in the order in which they were sent.
    Names(Vec<String>),
}

impl QueryRule {
    /// The part of `raw` that is part of the key; `None` if nothing is. `own` tells the parameters that ferry reads.
    /// Visible ASCII whatever came in, so that it fits into a key, a MAC and a request line.
    pub(super) fn canonical(&self, raw: &str, own: impl Fn(&str) -> bool) -> Option<Arc<str>> {
        let mut canonical = String::new();
        let mut push = |add: &dyn Fn(&mut String)| {
            if !canonical.is_empty() {
                canonical.push('&');
            }
            add(&mut canonical);
        };
        match self {
            Self::Ignore => {}
            Self::Keep => pairs(raw)
                .filter(|pair| !pair.name().is_some_and(|name| own(&name)))
                .for_each(|pair| push(&|text| push_visible(pair.raw, text))),
            Self::Names(names) => {
                for name in names {
                    pairs(raw)
                        .filter(|pair| pair.name().is_some_and(|sent| sent == name.as_str()))
                        .for_each(|pair| push(&|text| push_pair(name, pair, text)));
                }
            }
        }
        (!canonical.is_empty()).then(|| canonical.into())
    }
}

fn push_pair(name: &str, pair: Pair<'_>, text: &mut String) {
    push_normal(name, text, |_| None);
    text.push('=');
    push_normal(pair.raw_value(), text, escape);
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The octet that `%XX` at the beginning of `bytes` stands for.
fn escape(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// RFC 3986 section 6.2.2: what need not be encoded is decoded, digits are upper case. A plus sign stays apart from
/// `%2B`, and a comma from `%2C`: to an origin they may differ.
fn push_normal(component: &str, text: &mut String, escape: impl Fn(&[u8]) -> Option<u8>) {
    let mut rest = component.as_bytes();
    while let [first, after @ ..] = rest {
        let plain = is_unreserved(*first) || b"!$'()*+,;:@/?".contains(first);
        match escape(rest) {
            Some(octet) if is_unreserved(octet) => text.push(octet.into()),
            Some(octet) => push_octet(octet, text),
            None if plain => text.push((*first).into()),
            None => push_octet(*first, text),
        }
        rest = if escape(rest).is_some() { &rest[3..] } else { after };
    }
}

/// Everything as it is, but for what cannot stand in a request line.
fn push_visible(raw: &str, text: &mut String) {
    for byte in raw.bytes() {
        if byte.is_ascii_graphic() { text.push(byte.into()) } else { push_octet(byte, text) }
    }
}

fn push_octet(octet: u8, text: &mut String) {
    write!(text, "%{octet:02X}").expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(rule: &QueryRule, raw: &str) -> Option<String> {
        rule.canonical(raw, |name| name == "ferry").map(|text| text.to_string())
    }

    #[test]
    fn an_ignored_query_is_no_part_of_the_key() {
        assert_eq!(canonical(&QueryRule::Ignore, "a=1"), None);
    }

    #[test]
    fn a_kept_query_is_kept_as_it_was_sent_but_for_ferrys_own() {
        for (raw, kept) in [
            ("b=2&a=1&a=%7e", Some("b=2&a=1&a=%7e")),
            ("ferry=x&a", Some("a")),
            ("f%65rry=x", None),
            ("", None),
            ("&&", None),
            ("a=\u{e9}\n", Some("a=%C3%A9%0A")),
        ] {
            assert_eq!(canonical(&QueryRule::Keep, raw).as_deref(), kept, "{raw:?}");
        }
    }

    #[test]
    fn named_parameters_have_one_form_and_one_order() {
        let rule = QueryRule::Names(vec!["w".into(), "h é".into()]);
        for (raw, named) in [
            ("x=1", None),
            ("h%20%c3%a9=2&x=9&w=1", Some("w=1&h%20%C3%A9=2")),
            ("%77=%31&w=2", Some("w=1&w=2")),
            ("w", Some("w=")),
            ("w=a+b%2b%2c,%7e%zz%4", Some("w=a+b%2B%2C,~%25zz%254")),
            ("w=1=2#", Some("w=1%3D2%23")),
            ("w=%0aq\n", Some("w=%0Aq%0A")),
        ] {
            assert_eq!(canonical(&rule, raw).as_deref(), named, "{raw:?}");
        }
    }
}
