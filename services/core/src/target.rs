//! The text of request targets: paths as they are sent, and queries taken apart.
//!
//! Decides which query parameters are ferry's own and how a path or parameter is written in one form only. Never decides
//! what a path means; routes do.

use std::borrow::Cow;

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

/// The query parameters of a user token.
const USER_PARAMETERS: [&str; 5] = ["uid", "expires", "token", "kid", "scope"];
/// The query parameter of a node token.
pub const NODE_PARAMETER: &str = "ferry";

/// Whether ferry itself reads this parameter on a route that wants user tokens.
#[must_use]
pub fn is_ferry_parameter(name: &str) -> bool {
    name == NODE_PARAMETER || USER_PARAMETERS.contains(&name)
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
    name: &'q str,
    value: &'q str,
}

impl<'q> Pair<'q> {
    /// The decoded name; `None` if it is not UTF-8.
    pub(crate) fn name(self) -> Option<Cow<'q, str>> {
        decoded(self.name)
    }

    /// Whether that holds of the decoded name.
    fn is(self, one: impl Fn(&str) -> bool) -> bool {
        self.name().is_some_and(|name| one(&name))
    }

    /// The decoded value; `None` if it is not UTF-8. A plus sign is a plus sign, as in RFC 3986.
    pub(crate) fn value(self) -> Option<Cow<'q, str>> {
        decoded(self.value)
    }

    pub(crate) const fn raw_value(self) -> &'q str {
        self.value
    }
}

fn decoded(component: &str) -> Option<Cow<'_, str>> {
    // Mostly nothing is encoded, and then nothing can be anything but UTF-8.
    match component.as_bytes().contains(&b'%') {
        true => percent_decode_str(component).decode_utf8().ok(),
        false => Some(Cow::Borrowed(component)),
    }
}

/// The pairs of a query in their order; what is empty between two `&` is left out.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
        Pair { raw, name, value }
    })
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
    let mut tokens = pairs(query).filter(|pair| pair.is(is_node_token)).map(Pair::raw_value);
    match (tokens.next(), tokens.next()) {
        (None, _) => NodeTokens::None,
        (Some(token), None) => NodeTokens::One(token),
        (Some(_), Some(_)) => NodeTokens::Several,
    }
}

/// The query without its node token: all that is ferry's where no user token is read.
#[must_use]
pub fn strip_node_token(query: &str) -> Cow<'_, str> {
    strip(query, is_node_token)
}

fn is_node_token(name: &str) -> bool {
    name == NODE_PARAMETER
}

fn strip(query: &str, ours: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let ours = |pair: &Pair<'_>| pair.is(&ours);
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
            ("a=1&b=2", "a=1&b=2"),
            ("uid=u&expires=9&token=t&kid=k&scope=/a/&ferry=f", ""),
            ("a=1&uid=u&b=2&token=t", "a=1&b=2"),
            ("%66erry=f&a", "a"),
            ("uids=1&Token=2&ferryx=3", "uids=1&Token=2&ferryx=3"),
            ("a=%ff&ferry", "a=%ff"),
            ("a=uid=1&ferry=x=y", "a=uid=1"),
        ] {
            assert_eq!(strip_ferry_parameters(query), rest, "{query:?}");
        }
        assert_eq!(strip_node_token("token=mine&ferry=x"), "token=mine");
    }
}
