//! Origins that do what an origin should not, and what becomes of it.

mod asking;
mod buckets;
mod connections;
mod fake;
mod matrix;
mod recovery;

use std::{io, time::Duration};

use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::{answer::Body, stream::ByteStream};
use fake::Fake;

const SHORT: Duration = Duration::from_millis(300);

fn origins(bases: &[&str]) -> Origins {
    origins_with(bases, |_| {})
}

fn origins_with(bases: &[&str], change: impl FnOnce(&mut Settings)) -> Origins {
    let origins = bases.iter().map(|base| OriginSettings::new(base.parse().expect("a base"))).collect();
    let mut settings = Settings::new(origins, "node-1");
    change(&mut settings);
    Origins::new(&settings).expect("good settings")
}

async fn fetch(origins: &Origins, method: Method, target: &str, client: &HeaderMap) -> Result<Answer, OriginError> {
    origins.fetch(Fetch { method, target, client, extra: &HeaderMap::new() }).await
}

async fn get(origins: &Origins, target: &str) -> Result<Answer, OriginError> {
    fetch(origins, Method::GET, target, &HeaderMap::new()).await
}

fn stream(answer: Answer) -> ByteStream {
    match answer.body {
        Body::Stream(stream) => stream,
        other => panic!("expected a stream, not {other:?}"),
    }
}

/// All bytes up to the end or to an error.
async fn read(answer: Answer) -> (Vec<u8>, Option<io::Error>) {
    let (mut bytes, mut stream) = (Vec::new(), stream(answer));
    while let Some(item) = stream.next().await {
        match item {
            Ok(more) => bytes.extend_from_slice(&more),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    fields.collect()
}

/// The status that a client of these origins would see.
async fn status(origins: &Origins, target: &str) -> u16 {
    match get(origins, target).await {
        Ok(answer) => answer.status.as_u16(),
        Err(error) => error.answer().status.as_u16(),
    }
}

#[tokio::test]
async fn an_object_is_passed_on_with_what_belongs_to_it() {
    let fake = Fake::always(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: video/mp4\r\nETag: \"v1\"\r\nSet-Cookie: a=b\r\nServer: x\r\n\r\nhello",
    )
    .await;
    let origins = origins(&[&format!("{}/files", fake.base())]);
    let answer = get(&origins, "/a%20b?q=1").await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body.length()), (200, Some(5)));
    assert_eq!(answer.headers["etag"], "\"v1\"");
    assert!(!answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("server"));
    assert_eq!(read(answer).await.0, b"hello");
    let asked = fake.asked();
    assert!(asked[0].starts_with("GET /files/a%20b?q=1 HTTP/1.1\r\n"), "{}", asked[0]);
    let sent = asked[0].to_ascii_lowercase();
    for line in [
        format!("\r\nhost: {}\r\n", fake.authority()),
        "\r\ncdn-loop: ferry; id=node-1\r\n".to_owned(),
        "\r\nvia: 1.1 ferry\r\n".to_owned(),
        "\r\naccept-encoding: identity\r\n".to_owned(),
    ] {
        assert!(sent.contains(&line), "{line:?} is not in {sent}");
    }
}

#[tokio::test]
async fn host_and_own_fields_are_the_operator_s() {
    let fake = Fake::always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let mut origin = OriginSettings::new(fake.base().parse().expect("a base"));
    origin.host = Some("files.example".parse().expect("a host"));
    origin.headers = headers(&[("authorization", "Bearer ours")]);
    let origins = Origins::new(&Settings::new(vec![origin], "node-1")).expect("good settings");
    let client = headers(&[("authorization", "Bearer theirs"), ("cookie", "a=b")]);
    fetch(&origins, Method::GET, "/a", &client).await.expect("an answer");
    let sent = fake.asked()[0].to_ascii_lowercase();
    assert!(sent.contains("\r\nhost: files.example\r\n") && sent.contains("\r\nauthorization: bearer ours\r\n"));
    assert!(!sent.contains("theirs") && !sent.contains("cookie") && sent.matches("\r\nhost:").count() == 1, "{sent}");
}

