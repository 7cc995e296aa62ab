//! Under which name a file is kept where nobody said: the server's (RFC 6266 section 4.3), else the last part of the URL's path.

use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use url::Url;

/// What a file is called that has no better name.
const NAMELESS: &str = "download";

/// In bytes: file systems take 255, and a suffix comes after it.
const LONGEST: usize = 200;

/// The last part of the path, decoded.
pub(super) fn of_url(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty())).unwrap_or_default();
    safe(&percent_decode_str(last).decode_utf8_lossy()).unwrap_or_else(|| NAMELESS.to_owned())
}

/// The name that `Content-Disposition` gives, if it gives one that can be used.
pub(super) fn of_headers(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_DISPOSITION)?.to_str().ok()?;
    let mut plain = None;
    for (name, value) in parameters(value) {
        match name.as_str() {
            // The exact one goes before the one for clients of old (RFC 6266 section 4.3).
            "filename*" => {
                let decoded = extended(&value).and_then(|name| safe(&name));
                if decoded.is_some() {
                    return decoded;
                }
            }
            "filename" => plain = safe(&value),
            _ => {}
        }
    }
    plain
}

/// The parameters after the disposition type, names in lower case, quotes taken off.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, more) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, more) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), more)
            }
        };
        found.push((name.trim_matches([' ', '\t', ';']).to_ascii_lowercase(), value));
        rest = more;
    }
    found
}

/// A quoted string without its quotes and backslashes, and what comes after it (RFC 9110 section 5.6.4).
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// `UTF-8''%E4%BC%9A` (RFC 8187 section 3.2).
fn extended(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let decoded = percent_decode_str(encoded).decode_utf8().ok()?;
    charset.eq_ignore_ascii_case("utf-8").then(|| decoded.into_owned())
}

/// A name that stays in its folder, is not hidden and can be seen; `None` if nothing of it is left.
fn safe(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|c| !c.is_control()).collect();
    let name = visible[..visible.floor_char_boundary(LONGEST)].trim().trim_start_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use ferry_delivery::semantics::disposition::attachment;
    use http::HeaderValue;

    use super::*;

    fn of(value: &HeaderValue) -> Option<String> {
        of_headers(&HeaderMap::from_iter([(header::CONTENT_DISPOSITION, value.clone())]))
    }

    #[test]
    fn what_a_node_says_is_what_is_kept() {
        for name in ["meeting_7.zip", "a b;c.txt", "会议.zip", "50%.txt"] {
            assert_eq!(of(&attachment(name)).as_deref(), Some(name));
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (value, expected) in [
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"c:\\\\x\\\\y.txt\"", Some("y.txt")),
            ("attachment; filename*=UTF-8''..%2F.bashrc", Some("bashrc")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename=\"\"", None),
            ("attachment; filename=a.txt; filename*=latin1''b", Some("a.txt")),
            ("attachment; filename=\"a\\\"b.txt\"", Some("a\"b.txt")),
            ("attachment", None),
            ("inline; filename", None),
        ] {
            assert_eq!(of(&HeaderValue::from_static(value)).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_url_s_last_part_is_a_name() {
        for (url, expected) in [
            ("http://h/a/b.iso?x=1", "b.iso"),
            ("http://h/a/%E4%BC%9A.zip", "会.zip"),
            ("http://h/a/", "a"),
            ("http://h/", "download"),
            ("http://h/a/..%2f..%2fx", "x"),
        ] {
            assert_eq!(of_url(&Url::parse(url).expect("valid")), expected);
        }
    }
}
