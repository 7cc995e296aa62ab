use http::HeaderValue;

use super::*;

const NAMED: &str = "\"5f-10\"";

fn request(method: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = Request::internal(method.parse().expect("a method"), "/a").expect("a request");
    for (name, value) in fields {
        let name: http::HeaderName = name.parse().expect("a name");
        request.headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    request
}

fn answer(status: u16, fields: &[(&str, &str)]) -> (StatusCode, HeaderMap) {
    (StatusCode::from_u16(status).expect("a status"), request("GET", fields).headers)
}

fn seen(files: Files, named: Option<&str>, request: &Request, answer: &(StatusCode, HeaderMap)) -> Option<Why> {
    shortcoming(files, named, request, (answer.0, &answer.1))
}

#[test]
fn what_is_missing_here_is_missing_everywhere_where_files_are_shared_or_an_origin_says_so() {
    let get = request("GET", &[]);
    for (files, expected) in [(Files::Own, Some(Why::Lacking)), (Files::Shared, None), (Files::AtOrigins, None)] {
        assert_eq!(seen(files, Some(NAMED), &get, &answer(404, &[])), expected, "{files:?}");
    }
}

#[test]
fn a_failure_is_the_nodes_own_unless_it_is_the_origins() {
    let get = request("GET", &[]);
    for status in [500, 503] {
        for (files, expected) in
            [(Files::Own, Some(Why::DiskFailed)), (Files::Shared, Some(Why::DiskFailed)), (Files::AtOrigins, None)]
        {
            assert_eq!(seen(files, None, &get, &answer(status, &[])), expected, "{files:?} {status}");
        }
    }
}

#[test]
fn a_part_is_of_the_version_beyond_doubt_and_the_whole_unless_its_tag_differs() {
    let (same, weak, other) = (("etag", NAMED), ("etag", "W/\"5f-10\""), ("etag", "\"60-10\""));
    let (get, part) = (request("GET", &[]), request("GET", &[("range", "bytes=5-")]));
    let differs = Some(Why::OtherVersion);
    for (request, status, tag, expected) in [
        (&get, 200, Some(same), None),
        (&get, 200, Some(weak), None),
        (&get, 200, None, None),
        (&get, 200, Some(other), differs),
        (&part, 206, Some(same), None),
        (&part, 206, Some(weak), differs),
        (&part, 206, None, differs),
        (&part, 206, Some(other), differs),
        (&part, 200, Some(other), differs),
        (&part, 416, Some(same), None),
        (&part, 416, Some(other), differs),
        (&part, 412, Some(other), None),
        (&get, 304, Some(other), None),
        (&get, 404, None, None),
    ] {
        let answer = answer(status, tag.as_slice());
        let part = request.headers.contains_key("range");
        assert_eq!(seen(Files::AtOrigins, Some(NAMED), request, &answer), expected, "{part} {answer:?}");
        assert_eq!(seen(Files::AtOrigins, None, request, &answer), None, "nothing was named");
    }
    let coded = answer(200, &[other, ("vary", "accept-encoding"), ("content-encoding", "br")]);
    assert_eq!(seen(Files::Own, Some(NAMED), &get, &coded), None, "a coded form has a tag of its own");
    assert_eq!(seen(Files::Own, Some("5f-10"), &get, &answer(200, &[other])), None, "no entity tag");
}

#[test]
fn only_a_part_without_a_condition_goes_by_what_the_redirect_said() {
    for (method, fields, expected) in [
        ("GET", &[("range", "bytes=5-")][..], true),
        ("GET", &[("range", "bytes=5-"), ("if-range", NAMED)], false),
        ("GET", &[("range", "bytes=5-"), ("if-match", NAMED)], false),
        ("GET", &[], false),
        ("HEAD", &[("range", "bytes=5-")], false),
    ] {
        assert_eq!(trusts_the_redirect(&request(method, fields)), expected, "{method} {fields:?}");
    }
}