#[tokio::test]
async fn ranges_and_conditions_are_the_origin_s_to_judge() {
    for (status, reply) in [
        (206, "HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab"),
        (304, "HTTP/1.1 304 N\r\nETag: \"v\"\r\n\r\n"),
        (404, "HTTP/1.1 404 N\r\nContent-Length: 2\r\n\r\nno"),
        (412, "HTTP/1.1 412 P\r\nContent-Length: 0\r\n\r\n"),
        (416, "HTTP/1.1 416 R\r\nContent-Range: bytes */9\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let fake = Fake::always(reply).await;
        let origins = origins(&[&fake.base()]);
        let client = headers(&[("range", "bytes=0-1"), ("if-range", "\"v\""), ("if-none-match", "\"v\"")]);
        let answer = fetch(&origins, Method::GET, "/a", &client).await.expect("an answer");
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers.contains_key("content-range"), matches!(status, 206 | 416));
        assert!(fake.asked()[0].contains("range: bytes=0-1\r\n"));
    }
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_is_not_taken_for_the_whole() {
    let fake = Fake::always("HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab").await;
    assert_eq!(status(&origins(&[&fake.base()]), "/a").await, 502);
}

#[tokio::test]
async fn head_passes_the_length_on() {
    let fake = Fake::always("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await;
    let origins = origins(&[&fake.base()]);
    let answer = fetch(&origins, Method::HEAD, "/a", &HeaderMap::new()).await.expect("an answer");
    assert!(matches!(answer.body, Body::Empty));
    assert_eq!(answer.headers["content-length"], "1073741824");
    assert_eq!(origins.pool_stats()[0].in_flight, 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_in_an_error() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense",
    ] {
        let fake = Fake::then_close(reply).await;
        let origins = origins(&[&fake.base()]);
        let (bytes, error) = read(get(&origins, "/a").await.expect("a head")).await;
        assert!(bytes.starts_with(b"hello"), "{reply:?}");
        assert!(error.is_some(), "{reply:?} looks whole");
        assert_eq!(origins.pool_stats()[0].failures, 1);
    }
}

#[tokio::test]
async fn bytes_beyond_the_announced_length_are_not_passed_on() {
    let fake = Fake::then_close("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world").await;
    let (bytes, error) = read(get(&origins(&[&fake.base()]), "/a").await.expect("a head")).await;
    assert_eq!((bytes.as_slice(), error.is_none()), (b"hello".as_slice(), true));
}

#[tokio::test]
async fn an_origin_that_says_nothing_is_given_up_in_time() {
    let fake = Fake::always("").await;
    let origins = origins_with(&[&fake.base()], |settings| settings.head = SHORT);
    assert_eq!(status(&origins, "/a").await, 504);
    let fake = Fake::always("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    let origins = origins_with(&[&fake.base()], |settings| settings.idle = SHORT);
    let (bytes, error) = read(get(&origins, "/a").await.expect("a head")).await;
    assert_eq!(bytes, b"hello");
    assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
}

#[tokio::test]
async fn an_origin_that_trickles_is_not_stalled() {
    // Ten times the pause, so that a busy machine is not taken for a stalled origin.
    let (pause, limit) = (SHORT / 3, SHORT * 10 / 3);
    let fake = Fake::trickle(15, pause).await;
    let origins = origins_with(&[&fake.base()], |settings| settings.idle = limit);
    let (bytes, error) = read(get(&origins, "/a").await.expect("a head")).await;
    assert_eq!((bytes.as_slice(), error.is_none()), (&[b'x'; 15][..], true), "in all it took longer than the limit");
}

#[tokio::test]
async fn a_slow_client_is_not_the_origin_s_stall() {
    let fake = Fake::endless(1 << 30).await;
    let origins = origins_with(&[&fake.base()], |settings| settings.idle = SHORT);
    let mut body = stream(get(&origins, "/big").await.expect("a head"));
    for _ in 0..3 {
        body.next().await.expect("more").expect("bytes");
        tokio::time::sleep(SHORT * 2).await;
    }
    assert!(body.next().await.expect("more").is_ok());
}

#[tokio::test]
async fn what_the_client_does_not_take_stays_at_the_origin() {
    let fake = Fake::endless(1 << 30).await;
    let mut body = stream(get(&origins(&[&fake.base()]), "/big").await.expect("a head"));
    assert_eq!(body.length(), Some(1 << 30));
    body.next().await.expect("more").expect("bytes");
    let mut seen = 0;
    // Nothing more is taken: what the origin got rid of is in the kernel's buffers and in one of ours.
    let at_rest = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            tokio::time::sleep(SHORT).await;
            if std::mem::replace(&mut seen, fake.written()) == fake.written() {
                return fake.written();
            }
        }
    });
    let written = at_rest.await.expect("the origin comes to rest");
    assert!(written < 32 << 20, "{written} bytes for a client that takes none");
}

