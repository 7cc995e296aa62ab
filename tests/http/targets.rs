//! The request line: RFC 9112 section 3, its target in four forms, and its version (RFC 9110 section 2.5).

use crate::{
    answer::{Wanted, status},
    case::{Case, raw, run},
    samples::content,
};

fn whole() -> Wanted {
    status(&[200]).body(content())
}

/// A head with this request line and a sound Host.
fn line(rule: &str, line: &str) -> Case {
    raw(format!("{rule}: {line:?}"), format!("{line}\r\nHost: files.example\r\n\r\n"))
}

fn forms() -> Vec<Case> {
    let refused = &[400, 404, 403, 421];
    let absolute = |target: &str| line("9112 3.2.2", &format!("GET {target} HTTP/1.1"));
    vec![
        absolute("http://files.example/file.bin").is(whole()),
        absolute("HTTP://files.example/file.bin").is(whole()),
        absolute("http://FILES.example/file.bin").is(whole()),
        absolute("http://files.example:80/file.bin").is(whole()),
        absolute("http://files.example:/file.bin").is(whole()).is(status(&[400])),
        absolute("http://127.0.0.1/file.bin").is(whole()),
        absolute("http://[::1]/file.bin").is(whole()),
        // The Host field is ignored then, whatever it says.
        absolute("http://another.example/file.bin").is(whole()).is(status(refused)),
        absolute("http://files.example/file.bin?query").is(whole()),
        absolute("http://files.example").is(status(refused)),
        absolute("http://files.example?query").is(status(refused)),
        absolute("http://files.example/").is(status(refused)),
        absolute("http://files.example/nothing").is(status(&[404])),
        absolute("http://user@files.example/file.bin").is(status(&[400])).is(whole()),
        absolute("http://user:secret@files.example/file.bin").is(status(&[400])).is(whole()),
        absolute("http:///file.bin").is(status(refused)),
        absolute("http:/file.bin").is(status(refused)),
        absolute("http:file.bin").is(status(refused)),
        absolute("http://").is(status(refused)),
        absolute("http://files.example:port/file.bin").is(status(refused)),
        absolute("http://files.example:99999/file.bin").is(status(refused)).is(whole()),
        absolute("http://[::1/file.bin").is(status(refused)),
        absolute("http://[::1]x/file.bin").is(status(refused)),
        absolute("http://files.example\\@evil.example/file.bin").is(status(refused)),
        absolute("ftp://files.example/file.bin").is(status(refused)),
        absolute("file:///etc/passwd").is(status(refused)),
        // 9110 section 7.4: what is asked for as https must have come over it. nginx does not mind.
        absolute("https://files.example/file.bin").is(status(&[421, 400, 404])),
        absolute("file.bin").is(status(refused)),
        absolute("files.example/file.bin").is(status(refused)),
        absolute("files.example:80").is(status(refused)),
        absolute("*").is(status(refused)),
        absolute("*/file.bin").is(status(refused)),
        absolute("?query").is(status(refused)),
        absolute("./file.bin").is(status(refused)),
        absolute("../file.bin").is(status(refused)),
        absolute("\\file.bin").is(status(refused)),
        line("9112 3.2.4", "HEAD * HTTP/1.1").is(status(refused)).is(status(&[405])),
        line("9112 3.2.2", "OPTIONS http://files.example HTTP/1.1")
            .is(status(&[200, 204, 405]).lists("allow", "GET"))
            .is(status(&[400, 404])),
        line("9112 3.2.2", "HEAD http://files.example/file.bin HTTP/1.1").is(status(&[200]).body("")),
    ]
}

/// RFC 9112 section 3.2: a target has no whitespace, no control characters and no fragment.
fn octets() -> Vec<Case> {
    let get = |target: &str| line("9112 3.2", &format!("GET {target} HTTP/1.1"));
    // nginx cuts the fragment off; section 3.2 wants such a line refused.
    let mut cases: Vec<_> = [
        "/file.bin#fragment",
        "/file.bin#",
        "/#",
        "/file.bin?a#b",
        "#",
        "/file.bin#?a",
        "http://files.example/file.bin#x",
    ]
    .into_iter()
    .map(|target| get(target).is(status(&[400, 403, 404])))
    .collect();
    cases.extend(
        ["/file.bin /nothing", "/a b.txt", "/file.bin HTTP/1.1", "/file\t.bin", "/ file.bin"]
            .into_iter()
            .map(|target| get(target).refused(&[400])),
    );
    for octet in [0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0d, 0x1b, 0x1f, 0x7f] {
        let octets = [b"GET /file.bin".as_slice(), &[octet], b"x HTTP/1.1\r\nHost: files.example\r\n\r\n"].concat();
        cases.push(raw(format!("9112 3.2: octet {octet:#04x} in a target"), octets).is(status(&[400, 404])).hung_up());
    }
    for octets in [b"\xc3\xa9.txt".as_slice(), b"\xff", b"\x80", b"caf\xe9"] {
        let request = [b"GET /".as_slice(), octets, b" HTTP/1.1\r\nHost: files.example\r\n\r\n"].concat();
        // Not ASCII, so no URI; many clients send it nevertheless, and mean the octets.
        cases.push(raw(format!("RFC 3986 2: octets {octets:x?} in a target"), request).is(status(&[200, 400, 404])));
    }
    for sign in ["\"", "<", ">", "\\", "^", "`", "{", "|", "}"] {
        cases.push(get(&format!("/nothing{sign}")).is(status(&[404, 400])));
    }
    cases
}

