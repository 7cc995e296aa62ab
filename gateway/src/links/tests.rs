//! Links that fit, in their order, and heads that stay small.

use ferry_core::{known::Version, tokens::Endpoint};
use http::{HeaderMap, header};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_assert, prop_assert_eq, proptest,
};

use super::*;
use crate::redirect;

fn endpoint(node: usize, authority: &str, secure: bool) -> Endpoint {
    let node = format!("n{node}").parse().expect("an id");
    Endpoint { node, authority: authority.parse().expect("an address"), secure }
}

fn nodes(endpoints: &[Endpoint]) -> Nodes<'_> {
    endpoints.iter().map(Endpoint::reach).collect()
}

fn headers(endpoints: &[Endpoint], target: &str) -> HeaderMap {
    headers_with(endpoints, target, None)
}

fn headers_with(endpoints: &[Endpoint], target: &str, version: Option<&Version>) -> HeaderMap {
    redirect::answer(&nodes(endpoints), target.as_bytes(), version).expect("there is a primary").headers
}

fn version(sha256: Option<[u8; 32]>) -> Version {
    Version { validator: "\"v\"".parse().expect("a tag"), length: 1, sha256 }
}

#[test]
fn a_digest_that_is_known_is_named_and_costs_a_link_where_room_is_short() {
    let nodes: Vec<_> = (0..4).map(|node| endpoint(node, "192.0.2.1:8001", false)).collect();
    let known = version(Some([7; 32]));
    let headers = headers_with(&nodes, "/a?ferry=AQ", Some(&known));
    let field = headers["repr-digest"].to_str().expect("plain ASCII");
    assert_eq!(field, "sha-256=:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=:");
    assert_eq!(links(&headers).len(), 3);
    assert!(!headers_with(&nodes, "/a", Some(&version(None))).contains_key("repr-digest"));
    // Of the targets with which a link just fits, the digest takes that link's room.
    let lost = (1..1000).filter(|&length| {
        let target = format!("/{}", "x".repeat(length));
        let (without, with) = (links_at(&nodes, &target, None), links_at(&nodes, &target, Some(&known)));
        assert!(with <= without);
        with < without
    });
    assert!(lost.count() > 60);
}

/// How many links there are; none makes the head too large.
fn links_at(nodes: &[Endpoint], target: &str, version: Option<&Version>) -> usize {
    let headers = headers_with(nodes, target, version);
    let count = links(&headers).len();
    assert!(count == 0 || head(&headers) <= LARGEST_HEAD, "{} octets", head(&headers));
    count
}

fn links(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all(header::LINK).iter().map(|link| link.to_str().expect("plain ASCII")).collect()
}

/// All that a client receives before the content, of which there is none.
fn head(headers: &HeaderMap) -> usize {
    let mut head = String::from("HTTP/1.1 302 Found\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().expect("plain ASCII")));
    }
    head.push_str("date: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n");
    head.len()
}

#[test]
fn alternates_are_linked_in_their_order_by_the_way_each_is_reached() {
    let nodes = [
        endpoint(0, "192.0.2.1:8001", false),
        endpoint(1, "[2001:db8::7]:8001", false),
        endpoint(2, "node-2.example:443", true),
    ];
    let headers = headers(&nodes, "/a%20b?ferry=AQ");
    assert_eq!(headers[header::LOCATION], "http://192.0.2.1:8001/a%20b?ferry=AQ");
    assert_eq!(
        links(&headers),
        [
            "<http://[2001:db8::7]:8001/a%20b?ferry=AQ>; rel=duplicate; pri=1",
            "<https://node-2.example:443/a%20b?ferry=AQ>; rel=duplicate; pri=2",
        ]
    );
}

#[test]
fn a_redirect_with_nobody_else_has_no_link() {
    assert_eq!(links(&headers(&[endpoint(0, "a:1", false)], "/f")), [""; 0]);
}

#[test]
fn a_path_too_long_for_any_link_is_redirected_all_the_same() {
    let target = format!("/{}", "x".repeat(4000));
    let headers = headers(&[endpoint(0, "a:1", false), endpoint(1, "b:1", false)], &target);
    assert_eq!(headers[header::LOCATION], format!("http://a:1{target}"));
    assert_eq!(links(&headers), [""; 0]);
}

fn any_endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let any = (proptest::string::string_regex("[a-z]{1,60}").expect("a pattern"), any::<u16>(), any::<bool>());
    vec(any, 1..=4).prop_map(|all| {
        let named = |(node, (host, port, secure)): (usize, (String, u16, bool))| {
            endpoint(node, &format!("{host}:{}", port.max(1)), secure)
        };
        all.into_iter().enumerate().map(named).collect()
    })
}

proptest! {
    #[test]
    fn no_link_makes_a_head_larger_than_its_bound(endpoints in any_endpoints(), length in 0..1800_usize) {
        let target = format!("/{}", "t".repeat(length));
        let headers = headers(&endpoints, &target);
        let links = links(&headers);
        prop_assert!(links.is_empty() || head(&headers) <= LARGEST_HEAD, "{} octets", head(&headers));
        let url = |at: usize| format!("{}://{}{target}", endpoints[at].scheme(), endpoints[at].authority);
        for (link, at) in links.iter().zip(1..) {
            prop_assert_eq!(*link, format!("<{}>; rel=duplicate; pri={at}", url(at)));
        }
        // None was left out that had room.
        if links.len() + 1 < endpoints.len() {
            let more = AROUND + url(links.len() + 1).len();
            prop_assert!(head(&headers) + more > LARGEST_HEAD, "{} and {more} octets", head(&headers));
        }
    }
}
