//! Paths: what names a file, and the many spellings of what must not (RFC 3986 sections 2 and 3.3, RFC 9110 section 4.2.3).

use crate::{
    answer::status,
    case::{Case, ask, head, raw, run},
    samples::{content, longest_name},
};

/// Names that percent-encoding makes possible.
fn encoded() -> Vec<Case> {
    [
        ("/%66ile.bin", Vec::new()),
        ("/a%20b.txt", b"a b.txt".to_vec()),
        ("/plus+sign.txt", b"plus+sign.txt".to_vec()),
        ("/plus%2Bsign.txt", b"plus+sign.txt".to_vec()),
        ("/plus%2bsign.txt", b"plus+sign.txt".to_vec()),
        ("/semi;colon.txt", b"semi;colon.txt".to_vec()),
        ("/semi%3Bcolon.txt", b"semi;colon.txt".to_vec()),
        ("/what%3F.txt", b"what?.txt".to_vec()),
        ("/hash%23.txt", b"hash#.txt".to_vec()),
        ("/100%25.txt", b"100%.txt".to_vec()),
        ("/%C3%A9.txt", "\u{e9}.txt".as_bytes().to_vec()),
        ("/%c3%a9.txt", "\u{e9}.txt".as_bytes().to_vec()),
        ("/dir/inner.txt", b"inner".to_vec()),
        ("/dir%2Einner.txt/", Vec::new()),
        ("/file.bin?", content()),
        ("/file.bin?a=b&c=%zz", content()),
        ("/file.bin?../../etc/passwd", content()),
        ("/file.bin?a?b/c", content()),
    ]
    .into_iter()
    .map(|(target, body)| {
        let rule = format!("RFC 3986 2.4: {target} is decoded once");
        match target {
            "/%66ile.bin" => ask(rule, "GET", target, &[]).is(status(&[200]).body(content())),
            _ if body.is_empty() => ask(rule, "GET", target, &[]).is(status(&[404])),
            _ => ask(rule, "GET", target, &[]).is(status(&[200]).body(body)),
        }
    })
    .collect()
}

/// Names that are nobody's. Some servers normalise before they look, as RFC 3986 section 5.2.4 allows, and find `/file.bin`.
fn hidden() -> Vec<Case> {
    let gone = [
        "/",
        "/dir",
        "/dir/",
        "/file.bin/",
        "/file.bin/x",
        "/nothing",
        "/FILE.BIN",
        "/.hidden",
        "/%2ehidden",
        "/%2Ehidden",
        "/dir/.secret",
        "/dir/%2esecret",
        "/.git/config",
        "/.git",
        "/.git/",
        "/file.bin%20",
        "/file.bin.",
        "/file.bin%2525",
        "/file.bin%00",
        "/file.bin%00.txt",
        "/%00",
        "/%00file.bin",
        "/file%0a.bin",
        "/file%0d%0a.bin",
        "/%7f",
        "/%5c..%5c..%5cetc%5cpasswd",
        "/..%5cfile.bin",
        "/dir%5cinner.txt",
        "/dir%2finner.txt",
        "/dir%2Finner.txt",
        "/dir%252finner.txt",
        "/%2fetc/passwd",
        "/%66ile.bin%2f",
        "/%252e%252e/file.bin",
        "/...",
        "/..../file.bin",
        "/~root",
        "/*",
        "/dir/*",
        "/a+b.txt",
        "/%c0%ae%c0%ae/etc/passwd",
        "/%c0%af",
        "/%ff",
        "/%ed%a0%80",
        "/%u002e%u002e/",
        "/file.bin;v=1",
        "/file.bin%3f",
        "/file.bin%3Fa=b",
        "/file.bin%23",
        "/file.bin%26",
        "/con",
        "/file.bin::$DATA",
        "/file.bin~",
    ];
    let climbing = [
        "/../file.bin",
        "/./file.bin",
        "/dir/../file.bin",
        "/dir/./inner.txt",
        "/%2e%2e/file.bin",
        "/%2E%2E/file.bin",
        "/%2e/file.bin",
        "/.%2e/file.bin",
        "/dir/%2e%2e/file.bin",
        "/dir/..%2ffile.bin",
        "/dir/%2e%2e%2ffile.bin",
        "//file.bin",
        "/dir//inner.txt",
        "/dir///inner.txt",
        "//dir/inner.txt",
        "/dir/..",
        "/dir/.",
        "/dir/%2e%2e",
        "/..",
        "/.",
        "/%2e%2e",
        "/%2e",
        "//",
        "///",
        "//evil.example/file.bin",
        "/../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/dir/../../etc/passwd",
        "/....//....//etc/passwd",
        "/dir/../../../file.bin",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/..;/file.bin",
        "/.;/file.bin",
    ];
    let known = |target: &str| target.contains("file.bin") || target.contains("inner.txt");
    let gone = gone.into_iter().map(|target| {
        let case = ask(format!("9110 15.5.5, P8: {target}"), "GET", target, &[]);
        case.is(status(&[404, 400, 403]).lacks("location")).is(redirect_within(target))
    });
    let climbing = climbing.into_iter().map(|target| {
        let case = ask(format!("RFC 3986 5.2.4, P8: {target}"), "GET", target, &[]).is(status(&[404, 400, 403]));
        if known(target) { case.is(status(&[200, 404])) } else { case }
    });
    gone.chain(climbing).collect()
}

