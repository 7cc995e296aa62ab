//! Clients that take their time.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::stream;

use super::*;
use crate::{answer::Body, stream::ByteStream};

const SHORT: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_client_that_reads_nothing_costs_a_bounded_number_of_bytes_and_loses_its_connection() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let (counter, limits) = (Arc::clone(&pulled), Limits { stall: SHORT, ..Limits::default() });
    let (address, _tasks) = serve(limits, move |_request: Request| {
        let counter = Arc::clone(&counter);
        let chunks = stream::repeat_with(move || {
            counter.fetch_add(64 << 10, Relaxed);
            Ok(Bytes::from_static(&[7; 64 << 10]))
        });
        let body = Body::Stream(ByteStream::new(Some(1 << 40), chunks));
        std::future::ready(Answer { body, ..Answer::empty(StatusCode::OK) })
    });
    let mut wire = Wire::connect_narrow(address).await;
    wire.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await;
    wire.head().await;
    let before = pulled.load(Relaxed);
    // Nothing is read from here on. The kernel's own buffers hold a few MiB, ferry a chunk or two.
    let at_rest = async {
        let mut seen = before;
        loop {
            tokio::time::sleep(SHORT * 3).await;
            let now = pulled.load(Relaxed);
            if now == seen {
                return now;
            }
            seen = now;
        }
    };
    let total = tokio::time::timeout(Duration::from_secs(10), at_rest).await.expect("the source comes to rest");
    assert!(total < 16 << 20, "{total} bytes were read for a client that takes none");
    // What is in the kernel still arrives; then the connection is over, far from its announced end.
    assert!(wire.rest().await.len() < 16 << 20);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let site = Site::start_with(Limits { head: SHORT, ..Limits::default() });
    site.file("a", b"x");
    let mut silent = site.connect().await;
    assert_eq!(silent.rest().await, b"");
    let mut slow = site.connect().await;
    slow.send("GET /a HTTP/1.1\r\nHost:").await;
    let told = slow.answer(&Method::GET).await;
    assert_eq!((told.status, told.field("connection")), (408, "close"));
    assert_eq!(slow.rest().await, b"");
    let mut second = site.connect().await;
    assert_eq!(second.get("/a", "").await.status, 200);
    second.send("GET /a HT").await;
    assert_eq!(second.answer(&Method::GET).await.status, 408);
    assert_eq!(second.rest().await, b"");
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_its_time_only() {
    let site = Site::start_with(Limits { keep_alive: SHORT, ..Limits::default() });
    site.file("a", b"x");
    let mut wire = site.connect().await;
    let begin = std::time::Instant::now();
    assert_eq!(wire.get("/a", "").await.status, 200);
    assert_eq!(wire.rest().await, b"");
    assert!(begin.elapsed() >= SHORT, "closed after {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_handler_that_takes_long_does_not_cost_the_client_its_connection() {
    let limits = Limits { head: SHORT, keep_alive: SHORT, stall: SHORT, ..Limits::default() };
    let (address, _tasks) = serve(limits, |_request: Request| async {
        tokio::time::sleep(SHORT * 5).await;
        Answer::text(StatusCode::OK, "late")
    });
    assert_eq!(Wire::connect(address).await.get("/", "").await.body, b"late\n");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let site = Site::start_with(Limits { connections: 1, ..Limits::default() });
    site.file("a", b"x");
    let mut first = site.connect().await;
    assert_eq!(first.get("/a", "").await.status, 200);
    let mut second = site.connect().await;
    second.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let early = tokio::time::timeout(SHORT, second.head()).await;
    assert!(early.is_err(), "it was answered beside the first");
    drop(first);
    assert_eq!(second.head().await.status, 200);
}

#[tokio::test]
async fn a_target_or_a_head_that_is_too_large_is_refused() {
    let site = Site::start();
    let mut wire = site.connect().await;
    assert_eq!(wire.get(&format!("/{}", "x".repeat(9000)), "").await.status, 414);
    let mut wire = site.connect().await;
    let fields = format!("X-Filler: {}\r\n", "x".repeat(7000)).repeat(5);
    assert_eq!(wire.get("/", &fields).await.status, 431);
    let mut wire = site.connect().await;
    let fields = format!("X-Filler: {}\r\n", "x".repeat(7000)).repeat(12);
    assert_eq!(wire.get("/", &fields).await.status, 431);
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_ends_the_connection_short() {
    for announced in [10, 3] {
        let (address, _tasks) = serve(Limits::default(), move |_request: Request| {
            let bytes = stream::iter([Ok(Bytes::from_static(b"four"))]);
            let body = Body::Stream(ByteStream::new(Some(announced), bytes));
            std::future::ready(Answer { body, ..Answer::empty(StatusCode::OK) })
        });
        let mut wire = Wire::connect(address).await;
        wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let all = wire.rest().await;
        let body = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| all.len() - at - 4);
        assert!((body as u64) < announced, "{} of {announced} bytes look like a whole answer", body);
    }
}
