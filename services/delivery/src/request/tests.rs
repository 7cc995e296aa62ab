use http::{HeaderName, Request as Head};

use super::*;

const ARRIVAL: Arrival = Arrival {
    peer: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4000),
    local: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80),
    secure: false,
};

fn admit(version: Version, method: &str, target: &str, hosts: &[&str]) -> Result<Request, Refusal> {
    let mut head = Head::builder().version(version).method(method).uri(target).body(()).expect("a head").into_parts().0;
    for host in hosts {
        head.headers.append(header::HOST, HeaderValue::from_str(host).expect("a field value"));
    }
    Request::admit(head, Content::default(), ARRIVAL)
}

fn host(version: Version, target: &str, hosts: &[&str]) -> Result<Option<String>, Refusal> {
    admit(version, "GET", target, hosts).map(|request| request.host.map(|host| host.to_string()))
}

#[test]
fn http_1_1_wants_exactly_one_valid_host() {
    // RFC 9112 section 3.2
    for good in ["a", "a.example", "A-b_c.example:80", "127.0.0.1:8080", "[::1]", "[::1]:80", "a:"] {
        assert_eq!(host(Version::HTTP_11, "/", &[good]), Ok(Some(good.to_owned())), "{good:?}");
    }
    for bad in ["", " ", "a b", "a/b", "u@a", "a,b", "a:b", "a:99999", "a:-1", "[::1", "::1", "[a]", "[::1]x", "a\\b"] {
        assert_eq!(host(Version::HTTP_11, "/", &[bad]), Err(Refusal::Host), "{bad:?}");
    }
    assert_eq!(host(Version::HTTP_11, "/", &[]), Err(Refusal::Host));
    assert_eq!(host(Version::HTTP_11, "/", &["a", "a"]), Err(Refusal::Host));
    assert_eq!(host(Version::HTTP_10, "/", &[]), Ok(None));
    assert_eq!(host(Version::HTTP_10, "/", &["a", "b"]), Err(Refusal::Host));
}

#[test]
fn an_absolute_target_overrides_a_host_that_must_be_there() {
    // RFC 9112 section 3.2.2
    assert_eq!(host(Version::HTTP_11, "http://b:81/x", &["a"]), Ok(Some("b:81".to_owned())));
    assert_eq!(host(Version::HTTP_11, "http://b/x", &[]), Err(Refusal::Host));
    // RFC 9110 section 4.2.4: userinfo in a URI of this scheme is an error.
    assert_eq!(host(Version::HTTP_11, "http://u@b/x", &["b"]), Err(Refusal::Host));
    assert_eq!(admit(Version::HTTP_11, "GET", "ftp://b/x", &["b"]).err(), Some(Refusal::Target));
    assert_eq!(admit(Version::HTTP_11, "GET", "http://b?q", &["b"]).expect("served").target.as_str(), "/?q");
}

#[test]
fn in_http_2_authority_and_host_do_not_contradict_each_other() {
    // RFC 9113 section 8.3.1
    assert_eq!(host(Version::HTTP_2, "http://a/x", &[]), Ok(Some("a".to_owned())));
    assert_eq!(host(Version::HTTP_2, "http://a/x", &["A"]), Ok(Some("a".to_owned())));
    assert_eq!(host(Version::HTTP_2, "http://a/x", &["b"]), Err(Refusal::Host));
    assert_eq!(host(Version::HTTP_2, "/x", &[]), Err(Refusal::Host));
}

#[test]
fn other_forms_of_a_target_are_refused() {
    assert_eq!(admit(Version::HTTP_11, "CONNECT", "a:80", &["a:80"]).err(), Some(Refusal::Method));
    assert_eq!(admit(Version::HTTP_11, "TRACE", "/", &["a"]).err(), Some(Refusal::Method));
    assert_eq!(admit(Version::HTTP_11, "GET", "*", &["a"]).err(), Some(Refusal::Target));
    assert_eq!(admit(Version::HTTP_11, "OPTIONS", "*", &["a"]).err(), Some(Refusal::Server));
    assert_eq!(Refusal::Server.answer().headers[header::ALLOW], "GET, HEAD, OPTIONS");
}

#[test]
fn what_is_too_large_has_a_status_of_its_own() {
    let long = format!("/{}", "x".repeat(LONGEST_TARGET));
    assert_eq!(admit(Version::HTTP_11, "GET", &long, &["a"]).err(), Some(Refusal::TargetTooLong));
    assert!(admit(Version::HTTP_11, "GET", &long[..LONGEST_TARGET], &["a"]).is_ok());
    let mut head = Head::builder().uri("/").header("host", "a").body(()).expect("a head").into_parts().0;
    let filler = "x".repeat(1000);
    for _ in 0..33 {
        head.headers
            .append(HeaderName::from_static("x-filler"), HeaderValue::from_str(&filler).expect("a field value"));
    }
    assert_eq!(Request::admit(head, Content::default(), ARRIVAL).err(), Some(Refusal::HeadersTooLarge));
}

#[test]
fn what_is_asked_for_as_https_must_come_over_it() {
    for (version, target, expected) in [
        (Version::HTTP_11, "https://a/", Some(Refusal::Scheme)),
        (Version::HTTP_10, "HTTPS://a/", Some(Refusal::Scheme)),
        (Version::HTTP_11, "http://a/", None),
        (Version::HTTP_2, "https://a/", None),
    ] {
        assert_eq!(admit(version, "GET", target, &["a"]).err(), expected, "{version:?} {target}");
        let mut head = Head::builder().version(version).uri(target).body(()).expect("a head").into_parts().0;
        head.headers.append(header::HOST, HeaderValue::from_static("a"));
        let secure = Arrival { secure: true, ..ARRIVAL };
        assert!(Request::admit(head, Content::default(), secure).is_ok(), "over TLS: {version:?} {target}");
    }
}

#[test]
fn every_refusal_has_its_status_and_closes() {
    for (refusal, status) in [
        (Refusal::Host, 400),
        (Refusal::Target, 400),
        (Refusal::Scheme, 421),
        (Refusal::TargetTooLong, 414),
        (Refusal::HeadersTooLarge, 431),
        (Refusal::Method, 405),
    ] {
        let answer = refusal.answer();
        assert_eq!((answer.status.as_u16(), answer.close), (status, true), "{refusal:?}");
    }
}
