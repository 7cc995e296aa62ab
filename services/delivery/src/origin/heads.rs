//! Which header fields cross between a client and an origin.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{Ask, Fetch, Identity, OriginError};

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Our name in `CDN-Loop` (RFC 8586) and `Via` (RFC 9110 section 7.6.3).
const PSEUDONYM: &str = "ferry";

/// What is forwarded of a client's request: which part, and under which conditions.
const FORWARDED: &[HeaderName] = &[
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

/// What concerns one connection only (RFC 9110 section 7.6.1), besides what `Connection` itself names.
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// What an origin says to its own clients about itself, and no answer of ours may repeat: cookies above all, since what is
/// passed on here is the same for everybody.
const OWN_OF_ORIGIN: &[&str] = &[
    "set-cookie",
    "set-cookie2",
    "server",
    "date",
    "content-length",
    "alt-svc",
    "strict-transport-security",
    "public-key-pins",
    "clear-site-data",
    "nel",
    "report-to",
    "reporting-endpoints",
    "location",
    "refresh",
    "www-authenticate",
    "authentication-info",
    "proxy-authenticate",
    "proxy-authentication-info",
    "access-control-allow-credentials",
];

/// What of that is kept all the same of a response that is stored: it is for the cache to judge.
const FOR_THE_CACHE: &[HeaderName] = &[header::DATE, header::CONTENT_LENGTH, header::SET_COOKIE];

/// What never reaches an origin where everybody gets the same answer: who the client is.
fn identifies(name: &HeaderName) -> bool {
    *name == header::COOKIE
        || *name == header::FORWARDED
        || name.as_str().starts_with("x-forwarded-")
        || name == "x-real-ip"
}

/// What a client says to us and not to an origin.
fn is_for_us(name: &HeaderName) -> bool {
    *name == header::HOST
        || *name == header::CONTENT_LENGTH
        || *name == header::EXPECT
        || *name == header::PROXY_AUTHORIZATION
        || is_hop_by_hop(name)
}

/// The fields of a request to any origin, but for what is that origin's own. A request that has passed here before is refused.
pub(super) fn request(fetch: &Fetch<'_>, loop_id: &str) -> Result<HeaderMap, OriginError> {
    let mut head = HeaderMap::with_capacity(16);
    for (name, value) in fetch.extra {
        if !identifies(name) && !is_for_us(name) && *name != header::AUTHORIZATION {
            head.append(name, value.clone());
        }
    }
    for name in FORWARDED {
        head.remove(name);
    }
    head.extend(of_a_client(&fetch.method, fetch.client));
    head.insert(CDN_LOOP, looped(fetch.client, loop_id)?);
    head.insert(header::VIA, via());
    // Ranges count the bytes of the file, not those of some coding of it.
    head.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    head.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(head)
}

/// The fields of a request whose caller chose them, but for what is each origin's own. A request that has passed here before is refused.
pub(super) fn chosen(ask: &Ask<'_>, loop_id: &str) -> Result<HeaderMap, OriginError> {
    let mut head = HeaderMap::with_capacity(ask.headers.len() + 4);
    let named = connection_names(ask.headers);
    let ranged = ask.method != Method::HEAD;
    for (name, value) in ask.headers {
        let withheld = matches!(ask.identity, Identity::Withheld) && identifies(name);
        let range = *name == header::RANGE || *name == header::IF_RANGE;
        if !withheld && !is_for_us(name) && !named.contains(name) && (ranged || !range) {
            head.append(name, value.clone());
        }
    }
    head.insert(CDN_LOOP, looped(ask.headers, loop_id)?);
    head.append(header::VIA, via());
    head.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    head.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(head)
}

/// The fields of a response without those that concern its connection only.
pub(super) fn end_to_end(mut head: HeaderMap) -> HeaderMap {
    for name in connection_names(&head) {
        head.remove(name);
    }
    for name in HOP_BY_HOP {
        head.remove(*name);
    }
    head
}

/// The fields of an origin's response that are passed on to clients.
pub(super) fn passed_on(mut head: HeaderMap) -> HeaderMap {
    for name in OWN_OF_ORIGIN {
        head.remove(*name);
    }
    head.append(header::VIA, via());
    head
}

/// The fields of an origin's response as a cache keeps them; of an application's, all.
pub(super) fn kept(mut head: HeaderMap, application: bool) -> HeaderMap {
    if !application {
        for name in OWN_OF_ORIGIN.iter().filter(|name| FOR_THE_CACHE.iter().all(|kept| kept != *name)) {
            head.remove(*name);
        }
    }
    head.append(header::VIA, via());
    head
}

/// What a client says of parts and conditions, which an origin is told where the client waits for its answer.
pub(crate) fn of_a_client(method: &Method, client: &HeaderMap) -> HeaderMap {
    let mut told = HeaderMap::new();
    for name in FORWARDED {
        // A range means nothing to HEAD (RFC 9110 section 14.2), and an origin might think otherwise.
        let ranged = *name == header::RANGE || *name == header::IF_RANGE;
        if !(ranged && *method == Method::HEAD) {
            for value in client.get_all(name) {
                told.append(name, value.clone());
            }
        }
    }
    told
}

/// What `Connection` names: further fields that go no further (RFC 9110 section 7.6.1).
fn connection_names(head: &HeaderMap) -> Vec<HeaderName> {
    let lines = head.get_all(header::CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

const fn via() -> HeaderValue {
    HeaderValue::from_static("1.1 ferry")
}

/// The client's `CDN-Loop` with us at its end; an error if we are in it already.
fn looped(client: &HeaderMap, loop_id: &str) -> Result<HeaderValue, OriginError> {
    let ours = format!("{PSEUDONYM}; id={loop_id}");
    let mut chain = Vec::new();
    for line in client.get_all(CDN_LOOP) {
        for hop in line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if is_us(hop, loop_id) {
                return Err(OriginError::Loop);
            }
            if !hop.is_empty() {
                chain.extend_from_slice(hop);
                chain.extend_from_slice(b", ");
            }
        }
    }
    chain.extend_from_slice(ours.as_bytes());
    // A loop id that fits no header cannot come back in one either.
    Ok(HeaderValue::from_bytes(&chain).unwrap_or(HeaderValue::from_static(PSEUDONYM)))
}

fn is_us(hop: &[u8], loop_id: &str) -> bool {
    let mut parts = hop.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(PSEUDONYM.as_bytes()));
    named && parts.any(|part| part.strip_prefix(b"id=").is_some_and(|id| id == loop_id.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn asked(method: Method, client: &HeaderMap, extra: &HeaderMap) -> Result<HeaderMap, OriginError> {
        request(&Fetch { method, target: "/a", client, extra }, "node-1")
    }

    #[test]
    fn nothing_of_the_client_reaches_the_origin_but_ranges_and_conditions() {
        let client = headers(&[
            ("range", "bytes=0-1"),
            ("if-range", "\"v\""),
            ("if-none-match", "\"a\""),
            ("if-none-match", "\"b\""),
            ("cookie", "session=1"),
            ("authorization", "Basic x"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "evil"),
            ("forwarded", "for=192.0.2.1"),
            ("user-agent", "curl"),
            ("accept-encoding", "gzip"),
            ("host", "evil"),
            ("connection", "range"),
        ]);
        let sent = asked(Method::GET, &client, &HeaderMap::new()).expect("no loop");
        let mut names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = ["accept", "accept-encoding", "cdn-loop", "if-none-match", "if-range", "range", "via"];
        assert_eq!(names, expected);
        assert_eq!(sent[header::ACCEPT_ENCODING], "identity");
        assert_eq!(sent.get_all(header::IF_NONE_MATCH).iter().count(), 2);
    }

    #[test]
    fn a_route_s_own_fields_go_along_but_never_who_the_client_is() {
        let extra = headers(&[
            ("traceparent", "00-1-2-01"),
            ("accept-language", "zh"),
            ("cookie", "session=1"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "192.0.2.1"),
            ("host", "evil"),
            ("transfer-encoding", "chunked"),
            ("range", "bytes=5-"),
        ]);
        let sent = asked(Method::GET, &HeaderMap::new(), &extra).expect("no loop");
        assert_eq!(
            (&sent["traceparent"], &sent["accept-language"]),
            (&"00-1-2-01".parse().expect("a value"), &"zh".parse().expect("a value"))
        );
        for absent in ["cookie", "x-forwarded-proto", "x-real-ip", "host", "transfer-encoding", "range"] {
            assert!(!sent.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn head_asks_for_no_range() {
        let client = headers(&[("range", "bytes=0-1"), ("if-range", "\"v\""), ("if-match", "\"v\"")]);
        let sent = asked(Method::HEAD, &client, &HeaderMap::new()).expect("no loop");
        assert!(!sent.contains_key(header::RANGE) && !sent.contains_key(header::IF_RANGE));
        assert!(sent.contains_key(header::IF_MATCH));
    }

    #[test]
    fn a_request_that_passed_here_before_is_refused() {
        // RFC 8586
        for (fields, looped) in [
            (&[][..], Some("ferry; id=node-1")),
            (&[("cdn-loop", "other; x=1, ferry; id=node-2")], Some("other; x=1, ferry; id=node-2, ferry; id=node-1")),
            (&[("cdn-loop", "ferryman; id=node-1")], Some("ferryman; id=node-1, ferry; id=node-1")),
            (&[("cdn-loop", "ferry; id=node-1")], None),
            (&[("cdn-loop", "a"), ("cdn-loop", "b, FERRY ;x=1; id=node-1,c")], None),
        ] {
            let sent = asked(Method::GET, &headers(fields), &HeaderMap::new());
            assert_eq!(
                sent.ok().map(|head| head[CDN_LOOP].clone()),
                looped.map(HeaderValue::from_static),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn of_a_response_only_what_concerns_the_client_is_passed_on() {
        let passed = passed_on(end_to_end(headers(&[
            ("content-type", "video/mp4"),
            ("etag", "\"v\""),
            ("last-modified", "x"),
            ("content-range", "bytes 0-1/2"),
            ("cache-control", "max-age=1"),
            ("x-checksum", "1"),
            ("via", "1.0 other"),
            ("set-cookie", "session=1"),
            ("server", "nginx"),
            ("strict-transport-security", "max-age=1"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("www-authenticate", "Basic"),
        ])));
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = ["cache-control", "content-range", "content-type", "etag", "last-modified", "via", "x-checksum"];
        assert_eq!(names, expected);
        assert_eq!(passed.get_all(header::VIA).iter().collect::<Vec<_>>(), ["1.0 other", "1.1 ferry"]);
    }
}
