//! Heads as octets, cut in every way that packets may cut them.

use super::*;
use crate::request::LARGEST_HEADERS;

/// The head, or the name of whatever else it is; and what is left of the octets.
fn all_at_once(octets: &[u8]) -> (Result<Head, String>, BytesMut) {
    let mut octets = BytesMut::from(octets);
    (outcome(&mut Reader::default(), &mut octets), octets)
}

fn outcome(reader: &mut Reader, octets: &mut BytesMut) -> Result<Head, String> {
    match reader.read(octets) {
        Reading::Whole(found) => found.take(octets).map_err(|why| format!("{why:?}")),
        Reading::Refused(why) => Err(format!("{why:?}")),
        Reading::Partial => Err("partial".to_owned()),
        Reading::Foreign => Err("foreign".to_owned()),
    }
}

fn other(octets: &[u8]) -> String {
    all_at_once(octets).0.expect_err("no head")
}

#[test]
fn a_head_is_taken_and_what_follows_is_left() {
    let (reading, left) = all_at_once(b"\r\nGET /a?b HTTP/1.1\r\nHost: x\r\nAccept: a\r\naccept: b\r\n\r\nGET /next");
    let Head { parts, persistent, .. } = reading.expect("a head");
    assert_eq!((parts.method, parts.uri, parts.version), (Method::GET, Uri::from_static("/a?b"), Version::HTTP_11));
    assert_eq!(parts.headers["host"], "x");
    assert_eq!(parts.headers.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert!(persistent);
    assert_eq!(left, "GET /next");
}

#[test]
fn it_does_not_matter_where_packets_cut_a_head() {
    let head = b"GET /a HTTP/1.1\r\nHost: example.test\r\nRange: bytes=0-1\r\n\r\n";
    for step in 1..head.len() {
        let (mut reader, mut octets) = (Reader::default(), BytesMut::new());
        let mut pieces = head.chunks(step).peekable();
        while let Some(piece) = pieces.next() {
            octets.extend_from_slice(piece);
            let reading = outcome(&mut reader, &mut octets);
            match pieces.peek() {
                Some(_) => assert_eq!(reading.expect_err("not yet"), "partial", "pieces of {step}"),
                None => assert_eq!(reading.expect("a head").parts.headers["range"], "bytes=0-1", "pieces of {step}"),
            }
        }
    }
}

/// How often octets that come one by one are parsed.
fn looks(reader: &mut Reader, octets: &mut BytesMut, more: impl Iterator<Item = u8>) -> usize {
    let mut looks = 0;
    for octet in more {
        octets.extend_from_slice(&[octet]);
        looks += usize::from(reader.is_worth_it(octets));
    }
    looks
}

#[test]
fn a_head_of_single_octets_is_not_parsed_at_each() {
    let (mut reader, mut octets) = (Reader::default(), BytesMut::new());
    let lines = b"GET /a HTTP/1.1\r\n".iter().chain(b"A: b\r\n".iter().cycle().take(6 * 8000)).copied();
    let worth = looks(&mut reader, &mut octets, lines);
    assert_eq!(worth, usize::from(LOOKS) + 1, "the first looks, and one at where the line may be too long");
    assert_eq!(looks(&mut reader, &mut octets, b"\r\n".iter().copied()), 1, "this could be the end");
}

#[test]
fn empty_lines_before_a_head_are_no_part_of_it() {
    let (mut reader, mut octets) = (Reader::default(), BytesMut::new());
    for _ in 0..LARGEST_HEAD {
        octets.extend_from_slice(b"\n\r\n\r");
        assert_eq!(outcome(&mut reader, &mut octets).expect_err("no head"), "partial");
        assert_eq!(octets, "\r", "nothing piles up");
        octets.extend_from_slice(b"\n");
    }
    octets.extend_from_slice(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(outcome(&mut reader, &mut octets).expect("a head").parts.uri, "/a");
    assert_eq!(other(b"\r\rGET / HTTP/1.1\r\nHost: x\r\n\r\n"), "Malformed");
}

#[test]
fn http_2_begins_with_the_first_octet_or_not_at_all() {
    let preface = || BytesMut::from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(outcome(&mut Reader::default(), &mut preface()).expect_err("no head"), "foreign");
    assert_eq!(outcome(&mut Reader::of_later(), &mut preface()).expect_err("no head"), "Version");
    assert_eq!(other(b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "Version");
}

#[test]
fn whatever_announces_content_or_speaks_http_2_is_for_the_other_engine() {
    for octets in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"PRI ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
        b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (reading, left) = all_at_once(octets);
        assert_eq!(reading.expect_err("no head"), "foreign", "{}", octets.escape_ascii());
        assert_eq!(left, octets, "untouched");
    }
    assert!(all_at_once(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").0.is_ok());
}

#[test]
fn malformed_heads_are_refused() {
    for octets in [
        &b"GET\r\n\r\n"[..],
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\0\r\n\r\n",
        b"GET / HTTP/1.1\rHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\rHost: x\r\n\r\n",
        b"GET / http/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.10\r\nHost: x\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ] {
        assert_eq!(other(octets), "Malformed", "{}", octets.escape_ascii());
    }
}

#[test]
fn a_higher_minor_version_is_read_as_1_1_and_no_other_major_one_is() {
    let head = all_at_once(b"GET / HTTP/1.7\r\nHost: x\r\n\r\n").0.expect("a head");
    assert_eq!(head.parts.version, Version::HTTP_11);
    for version in ["2.0", "3.0", "0.9"] {
        assert_eq!(other(format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n").as_bytes()), "Version", "{version}");
    }
}

#[test]
fn what_is_too_large_is_told_apart_and_never_waited_for() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(LONGEST_LINE));
    assert_eq!(other(&target.as_bytes()[..LONGEST_LINE + 10]), "TargetTooLong");
    let field = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(LARGEST_HEAD));
    assert_eq!(other(field.as_bytes()), "FieldsTooLarge");
    let whole = format!("{field}\r\n\r\n");
    assert_eq!(other(whole.as_bytes()), "FieldsTooLarge");
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(FIELDS));
    assert_eq!(other(many.as_bytes()), "FieldsTooLarge");
}

#[test]
fn a_connection_persists_as_its_version_and_its_options_say() {
    for (version, option, persistent) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive, Close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let octets = format!("GET / HTTP/{version}\r\nHost: x\r\n{option}\r\n");
        let head = all_at_once(octets.as_bytes()).0.expect("a head");
        assert_eq!(head.persistent, persistent, "{version} {option:?}");
    }
}

#[test]
fn a_plain_request_says_what_calls_itself_there() {
    for (fields, user_agent) in
        [("", ""), ("User-Agent: curl/8\r\n", "curl/8"), ("Accept: */*\r\nUSER-AGENT: a b\r\nUser-Agent: c\r\n", "a b")]
    {
        let octets = format!("GET /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let said = Some(Said { target: "/a", user_agent: user_agent.as_bytes() });
        assert_eq!(super::plain(octets.as_bytes()).map(|(_, said)| said), said, "{fields:?}");
        let Reading::Whole(found) = Reader::default().read(&mut BytesMut::from(&*octets)) else {
            panic!("a whole head")
        };
        assert_eq!(found.plain(octets.as_bytes()), said, "{fields:?}");
    }
}

#[test]
fn a_request_is_plain_if_nothing_in_it_bears_on_the_answer() {
    let plain = |octets: &str| match Reader::default().read(&mut BytesMut::from(octets)) {
        Reading::Whole(found) => found.plain(octets.as_bytes()).map(|said| said.target.to_owned()),
        _ => panic!("a whole head: {octets:?}"),
    };
    let with = |line: &str, fields: &str| plain(&format!("{line}\r\nHost: a.test:80\r\n{fields}\r\n"));
    let browsers = "User-Agent: x\r\nACCEPT: */*\r\nCookie: a=b\r\nConnection: keep-alive\r\nSec-Fetch-Mode: cors\r\n";
    for target in ["/a/b%20c", "/a?b=c"] {
        assert_eq!(with(&format!("GET {target} HTTP/1.1"), browsers).as_deref(), Some(target));
    }
    for (line, fields) in [
        ("HEAD /a HTTP/1.1", ""),
        ("GET /a HTTP/1.0", ""),
        ("GET /a#b HTTP/1.1", ""),
        ("GET http://a.test/a HTTP/1.1", ""),
        ("GET /a HTTP/1.1", "Range: bytes=0-\r\n"),
        ("GET /a HTTP/1.1", "If-None-Match: *\r\n"),
        ("GET /a HTTP/1.1", "If-Range: \"a\"\r\n"),
        ("GET /a HTTP/1.1", "Traceparent: 00-1-1-01\r\n"),
        ("GET /a HTTP/1.1", "Origin: http://b.test\r\n"),
        ("GET /a HTTP/1.1", "Authorization: x\r\n"),
        ("GET /a HTTP/1.1", "Expect: 100-continue\r\n"),
        ("GET /a HTTP/1.1", "Connection: close\r\n"),
        ("GET /a HTTP/1.1", "Upgrade: h2c\r\n"),
        ("GET /a HTTP/1.1", "Host: a.test:80\r\n"),
        ("GET /a HTTP/1.1", "X-Anything: x\r\n"),
    ] {
        assert_eq!(with(line, fields), None, "{line} {fields:?}");
    }
    let cookie = format!("Cookie: {}\r\n", "a".repeat(LARGEST_HEADERS));
    assert_eq!(with("GET /a HTTP/1.1", &cookie), None, "it is refused, whoever was answered before");
    assert_eq!(plain("GET /a HTTP/1.1\r\nHost: a b\r\n\r\n"), None);
    assert_eq!(plain("GET /a HTTP/1.1\r\nUser-Agent: a\r\n\r\n"), None);
}
