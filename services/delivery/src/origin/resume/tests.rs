use http::HeaderName;

use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a field value"))
    };
    fields.iter().map(field).collect()
}

fn plan(status: u16, response: &[(&'static str, &str)]) -> Option<Plan> {
    let asked = headers(&[("range", "bytes=1-"), ("if-none-match", "\"x\""), ("accept", "*/*")]);
    let status = StatusCode::from_u16(status).expect("a status");
    Plan::of((&Method::GET, "/a", &asked), status, &headers(response))
}

fn range(plan: &Plan) -> String {
    let request = plan.request();
    assert_eq!(request[header::IF_RANGE], "\"v\"");
    assert!(!request.contains_key(header::IF_NONE_MATCH), "a 304 would be no rest");
    request[header::RANGE].to_str().expect("text").to_owned()
}

#[test]
fn only_one_strong_tag_makes_a_body_one_that_can_go_on() {
    for (etag, resumable) in [("\"v\"", true), ("W/\"v\"", false), ("v", false), ("\"v\", \"w\"", false)] {
        let plan = plan(200, &[("etag", etag), ("content-length", "9")]);
        assert_eq!(plan.is_some(), resumable, "{etag}");
    }
    assert!(plan(200, &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("content-length", "9")]).is_none());
    assert!(plan(404, &[("etag", "\"v\""), ("content-length", "9")]).is_none());
    let status = StatusCode::OK;
    let tagged = headers(&[("etag", "\"v\"")]);
    assert!(Plan::of((&Method::POST, "/a", &HeaderMap::new()), status, &tagged).is_none());
}

#[test]
fn the_rest_is_asked_for_from_the_first_missing_byte_on() {
    let mut whole = plan(200, &[("etag", "\"v\""), ("content-length", "100")]).expect("a plan");
    whole.advance(40);
    assert_eq!((range(&whole).as_str(), whole.missing()), ("bytes=40-99", Some(60)));
    let mut part = plan(206, &[("etag", "\"v\""), ("content-range", "bytes 10-19/100")]).expect("a plan");
    part.advance(4);
    assert_eq!(range(&part), "bytes=14-19");
    part.advance(6);
    assert!(part.is_whole());
    let mut unknown = plan(200, &[("etag", "\"v\"")]).expect("a plan");
    unknown.advance(7);
    assert_eq!((range(&unknown).as_str(), unknown.missing()), ("bytes=7-", None));
    assert!(plan(206, &[("etag", "\"v\"")]).is_none(), "a part that does not say which");
}

#[test]
fn the_rest_is_taken_only_if_it_is_exactly_that() {
    let good = [("etag", "\"v\""), ("content-range", "bytes 40-99/100"), ("content-length", "60")];
    let with = |name: &'static str, value: &'static str| {
        let mut fields = headers(&good);
        fields.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        fields
    };
    let without = |name: &str| {
        let mut fields = headers(&good);
        fields.remove(name);
        fields
    };
    for (what, status, fields, verdict) in [
        ("all as it should be", 206, headers(&good), Verdict::Rest),
        ("no length of its own", 206, without("content-length"), Verdict::Rest),
        ("another version", 206, with("etag", "\"w\""), Verdict::Gone),
        ("a weak tag", 206, with("etag", "W/\"v\""), Verdict::Gone),
        ("no tag", 206, without("etag"), Verdict::Gone),
        ("another beginning", 206, with("content-range", "bytes 39-99/100"), Verdict::Gone),
        ("another end", 206, with("content-range", "bytes 40-98/100"), Verdict::Gone),
        ("another total", 206, with("content-range", "bytes 40-99/101"), Verdict::Gone),
        ("no total", 206, with("content-range", "bytes 40-99/*"), Verdict::Gone),
        ("no range", 206, without("content-range"), Verdict::Gone),
        ("another length", 206, with("content-length", "61"), Verdict::Gone),
        ("another coding", 206, with("content-encoding", "gzip"), Verdict::Gone),
        ("the whole", 200, headers(&good), Verdict::Gone),
        ("nothing", 404, HeaderMap::new(), Verdict::Gone),
        ("no such range", 416, HeaderMap::new(), Verdict::Gone),
        ("trouble", 500, HeaderMap::new(), Verdict::Later),
        ("trouble that says when", 503, HeaderMap::new(), Verdict::Later),
        ("too many", 429, HeaderMap::new(), Verdict::Later),
    ] {
        let mut plan = plan(200, &[("etag", "\"v\""), ("content-length", "100")]).expect("a plan");
        plan.advance(40);
        assert_eq!(plan.judge(StatusCode::from_u16(status).expect("a status"), &fields), verdict, "{what}");
    }
}

#[test]
fn a_body_of_unknown_length_learns_its_end_from_its_rest() {
    let mut plan = plan(200, &[("etag", "\"v\"")]).expect("a plan");
    plan.advance(40);
    let short = headers(&[("etag", "\"v\""), ("content-range", "bytes 40-89/100")]);
    assert_eq!(plan.judge(StatusCode::PARTIAL_CONTENT, &short), Verdict::Gone, "that is not all of the rest");
    let rest = headers(&[("etag", "\"v\""), ("content-range", "bytes 40-99/100")]);
    assert_eq!(plan.judge(StatusCode::PARTIAL_CONTENT, &rest), Verdict::Rest);
    assert_eq!(plan.missing(), Some(60));
}
