//! Which request a stored response answers, beside its key: RFC 9111 section 4.1.

use http::{HeaderMap, HeaderName, header};

/// The fields of a request that chose a response, in one form for all ways of writing them.
///
/// Only fields that the origin was sent can have chosen anything, so it is made of those.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct VaryKey(Vec<(HeaderName, Option<Vec<u8>>)>);

impl VaryKey {
    /// The key of a response to a request with these fields; `None` if the response says that it depends on more than fields (`*`), or
    /// on what is no field name.
    #[must_use]
    pub fn of(response: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        let names = names(response)?;
        Some(Self(names.into_iter().map(|name| (name.clone(), normal(&name, request))).collect()))
    }

    /// Whether a request with these fields would have got the same response.
    #[must_use]
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| *value == normal(name, request))
    }

    /// Whether a response depends on the same fields as the one that this is the key of.
    #[must_use]
    pub fn names_the_same(&self, response: &HeaderMap) -> bool {
        names(response).is_some_and(|names| names.iter().eq(self.0.iter().map(|(name, _)| name)))
    }

    /// The fields, in their order, and what they said; `None` for one that was absent.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&HeaderName, Option<&[u8]>)> {
        self.0.iter().map(|(name, value)| (name, value.as_deref()))
    }

    /// The key that has these fields: what [`Self::iter`] gave once.
    pub(super) fn from_parts(parts: Vec<(HeaderName, Option<Vec<u8>>)>) -> Self {
        Self(parts)
    }
}

/// The names that `Vary` lists, sorted, each once.
fn names(response: &HeaderMap) -> Option<Vec<HeaderName>> {
    let lines = response.get_all(header::VARY).iter();
    let listed = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut names = Vec::new();
    for name in listed.filter(|name| !name.is_empty()) {
        // `*` is a token, too.
        names.push(HeaderName::from_bytes(name).ok().filter(|name| name != "*")?);
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    Some(names)
}

/// What a request says in a field, as far as it matters; `None` if it is absent.
fn normal(name: &HeaderName, request: &HeaderMap) -> Option<Vec<u8>> {
    let lines: Vec<_> = request.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return None;
    }
    let joined = lines.join(&b","[..]);
    let members = members(&joined);
    if [header::ACCEPT_LANGUAGE, header::ACCEPT_ENCODING].contains(name)
        && let Some(weighted) = weighted(&members)
    {
        return Some(weighted);
    }
    Some(members.join(&b","[..]))
}

/// The members of a list, without the blanks around them. A comma between quotes separates nothing.
fn members(list: &[u8]) -> Vec<&[u8]> {
    let (mut members, mut from) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in list.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                members.push(list[from..at].trim_ascii());
                from = at + 1;
            }
            _ => {}
        }
    }
    members.push(list[from..].trim_ascii());
    members
}

/// A list of words with weights (RFC 9110 section 12.4.2), in which neither case nor order means anything; `None` if it is not one.
fn weighted(members: &[&[u8]]) -> Option<Vec<u8>> {
    let mut words = Vec::with_capacity(members.len());
    for member in members.iter().filter(|member| !member.is_empty()) {
        let (word, weight) = match member.iter().position(|byte| *byte == b';') {
            None => (*member, 1000),
            Some(at) => (member[..at].trim_ascii_end(), weight(member[at + 1..].trim_ascii_start())?),
        };
        words.push((1000 - weight, word.to_ascii_lowercase()));
    }
    words.sort_unstable();
    words.dedup();
    let text = words.into_iter().map(|(less, word)| [&word[..], b";", less.to_string().as_bytes()].concat());
    Some(text.collect::<Vec<_>>().join(&b","[..]))
}

