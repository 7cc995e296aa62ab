//! The end of a connection: who may still say something, and who still hears it.

use std::{future, io, pin::Pin};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use socket2::SockRef;
use tokio::sync::oneshot;

use super::*;
use crate::{answer::Body, stream::ByteStream};

/// More than the buffers of a socket take.
const FLOOD: usize = 1 << 20;

#[tokio::test]
async fn a_refusal_reaches_a_client_that_goes_on_sending() {
    for setup in [Setup::default, Setup::hyper, Setup::tls] {
        let site = setup().start();
        site.file("f", b"x");
        for (head, status) in [
            ("POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", 405),
            ("GET /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n", 413),
            ("GET /f HTTP/1.1\r\n\r\n", 400),
            ("GET /f HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ] {
            let mut wire = site.connect().await;
            wire.send(head).await;
            for piece in pattern(FLOOD).chunks(FLOOD / 16) {
                wire.try_send(piece).await.unwrap_or_else(|error| panic!("{error} behind {head:?}"));
                // The server has its turn, and a reset would be here before the next piece.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(wire.head().await.status, status, "{head:?}");
            wire.rest().await;
            assert!(wire.ended_well(), "{head:?}");
        }
    }
}

#[tokio::test]
async fn the_last_answer_is_not_lost_to_what_its_client_sent_too_much() {
    let content = pattern(30_000);
    for setup in [Setup::default, Setup::tls] {
        let site = setup().start();
        site.file("f", &content);
        let mut wire = site.connect_narrow().await;
        wire.send("GET /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        wire.send(ASKED.repeat(100)).await;
        wire.head().await;
        // All of it is in the kernel's hands, and little in the client's.
        assert_eq!(site.ended().await, (1, 0));
        wire.send(ASKED.repeat(100)).await;
        assert!(wire.rest().await == content);
        assert!(wire.ended_well());
    }
}

/// A handler that answers when it is told, and says when it is dropped.
fn waiting(go: oneshot::Receiver<()>) -> (impl Handler, oneshot::Receiver<()>) {
    let (alive, dropped) = oneshot::channel::<()>();
    let held = std::sync::Mutex::new(Some((go, alive)));
    let handler = move |_request: Request| {
        let held = held.lock().expect("no panic").take();
        async move {
            let (go, _alive) = held.expect("one request");
            match go.await {
                Ok(()) => Answer::text(StatusCode::OK, "late"),
                Err(_) => future::pending().await,
            }
        }
    };
    (handler, dropped)
}

/// Closes a connection as a client does that crashes.
async fn reset(address: SocketAddr, octets: &str) {
    use tokio::io::AsyncWriteExt as _;
    let mut socket = wire::dial(address).await;
    socket.write_all(octets.as_bytes()).await.expect("the server reads");
    // The request is heard before the reset.
    tokio::time::sleep(Duration::from_millis(50)).await;
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket");
}

const ASKED: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_client_that_has_sent_its_end_still_gets_its_answer() {
    for setup in [Setup::default, Setup::tls] {
        let (say, go) = oneshot::channel();
        let (handler, _) = waiting(go);
        let identity = setup().tls;
        let (address, _tasks) = Setup { tls: identity.clone(), ..Setup::default() }.serve(handler);
        let socket = wire::dial(address).await;
        let mut wire = match identity {
            Some(identity) => Wire::over(identity.shake(socket).await),
            None => Wire::over(socket),
        };
        wire.send(ASKED).await;
        wire.finish().await;
        // The end arrives while the handler is at work.
        tokio::time::sleep(Duration::from_millis(50)).await;
        say.send(()).expect("the handler waits");
        assert_eq!(wire.answer(&Method::GET).await.body, b"late\n");
        assert_eq!(wire.rest().await, b"");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_dropped_some_time_after_its_client_has_sent_its_end() {
    let (_say, go) = oneshot::channel();
    let (handler, dropped) = waiting(go);
    let (address, _tasks) = serve(Limits::default(), handler);
    let mut wire = Wire::connect(address).await;
    wire.send(ASKED).await;
    drop(wire);
    let begin = tokio::time::Instant::now();
    dropped.await.expect_err("it is dropped");
    assert!(begin.elapsed() < Duration::from_secs(10), "after {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_handler_is_dropped_at_once_when_its_client_breaks_off() {
    let (_say, go) = oneshot::channel();
    let (handler, dropped) = waiting(go);
    let (address, _tasks) = serve(Limits::default(), handler);
    reset(address, ASKED).await;
    tokio::time::timeout(Duration::from_secs(1), dropped).await.expect("at once").expect_err("it is dropped");
}

/// A source of some bytes, a pause that lasts until told otherwise, and more bytes; it says when it is dropped.
fn pausing(length: Option<u64>, go: oneshot::Receiver<()>) -> (impl Handler, oneshot::Receiver<()>) {
    let (alive, dropped) = oneshot::channel::<()>();
    let held = std::sync::Mutex::new(Some((go, alive)));
    let handler = move |_request: Request| {
        let (go, alive) = held.lock().expect("no panic").take().expect("one request");
        let first = stream::iter([Ok(Bytes::from_static(b"one"))]);
        let second: Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>> = Box::pin(async move {
            let _alive = alive;
            match go.await {
                Ok(()) => Ok(Bytes::from_static(b"two")),
                Err(_) => future::pending().await,
            }
        });
        let body = Body::Stream(ByteStream::new(length, first.chain(stream::once(second))));
        future::ready(Answer { body, ..Answer::empty(StatusCode::OK) })
    };
    (handler, dropped)
}

#[tokio::test]
async fn a_client_that_has_sent_its_end_still_gets_the_rest_of_a_stream() {
    for length in [None, Some(6)] {
        let (say, go) = oneshot::channel();
        let (handler, _) = pausing(length, go);
        let (address, _tasks) = serve(Limits::default(), handler);
        let mut wire = Wire::connect(address).await;
        wire.send(ASKED).await;
        wire.finish().await;
        let head = wire.head().await;
        say.send(()).expect("the source waits");
        assert_eq!(wire.body(&Method::GET, &head).await, b"onetwo");
    }
}

#[tokio::test]
async fn a_source_is_dropped_at_once_when_its_client_breaks_off() {
    let (_say, go) = oneshot::channel();
    let (handler, dropped) = pausing(None, go);
    let (address, _tasks) = serve(Limits::default(), handler);
    reset(address, ASKED).await;
    tokio::time::timeout(Duration::from_secs(1), dropped).await.expect("at once").expect_err("it is dropped");
}

#[tokio::test(start_paused = true)]
async fn a_source_is_dropped_some_time_after_its_client_has_sent_its_end() {
    let (_say, go) = oneshot::channel();
    let (handler, dropped) = pausing(None, go);
    let (address, _tasks) = serve(Limits::default(), handler);
    let mut wire = Wire::connect(address).await;
    wire.send(ASKED).await;
    wire.head().await;
    drop(wire);
    dropped.await.expect_err("it is dropped");
}

/// Bytes, and then a failure.
fn failing(length: Option<u64>) -> impl Handler {
    move |_request: Request| {
        let items = [Ok(Bytes::from_static(b"some")), Err(io::Error::other("on purpose"))];
        let body = Body::Stream(ByteStream::new(length, stream::iter(items)));
        future::ready(Answer { body, ..Answer::empty(StatusCode::OK) })
    }
}

#[tokio::test]
async fn a_source_that_fails_midway_never_looks_complete() {
    for (length, version) in [(None, "1.1"), (Some(10), "1.1"), (Some(10), "1.0"), (None, "1.0")] {
        let (address, _tasks) = serve(Limits::default(), failing(length));
        let mut wire = Wire::connect(address).await;
        wire.send(format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n")).await;
        let all = wire.rest().await;
        assert!(!all.ends_with(b"0\r\n\r\n"), "that is the last chunk");
        // Where the end of the connection is the end of the answer, it must be no orderly one.
        assert!(length.is_some() || version == "1.1" || !wire.ended_well(), "{length:?} {version}");
    }
}

#[tokio::test]
async fn tls_says_whether_an_end_is_meant() {
    let site = Setup::tls().start();
    site.file("f", b"x");
    let mut wire = site.connect().await;
    assert_eq!(wire.get("/f", "Connection: close\r\n").await.body, b"x");
    assert_eq!(wire.rest().await, b"");
    assert!(wire.ended_well(), "close_notify");
    let identity = tls::Identity::new("http/1.1");
    let (address, _tasks) = Setup { tls: Some(identity.clone()), ..Setup::default() }.serve(failing(None));
    let mut wire = Wire::over(identity.shake(wire::dial(address).await).await);
    wire.send("GET / HTTP/1.0\r\n\r\n").await;
    wire.rest().await;
    assert!(!wire.ended_well(), "a truncation must show");
}