#[tokio::test]
async fn the_next_origin_is_asked_where_the_first_cannot_answer() {
    let good = Fake::always("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").await;
    let nobody = fake::nobody().await;
    for bad in [
        Fake::always("HTTP/1.1 502 B\r\nContent-Length: 0\r\n\r\n").await,
        Fake::always("HTTP/1.1 503 S\r\nContent-Length: 0\r\n\r\n").await,
        Fake::always("HTTP/1.1 504 G\r\nContent-Length: 0\r\n\r\n").await,
        Fake::then_close("").await,
        Fake::then_close("rubbish\r\n\r\n").await,
    ] {
        let origins = origins(&[&nobody, &bad.base(), &good.base()]);
        assert_eq!(read(get(&origins, "/a").await.expect("an answer")).await.0, b"good");
        let stats = origins.pool_stats();
        assert_eq!(
            stats.iter().map(|pool| (pool.requests, pool.failures)).collect::<Vec<_>>(),
            [(1, 1), (1, 1), (1, 0)]
        );
    }
    let missing = Fake::always("HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&origins(&[&missing.base(), &good.base()]), "/a").await, 404, "an answer is an answer");
}

#[tokio::test]
async fn failures_have_the_status_that_fits() {
    for (reply, expected) in [
        ("HTTP/1.1 500 I\r\nContent-Length: 0\r\n\r\n", 502),
        ("HTTP/1.1 502 B\r\nContent-Length: 0\r\n\r\n", 502),
        ("HTTP/1.1 503 S\r\nRetry-After: 77\r\nContent-Length: 0\r\n\r\n", 503),
        ("HTTP/1.1 504 G\r\nContent-Length: 0\r\n\r\n", 504),
        ("HTTP/1.1 204 N\r\n\r\n", 502),
        ("HTTP/1.1 300 M\r\nContent-Length: 0\r\n\r\n", 502),
        ("rubbish\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502),
    ] {
        let fake = Fake::then_close(reply).await;
        let error = get(&origins(&[&fake.base()]), "/a").await.expect_err(reply);
        let answer = error.answer();
        assert_eq!(answer.status.as_u16(), expected, "{reply:?}: {error}");
        if expected == 503 {
            assert_eq!(answer.headers["retry-after"], "77");
        }
    }
    assert_eq!(status(&origins(&[&fake::nobody().await]), "/a").await, 502);
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_origin_only() {
    let fake = Fake::by_path(|path| match path {
        "/start" => "HTTP/1.1 302 F\r\nLocation: /end?x\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "/end?x" => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend".to_owned(),
        "/away" => "HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 301 F\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n".to_owned(),
    })
    .await;
    let origins = origins(&[&fake.base()]);
    assert_eq!(read(get(&origins, "/start").await.expect("an answer")).await.0, b"end");
    let refused = get(&origins, "/away").await.expect_err("it leads elsewhere");
    assert!(refused.to_string().contains("http://127.0.0.1:1/x"), "{refused}");
    assert_eq!(refused.answer().status.as_u16(), 502);
    assert_eq!(status(&origins, "/round").await, 502);
    assert_eq!(fake.asked().iter().filter(|head| head.starts_with("GET /round ")).count(), 1 + redirect::MOST);
}

#[tokio::test]
async fn a_request_that_comes_round_is_refused() {
    let fake = Fake::always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let client = headers(&[("cdn-loop", "ferry; id=node-1")]);
    let refused = fetch(&origins(&[&fake.base()]), Method::GET, "/a", &client).await.expect_err("a loop");
    assert_eq!(refused.answer().status.as_u16(), 508);
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn past_the_limit_requests_wait_and_then_are_turned_away() {
    let fake = Fake::endless(1 << 30).await;
    let origins = origins_with(&[&fake.base()], |settings| {
        settings.limit_per_origin = 2;
        settings.patience = SHORT;
    });
    let first = get(&origins, "/a").await.expect("the first turn");
    let second = get(&origins, "/b").await.expect("the second turn");
    let refused = get(&origins, "/c").await.expect_err("no turn is left").answer();
    assert_eq!(refused.status.as_u16(), 503);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!((origins.pool_stats()[0].in_flight, origins.pool_stats()[0].limit), (2, 2));
    drop(first);
    assert!(get(&origins, "/c").await.is_ok(), "a dropped answer gives its turn back");
    drop(second);
}

#[tokio::test]
async fn the_total_limit_holds_for_all_origins_together() {
    let (one, two) = (Fake::endless(1 << 30).await, Fake::endless(1 << 30).await);
    let origins = origins_with(&[&one.base(), &two.base()], |settings| {
        settings.limit = 1;
        settings.patience = SHORT;
    });
    let _held = get(&origins, "/a").await.expect("the only turn");
    assert_eq!(status(&origins, "/b").await, 503);
}

#[tokio::test]
async fn certificates_are_verified_unless_the_operator_says_otherwise() {
    let fake = Fake::tls("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntls").await;
    for (trust, expected) in [
        (Trust::System, 502),
        (Trust::Only(vec![fake.certificate()]), 200),
        (Trust::Only(vec![fake::other_certificate()]), 502),
        (Trust::Anyone, 200),
    ] {
        let mut origin = OriginSettings::new(fake.base().parse().expect("a base"));
        origin.trust = trust.clone();
        let built = Origins::new(&Settings::new(vec![origin], "node-1"));
        let Ok(origins) = built else {
            assert!(matches!(trust, Trust::System), "only a machine without certificates may fail here");
            continue;
        };
        assert_eq!(status(&origins, "/a").await, expected, "{trust:?}");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let fake = Fake::always("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").await;
    let origins = origins(&[&fake.base()]);
    for _ in 0..5 {
        assert_eq!(read(get(&origins, "/a").await.expect("an answer")).await.0, b"good");
    }
    assert_eq!((fake.asked().len(), fake.connections()), (5, 1));
}