/// `q=0.5` as thousandths.
fn weight(parameter: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(parameter).ok()?.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let weight = match whole {
        "0" if digits => format!("{decimals:0<3}").parse().ok()?,
        "1" if digits && decimals.bytes().all(|byte| byte == b'0') => 1000,
        _ => return None,
    };
    Some(weight)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).expect("a field value"));
        }
        headers
    }

    fn request(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in text.lines() {
            let (name, value) = line.trim().split_once(": ").expect("a field");
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a field value"));
        }
        headers
    }

    fn same(vary: &str, first: &str, second: &str) -> bool {
        VaryKey::of(&headers("vary", &[vary]), &request(first)).expect("no star").matches(&request(second))
    }

    #[test]
    fn a_star_matches_nothing_ever() {
        for lines in [
            &["*"][..],
            &["*, *"],
            &["*", "*"],
            &[", *"],
            &["", "*"],
            &["*, foo"],
            &["foo, *"],
            &["foo", " * "],
            &["a b"],
        ] {
            assert_eq!(VaryKey::of(&headers("vary", lines), &HeaderMap::new()), None, "{lines:?}");
        }
    }

    #[test]
    fn the_fields_that_vary_names_have_to_agree_and_no_others() {
        for (vary, first, second, expected) in [
            ("foo", "foo: 1", "foo: 1", true),
            ("Foo", "foo: 1", "foo: 2", false),
            ("foo", "foo: 1", "bar: 1", false),
            ("foo", "bar: 1", "foo: 1", false),
            ("foo", "foo: 1\nother: 2", "foo: 1\nother: 3", true),
            ("foo, bar", "foo: 1\nbar: a", "bar: a\nfoo: 1", true),
            ("foo, bar", "foo: 1\nbar: a", "foo: 1\nbar: b", false),
            ("foo, bar", "foo: 1", "bar: x", false),
            ("foo,,bar , baz", "foo: 1\nbaz: 3", "foo: 1\nbaz: 3", true),
            ("foo,,bar , baz", "foo: 1\nbaz: 3", "foo: 1\nbar: 2\nbaz: 3", false),
            ("foo", "foo: 1", "foo: 1\nfoo: 1", false),
            ("", "foo: 1", "foo: 2", true),
        ] {
            assert_eq!(same(vary, first, second), expected, "{vary:?}: {first:?}, {second:?}");
        }
    }

    #[test]
    fn lines_and_blanks_make_no_difference_but_quotes_do() {
        for (first, second, expected) in [
            ("foo: 1, 2", "foo: 1\nfoo: 2", true),
            ("foo: 1,2", "foo:  1 ,\t2 ", true),
            ("foo: 1,2", "foo: 2,1", false),
            ("foo: a", "foo: A", false),
            ("foo: a b", "foo: ab", false),
            ("foo: \"1, 2\"", "foo: \"1,2\"", false),
            ("foo: \"1\\\", 2\"", "foo: \"1\\\",2\"", false),
            ("foo: \"1\" , 2", "foo: \"1\",2", true),
        ] {
            assert_eq!(same("foo", first, second), expected, "{first:?}, {second:?}");
        }
    }

    #[test]
    fn languages_are_the_same_in_any_order_and_case() {
        for (first, second, expected) in [
            ("en, de", "de, en", true),
            ("en, de", "eN,  De", true),
            ("en, de;q=0.5", "de ; Q=0.500, en;q=1", true),
            ("en, de;q=0.5", "de, en;q=0.5", false),
            ("en, de;q=0.5", "en, de;q=0.6", false),
            ("en", "en, de", false),
            ("en;q=2", "en", false),
            ("en;x=1", "en", false),
            ("en, en", "en", true),
        ] {
            let (first, second) = (format!("accept-language: {first}"), format!("accept-language: {second}"));
            assert_eq!(same("accept-language", &first, &second), expected, "{first:?}, {second:?}");
        }
    }

    #[test]
    fn a_change_of_the_names_is_seen() {
        let key = VaryKey::of(&headers("vary", &["b, A"]), &HeaderMap::new()).expect("no star");
        for (vary, same) in [("a,B", true), ("b, a, b", true), ("a", false), ("a, b, c", false), ("*", false)] {
            assert_eq!(key.names_the_same(&headers("vary", &[vary])), same, "{vary:?}");
        }
        assert!(!key.names_the_same(&HeaderMap::new()));
    }
}
