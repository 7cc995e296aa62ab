//! Methods: RFC 9110 sections 9, 15.5.6 and 15.6.2; Expect (10.1.1); what a connection does after an answer (9112 section 9).

use crate::{
    answer::{Wanted, status},
    case::{Case, ask, get, head, raw, run},
    samples::{LENGTH, MARKER, content},
};

fn not_allowed() -> Wanted {
    status(&[405]).lists("allow", "GET").lists("allow", "HEAD")
}

fn asked() -> Vec<Case> {
    let mut cases = Vec::new();
    for target in ["/file.bin", "/nothing", "/", "/dir/", "/.hidden"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let rule = format!("9110 15.5.6: {method} {target}");
            cases.push(ask(rule, method, target, &[]).is(not_allowed()).is(status(&[404, 403, 411])));
        }
        for method in ["BREW", "PROPFIND", "get", "Get", "GETS", "G", "M-SEARCH"] {
            let rule = format!("9110 9.1: {method} {target}");
            cases.push(ask(rule, method, target, &[]).is(status(&[501])).is(not_allowed()).is(status(&[400])));
        }
        let rule = format!("9110 9.3.7: OPTIONS {target}");
        cases.push(ask(rule, "OPTIONS", target, &[]).is(status(&[204, 200]).lists("allow", "GET")).is(not_allowed()));
        // To reflect a request would hand its cookies to scripts; 9.3.8 does not ask for it.
        let rule = format!("9110 9.3.8: TRACE {target}");
        cases.push(ask(rule, "TRACE", target, &[]).is(not_allowed()).is(status(&[501, 403, 404])));
    }
    cases.extend([
        ask("9110 9.3.7: OPTIONS of the server", "OPTIONS", "*", &[])
            .is(status(&[204, 200]).lists("allow", "GET"))
            .is(status(&[405, 501, 400])),
        ask("9110 9.3.7: an answer without content", "OPTIONS", "/file.bin", &[])
            .is(status(&[204]).body(""))
            .is(not_allowed()),
        raw(
            "9110 9.3.6: CONNECT to another place",
            "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
        )
        .is(status(&[405, 501, 400, 403, 404])),
        raw(
            "9110 9.3.6: what follows CONNECT is no tunnel",
            "CONNECT files.example:80 HTTP/1.1\r\nHost: files.example:80\r\n\r\n",
        )
        .followed()
        .refused(&[405, 501, 400])
        .then_marker(status(&[405, 501, 400])),
        ask("9112 3.2.3: CONNECT with a path", "CONNECT", "/file.bin", &[]).is(status(&[405, 501, 400])),
        raw("9112 3.2.3: CONNECT without a port", "CONNECT evil.example HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            .is(status(&[405, 501, 400])),
        ask("9110 9.1: a method as long as nobody's", &"X".repeat(300), "/file.bin", &[])
            .is(status(&[501, 405, 400, 414])),
    ]);
    cases
}

fn expectations() -> Vec<Case> {
    let whole = || status(&[200]).body(content());
    vec![
        get("9110 10.1.1: nothing to continue with", &["Expect: 100-continue"]).is(whole()).is(status(&[417])),
        get("9110 10.1.1: an unknown expectation", &["Expect: 200-ok"]).is(whole()).is(status(&[417])),
        get("9110 10.1.1: several", &["Expect: 100-continue, coffee"]).is(whole()).is(status(&[417])),
        get("9110 10.1.1: an empty one", &["Expect:"]).is(whole()).is(status(&[417, 400])),
        raw(
            "9110 10.1.1: HTTP/1.0 knows no expectations",
            "GET /file.bin HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
        )
        .last(whole().at_once()),
        ask(
            "9110 10.1.1: a final answer without waiting for the content",
            "POST",
            "/file.bin",
            &["Expect: 100-continue", "Content-Length: 5"],
        )
        .is(status(&[405, 417, 413])),
        ask("9110 10.1.1: also for GET", "GET", "/file.bin", &["Expect: 100-continue", "Content-Length: 5"])
            .is(status(&[413, 417, 400]))
            .is(whole()),
    ]
}

