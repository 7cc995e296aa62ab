//! Where else the same file is: `Link` fields with `rel=duplicate` (RFC 6249 section 3, RFC 8288 section 3).

use http::{HeaderMap, header};
use url::Url;

/// More than any gateway names; the rest is nobody's help.
const MOST: usize = 8;

/// The duplicates that a response names, the best first, as seen from the URL that gave it. What cannot be read is left out.
pub(super) fn duplicates(base: &Url, headers: &HeaderMap) -> Vec<Url> {
    let mut found: Vec<(u32, Url)> = Vec::new();
    for line in headers.get_all(header::LINK).iter().filter_map(|line| line.to_str().ok()) {
        let mut rest = line;
        while let Some((target, parameters, more)) = next_link(rest) {
            rest = more;
            let Some(priority) = duplicate(parameters) else { continue };
            let url = base.join(target).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            found.extend(url.map(|url| (priority, url)));
        }
    }
    found.sort_by_key(|(priority, _)| *priority);
    found.into_iter().map(|(_, url)| url).take(MOST).collect()
}

/// The first link of a field's value: its target, its parameters, and what comes after it.
fn next_link(value: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = value.split_once('<')?;
    let (target, rest) = rest.split_once('>')?;
    let mut quoted = false;
    let mut escaped = false;
    let end = rest.find(|c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return true,
            _ => {}
        }
        false
    });
    let (parameters, more) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
    Some((target, parameters, more))
}

/// The priority of a link that is a duplicate: 1 is the best (RFC 6249 section 3.1), and one that says nothing comes last.
fn duplicate(parameters: &str) -> Option<u32> {
    let mut is_duplicate = false;
    let mut priority = u32::MAX;
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "rel" => is_duplicate |= value.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("duplicate")),
            "pri" => priority = value.parse().unwrap_or(u32::MAX),
            _ => {}
        }
    }
    is_duplicate.then_some(priority)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(lines: &[&'static str]) -> Vec<String> {
        let base = Url::parse("http://gateway/a/b").expect("valid");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::LINK, HeaderValue::from_static(line));
        }
        duplicates(&base, &headers).into_iter().map(String::from).collect()
    }

    #[test]
    fn duplicates_are_read_in_the_order_of_their_priority() {
        let several = "<http://b/x?f=1,2>; rel=duplicate; pri=2, <https://a/x>; pri=1; rel=\"duplicate\"";
        assert_eq!(of(&[several, "</c>; rel=duplicate"]), ["https://a/x", "http://b/x?f=1,2", "http://gateway/c"]);
    }

    #[test]
    fn what_is_no_duplicate_or_no_link_is_left_out() {
        for line in [
            "<http://a/x>; rel=next",
            "<http://a/x>",
            "<ftp://a/x>; rel=duplicate",
            "<http://[/x>; rel=duplicate",
            "http://a/x; rel=duplicate",
            "<http://a/x; rel=duplicate",
            "",
        ] {
            assert_eq!(of(&[line]), [""; 0], "{line}");
        }
        assert_eq!(of(&["<http://a/x>; title=\"; rel=duplicate, <\", <http://b/>; rel=duplicate"])[..], ["http://b/"]);
    }
}
