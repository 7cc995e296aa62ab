//! Which of a client's fields the origin of a cached route is sent.
//!
//! Names are the route's matter ([`RequestFields`]); here they meet a request. What is picked is also all that `Vary` can be about.

use ferry_core::routes::RequestFields;
use http::{HeaderMap, HeaderName, header};

/// What of a client's fields goes to the origin. A field that `Connection` names ends here, listed or not.
#[must_use]
pub fn pick(fields: &RequestFields, client: &HeaderMap) -> HeaderMap {
    let mut picked = HeaderMap::new();
    if *fields == RequestFields::None {
        return picked;
    }
    for (name, value) in client {
        if fields.pass(name.as_str()) {
            picked.append(name, value.clone());
        }
    }
    let lines = client.get_all(header::CONNECTION).iter();
    for name in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        if let Ok(name) = HeaderName::from_bytes(name.trim_ascii()) {
            picked.remove(name);
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::semantics::caching::fixture::headers;

    fn names(fields: &RequestFields, client: &HeaderMap) -> Vec<String> {
        let mut names: Vec<_> = pick(fields, client).keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn nothing_goes_along_but_what_the_route_lists() {
        let client = headers(&[
            ("accept-language", "zh"),
            ("X-Api-Version", "2"),
            ("user-agent", "curl"),
            ("cookie", "session=1"),
            ("x-forwarded-host", "evil.example"),
            ("host", "evil.example"),
            ("x-http-method-override", "DELETE"),
            ("x_forwarded_host", "evil.example"),
        ]);
        let listed = RequestFields::Named(vec!["accept-language".to_owned(), "x-absent".to_owned()]);
        assert_eq!(names(&RequestFields::None, &client), Vec::<String>::new());
        assert_eq!(names(&listed, &client), ["accept-language"]);
        assert_eq!(names(&RequestFields::All, &client), ["accept-language", "user-agent", "x-api-version"]);
    }

    #[test]
    fn a_connection_s_own_fields_end_here() {
        let mut client = headers(&[("x-a", "1"), ("x-b", "1"), ("x-c", "1")]);
        client.append(header::CONNECTION, HeaderValue::from_static("close, X-A"));
        client.append(header::CONNECTION, HeaderValue::from_static(" x-b ,\""));
        assert_eq!(names(&RequestFields::All, &client), ["x-c"]);
    }

    #[test]
    fn all_lines_of_a_field_go_along() {
        let client = headers(&[("foo", "1"), ("foo", "2")]);
        assert_eq!(pick(&RequestFields::All, &client).get_all("foo").iter().collect::<Vec<_>>(), ["1", "2"]);
    }
}