fn connections() -> Vec<Case> {
    let whole = || status(&[200]).body(content());
    let marker = || status(&[200]).body(MARKER);
    let pipeline =
        |methods: &[(&str, &str)]| methods.iter().map(|(method, target)| head(method, target, &[])).collect::<String>();
    let length = || status(&[200]).field("content-length", LENGTH.to_string());
    let many = |count: usize| vec![("GET", "/marker.txt"); count];
    vec![
        get("9112 9.6: close is said and done", &["Connection: close"]).last(whole().lists("connection", "close")),
        get("9112 9.6: whatever its case and its company", &["Connection: keep-alive, Close"])
            .last(whole().lists("connection", "close")),
        get("9112 9.6: close in a second line", &["Connection: x", "Connection: close"])
            .last(whole().lists("connection", "close")),
        get("9112 9.6: nothing is answered after close", &["Connection: close"]).followed().last(whole()),
        get("9112 9.3: a connection persists", &[]).followed().then_marker(whole()),
        get("9112 9.3: also when that is asked for", &["Connection: keep-alive"]).followed().then_marker(whole()),
        get("9112 9.3: options that are not understood", &["Connection: x-foo"]).followed().then_marker(whole()),
        ask("9112 9.3: after 404", "GET", "/nothing", &[]).followed().then_marker(status(&[404])),
        ask("9112 9.3: after a folder", "GET", "/dir/", &[]).followed().then_marker(status(&[404, 403])),
        ask("9112 9.3: after 405", "DELETE", "/file.bin", &[]).followed().then_marker(status(&[405])).refused(&[405]),
        ask("9112 9.3: after OPTIONS", "OPTIONS", "/file.bin", &[]).followed().then_marker(status(&[200, 204, 405])),
        get("9112 9.3: after 304", &["If-None-Match: *"]).followed().then_marker(status(&[304])),
        get("9112 9.3: after 412", &["If-Match: \"x\""]).followed().then_marker(status(&[412])),
        get("9112 9.3: after 416", &["Range: bytes=5000-"]).followed().then_marker(status(&[416])),
        get("9112 9.3: after 206", &["Range: bytes=5-6"])
            .followed()
            .then_marker(status(&[206]).body(&content()[5..=6])),
        ask("9112 9.3: after HEAD", "HEAD", "/file.bin", &[]).followed().then_marker(length()),
        raw(
            "9112 9.3.2: answers come in order",
            pipeline(&[("GET", "/marker.txt"), ("HEAD", "/file.bin"), ("GET", "/nothing"), ("GET", "/file.bin")]),
        )
        .with_heads(&[false, true, false, false])
        .are(vec![marker(), length(), status(&[404]), whole()]),
        raw("9112 9.3.2: thirty requests at once", pipeline(&many(30))).are(vec![marker(); 30]),
        raw("9112 9.3: HTTP/1.0 closes", "GET /file.bin HTTP/1.0\r\nHost: x\r\n\r\n").last(whole()),
        raw("9112 3.2: HTTP/1.0 needs no Host", "GET /file.bin HTTP/1.0\r\n\r\n").last(whole()),
        raw("9112 9.3: HTTP/1.0 may ask to persist", "GET /file.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .followed()
            .then_marker(whole().lists("connection", "keep-alive"))
            .last(whole()),
        raw("9112 9.3: HTTP/1.0 and close", "GET /file.bin HTTP/1.0\r\nConnection: close\r\n\r\n")
            .followed()
            .last(whole()),
        raw("9112 7: HTTP/1.0 is sent no chunks", "GET /nothing HTTP/1.0\r\n\r\n")
            .last(status(&[404]).lacks("transfer-encoding")),
        raw("9110 14.2: HTTP/1.0 and a range", "GET /file.bin HTTP/1.0\r\nRange: bytes=0-4\r\n\r\n")
            .last(status(&[206]).body(&content()[..5]))
            .last(whole()),
        raw("9112 9.3: HTTP/1.0 HEAD", "HEAD /file.bin HTTP/1.0\r\n\r\n").last(length()),
    ]
}

#[test]
fn methods() {
    run("methods", &[asked(), expectations(), connections()].into_iter().flatten().collect::<Vec<_>>());
}
