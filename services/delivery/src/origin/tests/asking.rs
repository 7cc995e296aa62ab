//! What a cache sees of an origin: everything; and what the origin sees of the client: as much as the caller says.

use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream;
use http::header;

use super::*;
use crate::origin::faulty::{Fault, Faulty, Transport};

async fn origin() -> (Faulty, Origins) {
    reached(Transport::Plain).await
}

async fn reached(transport: Transport) -> (Faulty, Origins) {
    let faulty = Faulty::start(transport, 1000).await;
    let mut origin = OriginSettings::new(faulty.url().parse().expect("a base"));
    origin.trust = faulty.certificate().map_or(Trust::System, |certificate| Trust::Only(vec![certificate]));
    let origins = Origins::new(&Settings::new(vec![origin], "node-1")).expect("good settings");
    (faulty, origins)
}

#[tokio::test]
async fn the_whole_head_is_given_and_when_it_came() {
    let fake = Fake::always(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\nAge: 7\r\nCache-Control: max-age=1\r\nCache-Control: private\r\n\
         CDN-Cache-Control: max-age=2\r\nVary: Accept\r\nSet-Cookie: a=b\r\nServer: x\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\n\r\nhello",
    )
    .await;
    let before = SystemTime::now();
    let asked = origins(&[&fake.base()]);
    let response = asked.ask(Ask::get("/a", &HeaderMap::new())).await.expect("an answer");
    assert!(before <= response.asked && response.asked <= response.answered && response.answered <= SystemTime::now());
    assert_eq!(response.origin.to_string(), fake.base());
    assert_eq!(response.address.to_string(), fake.authority());
    let mut names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let expected =
        ["age", "cache-control", "cdn-cache-control", "content-length", "date", "server", "set-cookie", "vary"];
    assert_eq!(names, expected);
    assert_eq!(response.headers.get_all("cache-control").iter().count(), 2);
    assert_eq!(response.body.length(), Some(5));
}

#[tokio::test]
async fn what_an_application_answers_says_nothing_of_its_health() {
    for (identity, expected) in [(Identity::Passed, BreakerState::Closed), (Identity::Withheld, BreakerState::Open)] {
        let (faulty, origins) = origin().await;
        faulty.always(Fault::Status(503));
        let fields = HeaderMap::new();
        for number in 0..10 {
            let target = format!("/{number}");
            let ask = Ask { identity, retry: false, ..Ask::get(&target, &fields) };
            let _ = origins.ask(ask).await;
        }
        assert_eq!(origins.pool_stats()[0].breaker, expected, "{identity:?}");
    }
}

#[tokio::test]
async fn every_status_is_an_answer() {
    let (faulty, origins) = origin().await;
    for status in [204, 301, 304, 401, 403, 404, 410, 416, 429, 501, 599, 999] {
        faulty.next([Fault::StatusWith(status, "location", "http://192.0.2.1/")]);
        let response = origins.ask(Ask::get("/a", &HeaderMap::new())).await.expect("an answer");
        assert_eq!(response.status.as_u16(), status);
    }
    faulty.next([Fault::StatusWith(503, "cache-control", "max-age=5")]);
    let response = origins.ask(Ask::get("/a", &HeaderMap::new())).await.expect("an answer");
    assert_eq!((response.status.as_u16(), origins.pool_stats()[0].retries), (503, 0));
    assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Closed);
}

#[tokio::test]
async fn a_part_is_given_with_its_place() {
    let (faulty, origins) = origin().await;
    let mut response = origins.ask(Ask::get("/a", &headers(&[("range", "bytes=100-299")]))).await.expect("an answer");
    assert_eq!((response.status.as_u16(), response.body.length()), (206, Some(200)));
    assert_eq!(response.headers[header::CONTENT_RANGE], "bytes 100-299/1000");
    let bytes = response.body.next().await.expect("bytes").expect("no error");
    assert!(faulty.content().has(1, 100, &bytes));
}

#[tokio::test]
async fn redirects_are_followed_only_if_the_caller_wants_it() {
    let (faulty, origins) = origin().await;
    faulty.next([Fault::Redirect("/b".to_owned()), Fault::None, Fault::Redirect("/b".to_owned())]);
    let headers = HeaderMap::new();
    let followed = origins.ask(Ask::get("/a", &headers)).await.expect("an answer");
    assert_eq!(followed.status.as_u16(), 200);
    let given = origins.ask(Ask { follow: false, ..Ask::get("/a", &headers) }).await.expect("an answer");
    assert_eq!((given.status.as_u16(), given.headers["location"].to_str().expect("text")), (302, "/b"));
}

