//! `Content-Disposition`: under which name a client saves what it gets (RFC 6266, with RFC 8187 for names beyond ASCII).

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 8187 section 3.2.1 calls attr-char stands as it is, all else is encoded.
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Says that the content is to be saved as `name`.
///
/// A name that is not plain comes twice: cleaned for clients of old, and exactly for the others (RFC 6266 appendix D). Path
/// separators never get through: they become `_`.
#[must_use]
pub fn attachment(name: &str) -> HeaderValue {
    let safe: String = name.chars().map(|c| if matches!(c, '/' | '\\') || c.is_control() { '_' } else { c }).collect();
    // A percent sign would be decoded by some clients, a quote would end the string.
    let plain: String =
        safe.chars().map(|c| if (' '..='~').contains(&c) && !matches!(c, '"' | '%') { c } else { '_' }).collect();
    let text = if plain == safe {
        format!("attachment; filename=\"{plain}\"")
    } else {
        format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(&safe, EXTENDED))
    };
    HeaderValue::from_str(&text).expect("both forms of the name are visible ASCII and spaces")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_reach_old_and_new_clients() {
        for (name, expected) in [
            ("meeting_7.zip", "attachment; filename=\"meeting_7.zip\""),
            ("a b;c.txt", "attachment; filename=\"a b;c.txt\""),
            ("会议.zip", "attachment; filename=\"__.zip\"; filename*=UTF-8''%E4%BC%9A%E8%AE%AE.zip"),
            ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
            ("a\"b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b"),
            ("../../etc/passwd", "attachment; filename=\".._.._etc_passwd\""),
            ("c:\\x", "attachment; filename=\"c:_x\""),
            ("a\r\nSet-Cookie: x", "attachment; filename=\"a__Set-Cookie: x\""),
            ("", "attachment; filename=\"\""),
        ] {
            assert_eq!(attachment(name), expected, "{name:?}");
        }
    }

    proptest! {
        /// Any name gives a field with one quoted string and, beyond ASCII, one token of RFC 8187.
        #[test]
        fn any_name_is_quoted_safely(name in any::<String>()) {
            let value = attachment(&name);
            let text = value.to_str().expect("visible ASCII");
            prop_assert_eq!(text.matches('"').count(), 2);
            prop_assert!(!text.contains(['/', '\\']));
        }
    }
}