/// A folder without its slash may be redirected to the one with it.
fn redirect_within(target: &str) -> crate::answer::Wanted {
    match target {
        "/dir" | "/.git" => status(&[301, 302, 307, 308]),
        _ => status(&[404]),
    }
}

/// Percent signs that encode nothing (RFC 3986 section 2.1).
fn broken() -> Vec<Case> {
    [
        "/%",
        "/file.bin%",
        "/%2",
        "/%zz",
        "/%g0",
        "/%0g",
        "/% 20",
        "/%%",
        "/%%32%65",
        "/%-1",
        "/%+1",
        "/%2%65",
        "/dir/%",
        "/100%.txt",
        "/%u0041",
    ]
    .into_iter()
    .map(|target| ask(format!("RFC 3986 2.1: {target}"), "GET", target, &[]).is(status(&[400, 404])))
    .collect()
}

fn long() -> Vec<Case> {
    let name = |length: usize| "n".repeat(length);
    let get = |rule: &str, target: &str, statuses: &[u16]| ask(rule, "GET", target, &[]).is(status(statuses));
    vec![
        get("a name of 255 bytes that is there", &format!("/{}", longest_name()), &[200]),
        get("a name of 254 bytes", &format!("/{}", name(254)), &[404]),
        get("a name of 256 bytes", &format!("/{}", name(256)), &[404, 414]),
        get("a name of 1,000 bytes", &format!("/{}", name(1000)), &[404, 414]),
        get("a name of 255 bytes in 765", &format!("/{}", "%6E".repeat(255)), &[200]),
        get("a name of 256 bytes in 768", &format!("/{}", "%6E".repeat(256)), &[404, 414]),
        get("a path of 5,000 bytes in names of 99", &format!("/{}", name(99)).repeat(50), &[404, 414]),
        get("a path of 2,000 folders", &"/a".repeat(2000), &[404, 414]),
        get("9112 3: a target of 7,900 bytes is not too long", &format!("/{}", name(7900)), &[404]),
        get("9112 3: a query of 7,900 bytes", &format!("/file.bin?{}", name(7900)), &[200]),
        get("9110 15.5.15: a target of 20,000 bytes", &format!("/{}", name(20_000)), &[414, 404]),
        get("9110 15.5.15: a query of 20,000 bytes", &format!("/file.bin?{}", name(20_000)), &[414, 200]),
        get("9110 15.5.15: a target of 60,000 bytes", &format!("/{}", name(60_000)), &[414]),
        get("9110 15.5.15: a target of 70,000 bytes", &format!("/{}", name(70_000)), &[414]),
        get("9110 15.5.15: a target of a million bytes", &format!("/{}", name(1_000_000)), &[414]),
        raw(
            "9110 15.5.15: after other requests",
            head("GET", "/nothing", &[]) + &head("GET", &format!("/{}", name(70_000)), &[]),
        )
        .are(vec![status(&[404]), status(&[414])]),
    ]
}

#[test]
fn paths() {
    run("paths", &[encoded(), hidden(), broken(), long()].into_iter().flatten().collect::<Vec<_>>());
}