#[tokio::test]
async fn what_the_origin_learns_is_the_caller_s_to_say() {
    let (faulty, origins) = origin().await;
    let client = headers(&[
        ("accept-language", "zh"),
        ("accept-encoding", "gzip"),
        ("authorization", "Basic x"),
        ("user-agent", "curl"),
        ("req-num", "1"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("x-real-ip", "192.0.2.1"),
        ("host", "evil"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic y"),
        ("expect", "100-continue"),
        ("content-length", "5"),
        ("cdn-loop", "other"),
        ("via", "1.1 other"),
    ]);
    let always = ["accept-language", "accept-encoding", "authorization", "user-agent", "req-num", "via", "cdn-loop"];
    let who = ["cookie", "x-forwarded-for", "forwarded", "x-real-ip"];
    let never = ["connection", "x-hop", "te", "proxy-authorization", "expect", "content-length"];
    for (identity, passed) in [(Identity::Withheld, false), (Identity::Passed, true)] {
        origins.ask(Ask { identity, ..Ask::get("/a", &client) }).await.expect("an answer");
        let seen = faulty.seen().pop().expect("it was asked").headers;
        assert!(always.iter().all(|name| seen.contains_key(*name)), "{seen:?}");
        assert!(who.iter().all(|name| seen.contains_key(*name) == passed), "{seen:?}");
        assert!(!never.iter().any(|name| seen.contains_key(*name)), "{seen:?}");
        assert_eq!(seen["host"], faulty.address().to_string());
        assert_eq!(seen["cdn-loop"], "other, ferry; id=node-1");
        assert_eq!(seen.get_all("via").iter().count(), 2);
    }
    let plain = origins.ask(Ask::get("/a", &HeaderMap::new())).await;
    plain.expect("an answer");
    assert_eq!(faulty.seen().pop().expect("it was asked").headers["accept-encoding"], "identity");
    let round = headers(&[("cdn-loop", "ferry; id=node-1")]);
    assert!(matches!(origins.ask(Ask::get("/a", &round)).await, Err(OriginError::Loop)));
}

#[tokio::test]
async fn content_is_streamed_to_the_origin_whatever_is_known_of_its_length() {
    for transport in [Transport::Plain, Transport::Http2] {
        let (faulty, origins) = reached(transport).await;
        for (length, method) in [(Some(300_000), Method::PUT), (None, Method::POST)] {
            let pieces = (0..3).map(|_| Ok(Bytes::from(vec![7; 100_000])));
            let body = Some(ByteStream::new(length, stream::iter(pieces)));
            let headers = HeaderMap::new();
            let ask = Ask { method: method.clone(), body, ..Ask::get("/a?x=1", &headers) };
            assert_eq!(origins.ask(ask).await.expect("an answer").status.as_u16(), 200);
            let seen = faulty.seen().pop().expect("it was asked");
            assert_eq!((seen.method, seen.target.as_str(), seen.body.len()), (method, "/a?x=1", 300_000));
            assert_eq!(seen.headers.contains_key("content-length"), length.is_some(), "{transport:?}");
        }
    }
}

#[tokio::test]
async fn content_that_breaks_off_does_not_look_whole_to_the_origin_and_is_not_its_fault() {
    for transport in [Transport::Plain, Transport::Http2] {
        let (faulty, origins) = reached(transport).await;
        for length in [Some(10), None].into_iter().cycle().take(10) {
            let pieces = [Ok(Bytes::from_static(b"half")), Err(io::Error::other("the client left"))];
            let headers = HeaderMap::new();
            let body = Some(ByteStream::new(length, stream::iter(pieces)));
            let ask = Ask { method: Method::PUT, body, ..Ask::get("/a", &headers) };
            let refused = origins.ask(ask).await.expect_err("it broke off");
            assert!(matches!(refused, OriginError::Content { .. }), "{transport:?}: {refused}");
        }
        assert!(faulty.seen().is_empty(), "{transport:?}: no request arrived whole");
        assert_eq!(origins.pool_stats()[0].breaker, BreakerState::Closed, "{transport:?}");
    }
}

#[tokio::test]
async fn content_may_take_longer_than_an_answer_but_not_stall() {
    let (faulty, _) = reached(Transport::Plain).await;
    let origins = origins_with(&[&faulty.url()], |settings| {
        (settings.head, settings.total) = (SHORT * 7, SHORT);
    });
    let headers = HeaderMap::new();
    let slow = stream::unfold(0, async |sent| {
        tokio::time::sleep(SHORT).await;
        (sent < 10).then(|| (Ok(Bytes::from_static(b"x")), sent + 1))
    });
    let ask = |body| Ask { method: Method::PUT, body: Some(body), ..Ask::get("/a", &headers) };
    let answer = origins.ask(ask(ByteStream::new(None, slow))).await.expect("in all it took longer than the limit");
    assert_eq!((answer.status.as_u16(), faulty.seen()[0].body.len()), (200, 10));
    let stalled = origins.ask(ask(ByteStream::new(None, stream::pending()))).await.expect_err("nothing moves");
    assert!(matches!(stalled, OriginError::Late { .. }), "{stalled}");
}

#[tokio::test]
async fn another_name_is_the_authority_in_both_protocols() {
    for transport in [Transport::Tls, Transport::Http2] {
        let faulty = Faulty::start(transport, 1000).await;
        faulty.next([Fault::Redirect("https://files.example/b".to_owned())]);
        let mut origin = OriginSettings::new(faulty.url().parse().expect("a base"));
        origin.trust = Trust::Only(faulty.certificate().into_iter().collect());
        origin.host = Some("files.example".parse().expect("a host"));
        let origins = Origins::new(&Settings::new(vec![origin], "node-1")).expect("good settings");
        let (bytes, error) = read(get(&origins, "/a").await.expect("its own redirect is followed")).await;
        assert!(error.is_none() && bytes.len() == 1000);
        let seen = faulty.seen();
        let hosts: Vec<_> = seen.iter().map(|seen| seen.headers.get_all("host").iter().collect::<Vec<_>>()).collect();
        assert_eq!(hosts, [["files.example"], ["files.example"]], "{transport:?}");
        assert_eq!(seen[1].target, "/b");
    }
}
