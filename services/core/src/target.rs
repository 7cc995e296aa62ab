//! The text of request targets: paths as they are sent, and queries taken apart.
//!
//! Decides which query parameters are ferry's own and how a path or parameter is written in one form only. Never decides
//! what a path means; routes do.

use std::{borrow::Cow, iter};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::object::{ObjectKey, ObjectPath};

/// All but the unreserved characters of RFC 3986 section 2.3: safe in any part of a URL.
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A whole path: segments stay segments, and `pchar` of RFC 3986 section 3.3 stays as people wrote it.
pub(crate) const PATH: &AsciiSet = &COMPONENT
    .remove(b'/')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The query parameter of a node token.
pub const NODE_PARAMETER: &str = "ferry";

/// A query parameter that ferry itself reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    Uid,
    Expires,
    Token,
    Kid,
    Scope,
    Node,
}

impl Own {
    const COUNT: usize = Self::Node as usize + 1;

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "uid" => Self::Uid,
            "expires" => Self::Expires,
            "token" => Self::Token,
            "kid" => Self::Kid,
            "scope" => Self::Scope,
            NODE_PARAMETER => Self::Node,
            _ => return None,
        })
    }
}

/// Whether ferry itself reads this parameter on a route that wants user tokens.
#[must_use]
pub fn is_ferry_parameter(name: &str) -> bool {
    Own::named(name).is_some()
}

/// The path as a request target: a leading slash, then everything encoded that has to be.
#[must_use]
pub fn encode_path(path: &ObjectPath) -> String {
    let mut target = String::with_capacity(path.as_str().len() + 16);
    target.push('/');
    target.extend(utf8_percent_encode(path.as_str(), PATH));
    target
}

/// What an object is called at an origin that knows it by its key.
#[must_use]
pub fn default_target(key: &ObjectKey) -> String {
    let mut target = encode_path(&key.path);
    if let Some(query) = &key.query {
        target.push('?');
        target.push_str(query);
    }
    target
}

/// Whether that is what [`default_target`] gives.
pub(crate) fn is_default_target(target: &str, key: &ObjectKey) -> bool {
    let mut rest = target.strip_prefix('/');
    for piece in utf8_percent_encode(key.path.as_str(), PATH) {
        rest = rest.and_then(|rest| rest.strip_prefix(piece));
    }
    match (rest, &key.query) {
        (Some(rest), None) => rest.is_empty(),
        (Some(rest), Some(query)) => rest.strip_prefix('?') == Some(query),
        (None, _) => false,
    }
}

/// One `name=value` of a query, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair<'q> {
    pub(crate) raw: &'q str,
    name: Component<'q>,
    value: Component<'q>,
}

/// A name or a value of a query, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component<'q> {
    raw: &'q str,
    /// Whether its query has a percent sign. Mostly it has none, and then it can be nothing but UTF-8.
    encoded: bool,
}

impl<'q> Pair<'q> {
    /// The decoded name; `None` if it is not UTF-8.
    pub(crate) fn name(self) -> Option<Cow<'q, str>> {
        self.name.decoded()
    }

    pub(crate) const fn raw_value(self) -> &'q str {
        self.value.raw
    }
}

impl<'q> Component<'q> {
    /// `None` if it is not UTF-8. A plus sign is a plus sign, as in RFC 3986.
    pub(crate) fn decoded(self) -> Option<Cow<'q, str>> {
        if self.encoded { percent_decode_str(self.raw).decode_utf8().ok() } else { Some(Cow::Borrowed(self.raw)) }
    }
}

/// The pairs of a query in their order; what is empty between two `&` is left out.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    let encoded = query.as_bytes().contains(&b'%');
    let mut rest = query;
    iter::from_fn(move || {
        while let Some(next) = rest.strip_prefix('&') {
            rest = next;
        }
        if rest.is_empty() {
            return None;
        }
        let (raw, behind) = rest.split_at(find(rest.as_bytes(), b'&'));
        rest = behind;
        // Names are shorter than values.
        let name = raw.bytes().position(|octet| octet == b'=').unwrap_or(raw.len());
        let component = |raw| Component { raw, encoded };
        Some(Pair { raw, name: component(&raw[..name]), value: component(raw.get(name + 1..).unwrap_or_default()) })
    })
}

