//! Where a request ends: RFC 9112 sections 6 and 7, and 11.2 (smuggling).
//!
//! Every request is followed by another one for a marker. Either the first one is refused and the connection ends, or it ended
//! where the RFC says, and the marker is the next answer. What must never happen is that content is answered as a request.

use crate::{
    answer::{Wanted, status},
    case::{Case, ask, raw, run},
    samples::content,
};

/// A request of this method with these fields and this content, and the marker's behind it.
fn framed(rule: &str, method: &str, fields: &str, content: &str) -> Case {
    let octets = format!("{method} /file.bin HTTP/1.1\r\nHost: files.example\r\n{fields}\r\n{content}");
    raw(format!("{rule} ({method}, {fields:?}, {content:?})"), octets).followed()
}

fn whole() -> Wanted {
    status(&[200]).body(content())
}

/// What a server may answer to a sound request with content: it reads the content, or it refuses and hangs up.
fn sound(case: Case, method: &str) -> Case {
    match method {
        "GET" => case.refused(&[413, 400]).then_marker(whole()).last(whole()),
        "OPTIONS" => case.refused(&[204, 405, 413]).then_marker(status(&[200, 204, 405])),
        _ => case.refused(&[405, 413, 501]).then_marker(status(&[405, 501, 204, 200])),
    }
}

const HIDDEN: &str = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";

fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "POST", "OPTIONS", "DELETE", "BREW"] {
        cases.push(sound(framed("9112 6.3: a length", method, "Content-Length: 5\r\n", "12345"), method));
        let smuggled = format!("Content-Length: {}\r\n", HIDDEN.len());
        cases.push(sound(framed("9112 11.2: a request for content", method, &smuggled, HIDDEN), method));
    }
    cases.extend([
        framed("9112 6.3: no content", "GET", "Content-Length: 0\r\n", "").then_marker(whole()),
        framed("9112 6.3: no content", "GET", "Content-Length: 000\r\n", "").then_marker(whole()).refused(&[400]),
        framed("9110 8.6: the same length twice", "GET", "Content-Length: 0\r\nContent-Length: 0\r\n", "")
            .then_marker(whole())
            .refused(&[400]),
        framed("9110 8.6: the same length in a list", "GET", "Content-Length: 0, 0\r\n", "")
            .refused(&[400])
            .then_marker(whole()),
        framed("9110 8.6: the same length twice", "POST", "Content-Length: 5\r\nContent-Length: 5\r\n", "12345")
            .refused(&[400, 405, 413])
            .then_marker(status(&[405])),
    ]);
    for method in ["GET", "POST"] {
        for fields in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 0\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 0\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: -0\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5.0\r\n",
            "Content-Length: 5e0\r\n",
            "Content-Length: five\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 5;\r\n",
            "Content-Length: \"5\"\r\n",
            "Content-Length: 5x\r\n",
            "Content-Length: ,5\r\n",
            "Content-Length: 5,\r\n",
            "Content-Length:\r\n",
            "Content-Length: \t\r\n",
            "Content-Length: 1_0\r\n",
            "Content-Length: \u{665}\r\n",
            "Content-Length: 5\r\nContent-Length: x\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 99999999999999999999999999\r\n",
            "Content-Length: 18446744073709551615\r\n",
        ] {
            let large = fields.len() > 30 && !fields.contains("\r\nContent");
            let case = framed("9112 6.3: a length that is none", method, fields, "12345");
            cases.push(if large { case.refused(&[400, 413, 405]) } else { case.refused(&[400]) });
        }
    }
    cases
}

