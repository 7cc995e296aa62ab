//! Requests of every kind that parses.

use http::{Method, Request, Uri, uri::Authority};
use http_body_util::Empty;
use proptest::{collection::vec, prelude::*, sample::select};

use super::super::multiplexed::Nothing;

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: &'static str,
    target: String,
    minor: u8,
    hosts: &'static [&'static str],
    /// Lines without their ends.
    fields: Vec<String>,
    content: Content,
}

/// The fields that frame the content, and its octets.
type Content = (&'static str, &'static str);

const METHODS: &[&str] = &["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "get"];

const TARGETS: &[&str] = &[
    "/small.txt",
    "/large.bin",
    "/empty",
    "/missing",
    "/folder",
    "/folder/",
    "/folder/a%20b",
    "/",
    "/sm%61ll%2Etxt",
    "/small.txt?a=b&c=%64",
    "/small.txt?",
    "/small.txt/",
    "/./small.txt",
    "/folder/../small.txt",
    "/%2e%2e/small.txt",
    "//small.txt",
    "/folder%2Fa%20b",
    "/%zz",
    "/%00",
    "/.hidden",
    "http://x/small.txt",
    "http://x:80/small.txt?a",
    "http://x",
    "http://x?a",
    "https://x/small.txt",
    "ftp://x/small.txt",
    "http://a@x/small.txt",
    "*",
    "small.txt",
    "x:80",
    "/stream",
    "/known",
    "/nothing",
    "/closing",
];

const HOSTS: &[&[&str]] =
    &[&["X:80"], &["x:"], &["[::1]:8"], &[], &["x", "x"], &["a b"], &[""], &["x,y"], &["x:99999"], &["a@x"], &["x/"]];

/// The small file's tag is the second, the large one's the third.
const TAGS: &[&str] = &[
    "*",
    "\"2ebc98a1-3e8\"",
    "\"2ebc98a1-30d40\"",
    "W/\"2ebc98a1-3e8\"",
    "\"other\"",
    "\"other\", \"2ebc98a1-3e8\" , W/\"2ebc98a1-30d40\"",
    "\"a,b\",,\"c\"",
    "2ebc98a1-3e8",
    "\"unended",
    "",
];

const DATES: &[&str] = &[
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "Sun, 06 Nov 1994 08:49:36 GMT",
    "Mon, 07 Nov 1994 08:49:37 GMT",
    "Fri, 01 Jan 2100 00:00:00 GMT",
    "yesterday",
    "",
];

const RANGES: &[&str] = &[
    "bytes=0-0",
    "bytes=0-",
    "bytes=-1",
    "bytes=-0",
    "bytes=10-999999999",
    "bytes=999-",
    "bytes=1000-",
    "bytes=300000-",
    "bytes=5-4",
    "bytes=0-1,3-4",
    "bytes=0-1,100000-199999",
    "bytes=150000-199999, 10-20 ,-5",
    "bytes=0-70000,80000-150000",
    "bytes=0-99,50-149",
    "bytes=,0-1,,",
    "bytes=0-1,999999-",
    "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12",
    "bytes = 0-1",
    "Bytes=0-1",
    "bits=0-1",
    "bytes=a-b",
    "bytes=0-1;",
    "bytes=18446744073709551616-",
    "bytes=",
    "",
];

const CONNECTIONS: &[&str] =
    &["close", "keep-alive", "Keep-Alive, Close", "close, x", "upgrade", "x", ",", "closed", "\"close\"", "TE"];

const OTHERS: &[&str] = &[
    "Accept-Encoding: gzip, br;q=0.5",
    "Accept-Encoding: identity;q=0",
    "Accept: text/html",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "TE: trailers",
    "Cookie: a=b",
    "X-Obs: \u{e9}",
    "X-Empty:",
    "Origin: null",
];

/// What frames content, and what may come with none.
const CONTENTS: &[Content] = &[
    ("Content-Length: 0\r\n", ""),
    ("Content-Length: 00\r\n", ""),
    ("Content-Length: 0\r\nContent-Length: 0\r\n", ""),
    ("Content-Length: 3\r\n", "abc"),
    ("Content-Length: 4\r\n", "GET "),
    ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
];

fn one_of(name: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    let blanks = select(&[" ", "", "\t", "  \t "][..]);
    let name = prop_oneof![3 => Just(name.to_owned()), 1 => Just(name.to_ascii_uppercase())];
    (name, blanks.clone(), select(values), blanks)
        .prop_map(|(name, lead, value, tail)| format!("{name}:{lead}{value}{tail}"))
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => one_of("Range", RANGES),
        2 => one_of("If-Range", TAGS),
        1 => one_of("If-Range", DATES),
        2 => one_of("If-Match", TAGS),
        2 => one_of("If-None-Match", TAGS),
        2 => one_of("If-Modified-Since", DATES),
        2 => one_of("If-Unmodified-Since", DATES),
        2 => one_of("Connection", CONNECTIONS),
        2 => select(OTHERS).prop_map(str::to_owned),
    ]
}

/// Any request with a sound head, sound or not in what it asks.
pub(super) fn any() -> impl Strategy<Value = Ask> {
    let method = prop_oneof![6 => Just("GET"), 3 => select(METHODS)];
    let target = prop_oneof![3 => select(&TARGETS[..2]), 3 => select(TARGETS)];
    let hosts = prop_oneof![6 => Just(&["x"][..]), 1 => select(HOSTS)];
    let minor = prop_oneof![4 => Just(1), 1 => Just(0), 1 => Just(2)];
    let content = prop_oneof![8 => Just(("", "")), 1 => select(CONTENTS)];
    (method, target, minor, hosts, vec(field(), 0..5), content).prop_map(
        |(method, target, minor, hosts, fields, content)| Ask {
            method,
            target: target.to_owned(),
            minor,
            hosts,
            fields,
            content,
        },
    )
}

impl Ask {
    pub(super) fn method(&self) -> Method {
        self.method.parse().expect("a token")
    }

    pub(super) fn octets(&self) -> String {
        let Self { method, target, minor, content: (framing, content), .. } = self;
        let hosts: String = self.hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        let fields: String = self.fields.iter().map(|field| format!("{field}\r\n")).collect();
        format!("{method} {target} HTTP/1.{minor}\r\n{hosts}{fields}{framing}\r\n{content}")
    }

    /// Whether it is one of HTTP/1.0.
    pub(super) fn is_old(&self) -> bool {
        self.minor == 0
    }

    pub(super) fn has_content(&self) -> bool {
        self.content != ("", "")
    }

    /// Whether the target is one of `https`.
    pub(super) fn names_a_scheme(&self) -> bool {
        self.target.starts_with("https:")
    }

    /// The same for HTTP/2, where it can be said there.
    pub(super) fn multiplexed(&self) -> Option<Request<Nothing>> {
        let [host] = self.hosts else { return None };
        let sayable = self.minor == 1 && self.target.starts_with('/') && !self.has_content();
        // It has a form of its own for CONNECT, and no fields of the connection (RFC 9113 section 8).
        if !sayable || self.method == "CONNECT" {
            return None;
        }
        let _: Authority = host.parse().ok()?;
        let uri: Uri = format!("http://{host}{}", self.target).parse().ok()?;
        let mut request = Request::builder().method(self.method).uri(uri);
        for field in &self.fields {
            let (name, value) = field.split_once(':').expect("a field");
            if !["connection", "te", "upgrade"].contains(&name.to_ascii_lowercase().as_str()) {
                request = request.header(name, value.trim());
            }
        }
        request.body(Empty::new()).ok()
    }
}