/// Where the octet is, or where they end. Eight at a time: of a zero among them the highest bit is set by what borrows from it (Lamport, "Multiple byte
/// processing with full-word instructions", 1975), and the lowest such bit is never wrong.
fn find(octets: &[u8], wanted: u8) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (mut begin, pattern) = (0, ONES * u64::from(wanted));
    while let Some(eight) = octets[begin..].first_chunk() {
        let word = u64::from_le_bytes(*eight) ^ pattern;
        let zeroes = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeroes != 0 {
            return begin + (zeroes.trailing_zeros() / 8) as usize;
        }
        begin += 8;
    }
    octets[begin..].iter().position(|octet| *octet == wanted).map_or(octets.len(), |at| begin + at)
}

/// A query, taken apart once: ferry's own parameters, however their names are encoded.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    raw: Option<&'q str>,
    /// The value of the first of each name.
    own: [Option<Component<'q>>; Own::COUNT],
    twice: [bool; Own::COUNT],
    others: bool,
}

impl<'q> Query<'q> {
    /// Takes a raw query apart: what follows a `?`, if there is one.
    #[must_use]
    pub fn of(raw: Option<&'q str>) -> Self {
        let mut query = Self { raw, own: [None; _], twice: [false; _], others: false };
        for pair in pairs(raw.unwrap_or_default()) {
            match pair.name().and_then(|name| Own::named(&name)).map(|own| own as usize) {
                None => query.others = true,
                Some(own) if query.own[own].is_some() => query.twice[own] = true,
                Some(own) => query.own[own] = Some(pair.value),
            }
        }
        query
    }

    /// As it was sent.
    #[must_use]
    pub const fn raw(&self) -> Option<&'q str> {
        self.raw
    }

    /// The value of the parameter of that name; of the first of them where there are several.
    pub(crate) const fn own(&self, own: Own) -> Option<Component<'q>> {
        self.own[own as usize]
    }

    /// Whether it is there more than once: some reader would believe the one, some the other.
    pub(crate) const fn is_twice(&self, own: Own) -> bool {
        self.twice[own as usize]
    }

    /// Whether it has nothing but parameters that ferry itself reads where it wants user tokens, or nothing at all.
    pub(crate) const fn is_ferrys(&self) -> bool {
        !self.others
    }

    /// Its node tokens.
    #[must_use]
    pub fn node_tokens(&self) -> NodeTokens<'q> {
        match self.own(Own::Node) {
            None => NodeTokens::None,
            Some(_) if self.is_twice(Own::Node) => NodeTokens::Several,
            Some(value) => NodeTokens::One(value.raw),
        }
    }

    /// What [`strip_ferry_parameters`] leaves of it.
    #[must_use]
    pub fn without_ferry_parameters(&self) -> Cow<'q, str> {
        let raw = self.raw.unwrap_or_default();
        match (self.own.iter().any(Option::is_some), self.others) {
            (false, _) => Cow::Borrowed(raw),
            (true, false) => Cow::Borrowed(""),
            (true, true) => strip_ferry_parameters(raw),
        }
    }

    /// What [`strip_node_token`] leaves of it.
    #[must_use]
    pub fn without_node_token(&self) -> Cow<'q, str> {
        let raw = self.raw.unwrap_or_default();
        if self.own(Own::Node).is_none() { Cow::Borrowed(raw) } else { strip_node_token(raw) }
    }
}

impl<'q> From<Option<&'q str>> for Query<'q> {
    fn from(raw: Option<&'q str>) -> Self {
        Self::of(raw)
    }
}

/// The query without ferry's own parameters, however their names are encoded; empty when nothing is left.
#[must_use]
pub fn strip_ferry_parameters(query: &str) -> Cow<'_, str> {
    strip(query, is_ferry_parameter)
}

/// The node tokens of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeTokens<'q> {
    /// There is none.
    None,
    /// There is this one.
    One(&'q str),
    /// There are two or more: some reader would believe the one, some the other, so nobody may believe any.
    Several,
}

