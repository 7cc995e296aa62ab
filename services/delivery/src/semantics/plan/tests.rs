use http::HeaderName;

use super::*;

/// The validators and fields that a representation borrows.
struct File {
    etag: Etag,
    modified: LastModified,
    kind: HeaderValue,
    cache_control: HeaderValue,
}

impl File {
    fn new() -> Self {
        Self {
            etag: Etag::parse(HeaderValue::from_static("\"v1\"")).expect("an entity tag"),
            modified: LastModified::new(784_111_777, true),
            kind: HeaderValue::from_static("video/mp4"),
            cache_control: HeaderValue::from_static("max-age=60"),
        }
    }

    fn representation(&self) -> Representation<'_> {
        Representation {
            length: 1000,
            etag: Some(&self.etag),
            last_modified: Some(&self.modified),
            content_type: &self.kind,
            disposition: Some(HeaderValue::from_static("attachment")),
            cache_control: Some(&self.cache_control),
            coding: None,
            varies: false,
        }
    }
}

fn planned(method: &str, fields: &[(&'static str, &'static str)]) -> Plan {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    plan(&method.parse().expect("a method"), &headers, &File::new().representation(), || Boundary(7))
}

fn fields(plan: &Plan) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> =
        plan.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("plain ASCII"))).collect();
    fields.sort_unstable();
    fields
}

fn one(offset: u64, length: u64) -> Content {
    Content::Parts(Parts::One(Slice { offset, length }))
}

#[test]
fn a_plain_get_is_the_whole() {
    let plan = planned("GET", &[]);
    assert_eq!((plan.status, &plan.content), (StatusCode::OK, &one(0, 1000)));
    assert_eq!(
        fields(&plan),
        [
            ("accept-ranges", "bytes"),
            ("cache-control", "max-age=60"),
            ("content-disposition", "attachment"),
            ("content-type", "video/mp4"),
            ("etag", "\"v1\""),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]
    );
    assert_eq!(planned("HEAD", &[]), plan, "HEAD has the same fields");
}

#[test]
fn a_range_has_the_fields_of_the_whole_and_its_place() {
    let plan = planned("GET", &[("range", "bytes=10-19")]);
    assert_eq!((plan.status, &plan.content), (StatusCode::PARTIAL_CONTENT, &one(10, 10)));
    let mut expected =
        fields(&planned("GET", &[])).into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>();
    expected.insert(3, ("content-range".to_owned(), "bytes 10-19/1000".to_owned()));
    let got: Vec<_> = fields(&plan).into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    assert_eq!(got, expected);
}

#[test]
fn several_ranges_have_their_places_in_the_parts_only() {
    // RFC 9110 section 15.3.7.2: no Content-Range in the header of the whole
    let plan = planned("GET", &[("range", "bytes=0-0,-1")]);
    assert_eq!(plan.status, StatusCode::PARTIAL_CONTENT);
    assert!(!plan.headers.contains_key(header::CONTENT_RANGE));
    assert_eq!(plan.headers[header::CONTENT_TYPE], format!("multipart/byteranges; boundary={}", Boundary(7)));
    assert!(matches!(plan.content, Content::Parts(Parts::Many(segments)) if segments.len() == 5));
}

#[test]
fn an_unsatisfiable_range_says_how_long_it_is() {
    // RFC 9110 section 15.5.17
    let plan = planned("GET", &[("range", "bytes=1000-")]);
    assert_eq!(plan.status, StatusCode::RANGE_NOT_SATISFIABLE);
    // The entity tag says which version it lies outside of.
    assert_eq!(fields(&plan), [("accept-ranges", "bytes"), ("content-range", "bytes */1000"), ("etag", "\"v1\"")]);
}

#[test]
fn each_rule_gives_way_to_the_one_before_it() {
    // RFC 9110 section 13.2.2
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    for (method, fields, status) in [
        ("GET", &[("if-match", "\"v0\""), ("range", "bytes=0-0")][..], 412),
        ("GET", &[("if-match", "\"v1\""), ("range", "bytes=0-0")], 206),
        ("GET", &[("if-none-match", "\"v1\""), ("range", "bytes=0-0")], 304),
        ("GET", &[("if-none-match", "\"v1\""), ("range", "bytes=2000-")], 304),
        ("GET", &[("if-none-match", "\"v0\""), ("range", "bytes=0-0")], 206),
        ("GET", &[("if-modified-since", THEN), ("range", "bytes=0-0")], 304),
        ("GET", &[("range", "bytes=0-0"), ("if-range", "\"v1\"")], 206),
        ("GET", &[("range", "bytes=0-0"), ("if-range", "\"v0\"")], 200),
        ("GET", &[("range", "bytes=0-0"), ("if-range", "W/\"v1\"")], 200),
        ("GET", &[("range", "bytes=0-0"), ("if-range", THEN)], 206),
        ("GET", &[("range", "bytes=0-0"), ("if-range", LATER)], 200),
        ("GET", &[("range", "bytes=2000-"), ("if-range", "\"v1\"")], 416),
        ("GET", &[("range", "bytes=2000-"), ("if-range", "\"v0\"")], 200),
        ("GET", &[("if-range", "\"v0\"")], 200),
        ("HEAD", &[("range", "bytes=0-0")], 200),
        ("HEAD", &[("range", "bytes=2000-")], 200),
        ("HEAD", &[("if-none-match", "*")], 304),
        ("HEAD", &[("if-match", "\"v0\"")], 412),
        ("GET", &[("range", "lines=0-0")], 200),
        ("GET", &[("range", "bytes=5-1")], 200),
    ] {
        assert_eq!(planned(method, fields).status.as_u16(), status, "{method} {fields:?}");
    }
}

#[test]
fn not_modified_has_only_what_guides_caches() {
    // RFC 9110 section 15.4.5
    let plan = planned("GET", &[("if-none-match", "\"v1\"")]);
    assert_eq!(fields(&plan), [("cache-control", "max-age=60"), ("etag", "\"v1\"")]);
    assert_eq!(plan.content, Content::Nothing);
    let file = File::new();
    let untagged = Representation { etag: None, ..file.representation() };
    let mut headers = HeaderMap::new();
    headers.insert(header::IF_MODIFIED_SINCE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
    let plan = super::plan(&Method::GET, &headers, &untagged, || Boundary(7));
    assert!(plan.headers.contains_key(header::LAST_MODIFIED));
}

#[test]
fn a_coded_form_says_so_wherever_it_matters() {
    let file = File::new();
    let coded = Representation { coding: Some(Coding::Gzip), varies: true, ..file.representation() };
    for (field, status, says_coding) in [
        (None, 200, true),
        (Some(("range", "bytes=0-9")), 206, true),
        (Some(("if-none-match", "\"v1\"")), 304, false),
        (Some(("if-match", "\"v0\"")), 412, false),
        (Some(("range", "bytes=1000-")), 416, false),
    ] {
        let headers =
            field.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let plan = super::plan(&Method::GET, &headers.collect(), &coded, || Boundary(7));
        assert_eq!(plan.status.as_u16(), status);
        assert_eq!(plan.headers[header::VARY], "accept-encoding", "{status}");
        assert_eq!(plan.headers.contains_key(header::CONTENT_ENCODING), says_coding, "{status}");
    }
}
