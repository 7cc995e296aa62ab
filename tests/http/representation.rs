//! What is said of a file: RFC 9110 sections 6.6, 8 and 9.3.2.

use crate::{
    answer::{Wanted, status},
    case::{Case, ask, get, run},
    samples::{DATE, ETAG, LENGTH, content},
};

fn described(wanted: Wanted) -> Wanted {
    wanted
        .field("content-length", LENGTH.to_string())
        .field("etag", ETAG)
        .field("last-modified", DATE)
        .lists("accept-ranges", "bytes")
        .has("content-type")
        .has("date")
}

/// GET and HEAD of the same thing say the same (section 9.3.2).
fn get_and_head(rule: &str, target: &str, fields: &[&str], wanted: &Wanted, body: Option<&[u8]>) -> [Case; 2] {
    let get = body.map_or_else(|| wanted.clone(), |body| wanted.clone().body(body));
    [
        ask(format!("{rule} (GET)"), "GET", target, fields).is(get),
        ask(format!("{rule} (HEAD)"), "HEAD", target, fields).is(wanted.clone().body("")),
    ]
}

fn fields() -> Vec<Case> {
    let unknown = status(&[404]).has("date");
    [
        get_and_head("9110 8.6, 8.8, 14.3: a file", "/file.bin", &[], &described(status(&[200])), Some(&content())),
        get_and_head(
            "9110 8.6: a file of nothing",
            "/empty.txt",
            &[],
            &status(&[200]).field("content-length", "0"),
            Some(b""),
        ),
        get_and_head("9110 15.5.5: no such file", "/nothing.bin", &[], &unknown, None),
        get_and_head("9110 15.5.5: no such folder", "/nothing/file.bin", &[], &unknown, None),
        get_and_head(
            "9110 8.3: a query says nothing to a file",
            "/file.bin?a=1",
            &[],
            &described(status(&[200])),
            Some(&content()),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Media types (section 8.3). A peer's own table may lack some, so only ferry's answers are exact.
fn kinds() -> Vec<Case> {
    [
        ("html", "text/html; charset=utf-8"),
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("json", "application/json"),
        ("png", "image/png"),
        ("mp4", "video/mp4"),
        ("m3u8", "application/vnd.apple.mpegurl"),
        ("ts", "video/mp2t"),
        ("mpd", "application/dash+xml"),
        ("m4s", "video/iso.segment"),
        ("wasm", "application/wasm"),
        ("woff2", "font/woff2"),
        ("zip", "application/zip"),
        ("xyzzy", "application/octet-stream"),
    ]
    .into_iter()
    .map(|(extension, kind)| {
        let target = format!("/kinds/sample.{extension}");
        ask(format!("9110 8.3: the media type of .{extension}"), "GET", &target, &[])
            .is(status(&[200]).field("content-type", kind))
    })
    .chain([
        ask("9110 8.3: a name without extension", "GET", "/kinds/none", &[])
            .is(status(&[200]).field("content-type", "application/octet-stream")),
        ask("9110 8.3: an extension in capitals", "GET", "/A.TXT", &[])
            .is(status(&[200]).field("content-type", "text/plain; charset=utf-8"))
            .is(status(&[200]).field("content-type", "text/plain")),
    ])
    .collect()
}

/// Fields that a static file has no use for, and that must not disturb it.
fn unmoved() -> Vec<Case> {
    [
        "Accept: text/html",
        "Accept: image/*;q=0",
        "Accept-Language: zh-CN, en;q=0.5",
        "Accept-Charset: latin1",
        "Accept-Encoding: identity",
        "Accept-Encoding: gzip, br, zstd",
        "Accept-Encoding: ",
        "Accept-Encoding: *;q=0.5",
        "Cache-Control: no-cache",
        "Pragma: no-cache",
        "Max-Forwards: 0",
        "TE: trailers",
        "Trailer: X-Sum",
        "User-Agent: \u{e9}\u{e8}",
        "Referer: not a URL at all",
        "From: nobody",
        "Via: 1.1 proxy",
        "Forwarded: for=192.0.2.1;proto=https",
        "X-Forwarded-Host: evil.example",
        "Authorization: Basic Zm9vOmJhcg==",
        "Cookie: a=b; c=d",
        "X-Empty:",
        "X-Tab:\tvalue\t",
        "!#$%&'*+-.^_`|~: every sign of a token",
        "Upgrade: h2c, websocket",
        "Upgrade: TLS/1.0",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: close",
        "Content-Type: text/plain",
        "Date: not a date",
    ]
    .into_iter()
    .map(|field| {
        get(format!("9110 5.1: what is not understood is ignored: {field}"), &[field])
            .is(described(status(&[200])).body(content()))
    })
    .collect()
}

#[test]
fn representation() {
    run("representation", &[fields(), kinds(), unmoved()].into_iter().flatten().collect::<Vec<_>>());
}