/// Finds the node token of a raw query: exactly what [`strip_node_token`] takes out.
#[must_use]
pub fn node_tokens(query: &str) -> NodeTokens<'_> {
    Query::of(Some(query)).node_tokens()
}

/// The query without its node token: all that is ferry's where no user token is read.
#[must_use]
pub fn strip_node_token(query: &str) -> Cow<'_, str> {
    strip(query, |name| name == NODE_PARAMETER)
}

fn strip(query: &str, ours: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let ours = |pair: &Pair<'_>| pair.name().is_some_and(|name| ours(&name));
    if !pairs(query).any(|pair| ours(&pair)) {
        return Cow::Borrowed(query);
    }
    let mut rest = String::with_capacity(query.len());
    for pair in pairs(query).filter(|pair| !ours(pair)) {
        if !rest.is_empty() {
            rest.push('&');
        }
        rest.push_str(pair.raw);
    }
    Cow::Owned(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_out_as_it_came_in() {
        let path = ObjectPath::from_target("/a%20b/100%25/%E4%BC%9A+c;d=e,f%3Fg%23.zip").expect("valid");
        assert_eq!(encode_path(&path), "/a%20b/100%25/%E4%BC%9A+c;d=e,f%3Fg%23.zip");
    }

    #[test]
    fn only_ferrys_own_parameters_are_taken_away() {
        for (query, rest) in [
            ("", ""),
            ("&&", "&&"),
            ("&&uid=u&&", ""),
            ("a=1&b=2", "a=1&b=2"),
            ("uid=u&expires=9&token=t&kid=k&scope=/a/&ferry=f", ""),
            ("a=1&uid=u&b=2&token=t", "a=1&b=2"),
            ("%66erry=f&a", "a"),
            ("uids=1&Token=2&ferryx=3", "uids=1&Token=2&ferryx=3"),
            ("a=%ff&ferry", "a=%ff"),
            ("a=uid=1&ferry=x=y", "a=uid=1"),
        ] {
            assert_eq!(strip_ferry_parameters(query), rest, "{query:?}");
            assert_eq!(Query::of(Some(query)).without_ferry_parameters(), rest, "{query:?}");
            assert_eq!(Query::of(Some(query)).without_node_token(), strip_node_token(query), "{query:?}");
        }
        assert_eq!(strip_node_token("token=mine&ferry=x"), "token=mine");
    }

    #[test]
    fn an_octet_is_found_wherever_it_is_the_first_time() {
        for length in 0..40 {
            // Neighbours of the wanted one in value are what a borrow could mistake for it.
            for filler in *b"%\'\xa6\x00\xff" {
                let mut octets = vec![filler; length];
                assert_eq!(find(&octets, b'&'), length);
                for at in (0..length).rev() {
                    octets[at] = b'&';
                    assert_eq!(find(&octets, b'&'), at);
                }
            }
        }
    }

    #[test]
    fn a_query_is_taken_apart_at_each_ampersand_and_the_first_equals_sign() {
        for (query, expected) in [
            ("", vec![]),
            ("&", vec![]),
            ("a", vec![("a", "")]),
            ("=", vec![("", "")]),
            ("a=b=c&&d=&=e&", vec![("a", "b=c"), ("d", ""), ("", "e")]),
            ("%61=%62&c", vec![("a", "b"), ("c", "")]),
        ] {
            let found: Vec<_> = pairs(query).map(|pair| (pair.name(), pair.value.decoded())).collect();
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| (Some((*name).into()), Some((*value).into()))).collect();
            assert_eq!(found, expected, "{query:?}");
        }
    }

    #[test]
    fn two_node_tokens_are_none_to_believe() {
        for (query, tokens) in [
            ("a=1", NodeTokens::None),
            ("a=1&ferry=x", NodeTokens::One("x")),
            ("ferry", NodeTokens::One("")),
            ("f%65rry=%78", NodeTokens::One("%78")),
            ("ferry=x&f%65rry=x", NodeTokens::Several),
        ] {
            assert_eq!(node_tokens(query), tokens, "{query:?}");
        }
    }
}