fn versions() -> Vec<Case> {
    let version = |version: &str| line("9112 2.3", &format!("GET /file.bin {version}"));
    let mut cases = vec![
        version("HTTP/1.1").is(whole()),
        version("HTTP/1.0").last(whole()),
        // 9110 section 6.2: a higher minor version is read as the highest that is known.
        version("HTTP/1.2").is(whole()).is(status(&[505])),
        version("HTTP/1.9").is(whole()).is(status(&[505])),
    ];
    for other in ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9", "HTTP/0.0", "HTTP/2", "HTTP/3"] {
        cases.push(version(other).is(status(&[505, 400])).hung_up());
    }
    for broken in [
        "http/1.1",
        "Http/1.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/11",
        "HTTP/1.1.1",
        "HTTP/1.10",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/1,1",
        "HTTP1.1",
        "HTTP 1.1",
        "HTTP/ 1.1",
        "HTTP/1 .1",
        "HTTP/-1.1",
        "HTTP/+1.1",
        "HTTP/A.B",
        "HTTP/1.x",
        "FTP/1.1",
        "XHTTP/1.1",
        "HTTP/1.1x",
        "HTTP/1.1 x",
        "HTTPS/1.1",
        "1.1",
        "HTTP/",
        "HTTP",
    ] {
        cases.push(version(broken).is(status(&[400, 505])).hung_up());
    }
    cases
}

fn lines() -> Vec<Case> {
    let bad = |what: &str, line_of_it: &str| line(&format!("9112 3: {what}"), line_of_it).refused(&[400]).hung_up();
    vec![
        bad("no version", "GET /file.bin"),
        bad("a method alone", "GET"),
        bad("no target", "GET HTTP/1.1"),
        bad("no target, two spaces", "GET  HTTP/1.1"),
        bad("no method", "/file.bin HTTP/1.1"),
        bad("no method, a space", " /file.bin HTTP/1.1"),
        bad("whitespace first", " GET /file.bin HTTP/1.1"),
        bad("a tab first", "\tGET /file.bin HTTP/1.1"),
        bad("a method that is no token", "G@T /file.bin HTTP/1.1"),
        bad("a method in quotes", "\"GET\" /file.bin HTTP/1.1"),
        bad("a method with a colon", "GET: /file.bin HTTP/1.1"),
        bad("a method with a slash", "GET/ /file.bin HTTP/1.1"),
        bad("a method with brackets", "(GET) /file.bin HTTP/1.1"),
        bad("a method beyond ASCII", "G\u{c9}T /file.bin HTTP/1.1"),
        // Section 3 lets a server split a line at any whitespace; these two it then understands.
        bad("two spaces after the method", "GET  /file.bin HTTP/1.1").is(whole()),
        bad("two spaces before the version", "GET /file.bin  HTTP/1.1").is(whole()),
        bad("a space behind the version", "GET /file.bin HTTP/1.1 ").is(whole()),
        bad("a tab after the method", "GET\t/file.bin HTTP/1.1").is(whole()),
        bad("a tab before the version", "GET /file.bin\tHTTP/1.1").is(whole()),
        bad("a vertical tab after the method", "GET\u{b}/file.bin HTTP/1.1").is(whole()),
        bad("a carriage return after the method", "GET\r/file.bin HTTP/1.1").is(whole()),
        bad("a carriage return before the version", "GET /file.bin\rHTTP/1.1").is(whole()),
        bad("two carriage returns", "GET /file.bin HTTP/1.1\r").is(whole()),
        raw("9112 2.2: an empty line first", "\r\nGET /file.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            .is(whole())
            .is(status(&[400])),
        raw("9112 2.2: two of them", "\r\n\r\nGET /file.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            .is(whole())
            .is(status(&[400])),
        raw("9112 2.2: an empty line between two requests", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n\r\n")
            .followed()
            .then_marker(status(&[404])),
        raw("9112 2.2: a carriage return first", "\rGET /file.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            .refused(&[400])
            .hung_up(),
        raw("HTTP/0.9: a line alone", "GET /file.bin\r\n").refused(&[400, 505]).hung_up(),
        raw("HTTP/0.9: a line and an empty one", "GET /file.bin\r\n\r\n").refused(&[400, 505]).hung_up(),
        raw("9112 3: a TLS handshake", b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03\r\n\r\n".as_slice())
            .refused(&[400])
            .hung_up(),
        raw("9112 3: zeros", [0; 64].as_slice()).refused(&[400]).hung_up(),
        raw("9112 3: an answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .refused(&[400, 505, 501, 405])
            .hung_up(),
    ]
}

#[test]
fn targets() {
    run("targets", &[forms(), octets(), versions(), lines()].into_iter().flatten().collect::<Vec<_>>());
}
