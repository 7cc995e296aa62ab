//! Host: RFC 9112 section 3.2, RFC 9110 sections 4.2 and 7.2.

use crate::{
    answer::{Wanted, status},
    case::{Case, raw, run},
    samples::content,
};

fn whole() -> Wanted {
    status(&[200]).body(content())
}

fn named(fields: &str) -> String {
    format!("GET /file.bin HTTP/1.1\r\n{fields}\r\n")
}

fn good() -> Vec<Case> {
    [
        "files.example",
        "FILES.EXAMPLE",
        "files.example:80",
        "files.example:8080",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8080",
        "[2001:db8::1]",
        "[::ffff:192.0.2.1]",
        "a",
        "a-b.c-d",
        "under_score.example",
        "xn--bcher-kva.example",
        "files.example.",
        "1.2.3.4.5",
        "~tilde",
    ]
    .into_iter()
    .map(|host| raw(format!("9110 7.2: Host: {host}"), named(&format!("Host: {host}\r\n"))).is(whole()))
    .chain([
        raw("9112 5.1: no whitespace after the colon", named("Host:files.example\r\n")).is(whole()),
        raw("9112 5.1: much whitespace around the value", named("Host: \t files.example \t \r\n")).is(whole()),
        raw("9110 7.2: not the first field", named("Accept: */*\r\nHost: files.example\r\n")).is(whole()),
        raw("9110 5.1: a name in capitals", named("HOST: files.example\r\n")).is(whole()),
        // Grammar allows these: no digits in a port, and names that no resolver knows. A server may still not want them.
        raw("9110 4.2.1: a port without digits", named("Host: files.example:\r\n")).is(whole()).is(status(&[400])),
        raw("RFC 3986 3.2.2: percent-encoding", named("Host: files%2Eexample\r\n")).is(status(&[400])).is(whole()),
        raw("RFC 3986 3.2.2: sub-delimiters", named("Host: a!b$c\r\n")).is(status(&[400])).is(whole()),
        raw("9112 3.2: an empty one", named("Host:\r\n")).is(status(&[400])).is(whole()),
        raw("9112 3.2: one of whitespace", named("Host: \t\r\n")).is(status(&[400])).is(whole()),
    ])
    .collect()
}

fn bad() -> Vec<Case> {
    // nginx takes some of these for names; section 3.2 wants 400 for every value that is invalid.
    [
        "a b",
        "a\tb",
        "a/b",
        "/",
        "files.example/",
        "files.example/path",
        "files.example?query",
        "files.example#x",
        "http://files.example",
        "user@files.example",
        "user:secret@files.example",
        "@",
        "@files.example",
        "files.example:port",
        "files.example:80x",
        "files.example:-1",
        "files.example:+80",
        "files.example:8 0",
        "files.example:80:80",
        ":80",
        ":",
        "[::1",
        "::1]",
        "[]",
        "[]:80",
        "[::1]x",
        "[::1]:x",
        "[::g]",
        "[1::2::3]",
        "::1:80:80",
        "a\\b",
        "<script>",
        "\"files.example\"",
        "{a}",
        "a|b",
        "a^b",
        "a`b",
        "files.example,",
        "a, b",
        "%zz",
        "a%",
        "\u{e9}.example",
        "files.example\u{7f}",
    ]
    .into_iter()
    .map(|host| {
        let case = raw(format!("9112 3.2: Host: {host:?}"), named(&format!("Host: {host}\r\n"))).is(status(&[400]));
        // A comma is a sub-delimiter of RFC 3986, so these two are names by their grammar.
        if ["files.example,"].contains(&host) { case.is(whole()) } else { case }
    })
    .collect()
}

fn missing() -> Vec<Case> {
    let absolute = |fields: &str| format!("GET http://files.example/file.bin HTTP/1.1\r\n{fields}\r\n");
    vec![
        raw("9112 3.2: none", named("")).is(status(&[400])),
        raw("9112 3.2: none, among others", named("Accept: */*\r\nX-Host: files.example\r\n")).is(status(&[400])),
        raw("9112 3.2: none, for HEAD", "HEAD /file.bin HTTP/1.1\r\n\r\n").is(status(&[400])),
        raw("9112 3.2: none, for OPTIONS", "OPTIONS * HTTP/1.1\r\n\r\n").is(status(&[400])),
        raw("9112 3.2: none, for a method that nobody knows", "BREW / HTTP/1.1\r\n\r\n").is(status(&[400, 501, 405])),
        raw("9112 3.2: none, for what is not there", "GET /nothing HTTP/1.1\r\n\r\n").is(status(&[400])),
        raw("9112 3.2: none beside an absolute target", absolute("")).is(status(&[400])),
        raw("9112 3.2: two", named("Host: a.example\r\nHost: b.example\r\n")).is(status(&[400])),
        raw("9112 3.2: the same twice", named("Host: a.example\r\nHost: a.example\r\n")).is(status(&[400])),
        raw(
            "9112 3.2: two, apart and in other letters",
            named("Host: a.example\r\nAccept: */*\r\nhOST: b.example\r\n"),
        )
        .is(status(&[400])),
        raw("9112 3.2: one and an empty one", named("Host: a.example\r\nHost:\r\n")).is(status(&[400])),
        raw("9112 3.2: an empty one and one", named("Host:\r\nHost: a.example\r\n")).is(status(&[400])),
        raw("9112 3.2: two beside an absolute target", absolute("Host: files.example\r\nHost: files.example\r\n"))
            .is(status(&[400])),
        raw("9112 3.2: a bad one beside an absolute target", absolute("Host: a b\r\n")).is(status(&[400])),
        raw("9112 3.2.2: another one beside an absolute target", absolute("Host: another.example\r\n"))
            .is(whole())
            .is(status(&[400])),
        raw("9112 3.2: two in HTTP/1.0", "GET /file.bin HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").is(status(&[400])),
        raw("9112 3.2: a bad one in HTTP/1.0", "GET /file.bin HTTP/1.0\r\nHost: a b\r\n\r\n").is(status(&[400])),
        raw("9112 3.2.2: an absolute target in HTTP/1.0", "GET http://files.example/file.bin HTTP/1.0\r\n\r\n")
            .last(whole()),
        raw("9112 3.2: an empty one in HTTP/1.0", "GET /file.bin HTTP/1.0\r\nHost:\r\n\r\n")
            .is(status(&[400]))
            .last(whole()),
    ]
}

#[test]
fn hosts() {
    run("hosts", &[good(), bad(), missing()].into_iter().flatten().collect::<Vec<_>>());
}