fn codings() -> Vec<Case> {
    let empty = "0\r\n\r\n";
    let mut cases = Vec::new();
    for method in ["GET", "POST", "OPTIONS", "BREW"] {
        let chunked = |rule: &str, body: &str| framed(rule, method, "Transfer-Encoding: chunked\r\n", body);
        cases.push(sound(chunked("9112 7.1: no chunks", empty), method));
        cases.push(sound(chunked("9112 7.1: one chunk", "5\r\n12345\r\n0\r\n\r\n"), method));
        cases.push(sound(chunked("9112 7.1.1: an extension", "5;a=b\r\n12345\r\n0\r\n\r\n"), method));
        cases.push(sound(chunked("9112 7.1.2: trailers", "5\r\n12345\r\n0\r\nX-A: b\r\n\r\n"), method));
        cases.push(sound(
            chunked("9112 11.2: a request for content", &format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())),
            method,
        ));
        cases.push(sound(
            chunked("9112 7.1: a last chunk of many zeros", "5\r\n12345\r\n00000000000000000000000000000000\r\n\r\n"),
            method,
        ));
        let alike = "Transfer_Encoding: x\r\nTransfer-Encoding: chunked\r\n";
        cases.push(sound(framed("9110 5.1: another name is another field", method, alike, empty), method));
        let capitals = framed("9112 7: a coding's name has no case", method, "Transfer-Encoding: CHUNKED\r\n", empty);
        cases.push(sound(capitals, method).refused(&[400, 501]));
    }
    for method in ["GET", "POST"] {
        // Refused: 400 for a coding that does not end in chunked, 501 for one that nobody knows; or the method or content as such.
        for coding in [
            "chunked, identity",
            "identity",
            "gzip",
            "xchunked",
            "chunkedx",
            "chunked\u{b}",
            "\u{b}chunked",
            "\"chunked\"",
            "chunked;q=1",
            "chunked;",
            "chunk",
            "chunked, gzip",
            "chunked, chunked",
            "gzip, chunked",
            "identity, chunked",
            "chunked,",
            ",chunked",
            "",
            "ch unked",
            "chunked chunked",
            "x, chunked",
            "deflate",
            "cow",
            "chunked, ",
            "'chunked'",
            "\0chunked",
            "chunked\u{e9}",
            "[chunked]",
            "chunked\r\n\tx",
        ] {
            let field = format!("Transfer-Encoding: {coding}\r\n");
            cases.push(framed("9112 6.1: a coding", method, &field, empty).refused(&[400, 501, 405, 413]));
        }
        for fields in [
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
            "Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
            "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding\t: chunked\r\n",
        ] {
            cases.push(framed("9112 6.3: a contradiction", method, fields, empty).refused(&[400, 501, 405, 413]));
        }
    }
    cases.extend([
        raw(
            "9112 6.1: HTTP/1.0 knows no codings",
            "GET /file.bin HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        )
        .followed()
        .refused(&[400, 413]),
        raw(
            "9112 6.1: nor if it wants to persist",
            "GET /file.bin HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        )
        .followed()
        .refused(&[400, 413]),
    ]);
    cases
}

/// RFC 9112 section 7.1: chunks that are none. Refused for the method or the content as such is refused, too.
fn chunks() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "POST"] {
        for body in [
            "x\r\n12345\r\n0\r\n\r\n",
            "-5\r\n12345\r\n0\r\n\r\n",
            "+5\r\n12345\r\n0\r\n\r\n",
            "0x5\r\n12345\r\n0\r\n\r\n",
            "\r\n12345\r\n0\r\n\r\n",
            "5\n12345\n0\n\n",
            "5\r\n1234567\r\n0\r\n\r\n",
            "5\r\n123\r\n0\r\n\r\n",
            "5 5\r\n12345\r\n0\r\n\r\n",
            " 5\r\n12345\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n12345\r\n0\r\n\r\n",
            "5;\0\r\n12345\r\n0\r\n\r\n",
            "5\r12345\r\n0\r\n\r\n",
            "5\r\n12345\r\n0\r\nX A: b\r\n\r\n",
            "5;a=\"\r\n12345\r\n0\r\n\r\n",
            "g\r\n",
            "5_0\r\n",
        ] {
            let case = framed("9112 7.1: chunks that are none", method, "Transfer-Encoding: chunked\r\n", body);
            cases.push(case.refused(&[400, 413, 405, 501]));
        }
    }
    cases
}

/// Wherever a request is answered from, its content is not the next request.
fn elsewhere() -> Vec<Case> {
    let mut cases = Vec::new();
    for target in ["/nothing", "/", "/dir/", "/.hidden", "/%zz", "/%2e%2e/x", "/health"] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "BREW"] {
            let length = format!("Content-Length: {}", HIDDEN.len());
            for (field, body) in [
                (length.as_str(), HIDDEN.to_owned()),
                ("Transfer-Encoding: chunked", format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len())),
            ] {
                let head = crate::case::head(method, target, &[field]);
                let any = || status(&[200, 204, 400, 403, 404, 405, 413, 501]);
                cases.push(
                    raw(format!("9112 11.2: {method} {target} with {field}"), head + &body)
                        .with_heads(&[method == "HEAD", false])
                        .followed()
                        .last(any())
                        .then_marker(any()),
                );
            }
        }
    }
    cases.push(
        ask("9112 6.3: content that never comes is not waited for", "POST", "/file.bin", &["Content-Length: 5"])
            .is(status(&[405, 413])),
    );
    cases
}

#[test]
fn framing() {
    run("framing", &[lengths(), codings(), chunks(), elsewhere()].into_iter().flatten().collect::<Vec<_>>());
}
