//! A server over real sockets, spoken to octet by octet.

mod alike;
mod brief;
mod cached;
mod changing;
mod cold;
mod files;
mod filling;
mod hostile;
mod limits;
mod multiplexed;
mod neighbours;
mod parting;
mod reactor;
pub(super) mod site;
mod slow;
mod stop;
mod tls;
mod wire;

use std::{sync::Arc, time::Duration};

use ferry_runtime::tasks::Tasks;
use http::{Method, StatusCode};

use super::*;
use site::{Setup, Site, pattern, serve};
use wire::Wire;

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let site = Site::start();
    site.file("a", b"first");
    site.file("b", b"second");
    let mut wire = site.connect().await;
    wire.send(
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nHEAD /b HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .await;
    assert_eq!(wire.answer(&Method::GET).await.body, b"first");
    let head = wire.answer(&Method::HEAD).await;
    assert_eq!((head.status, head.field("content-length")), (200, "6"));
    assert_eq!(wire.answer(&Method::GET).await.body, b"second");
}

#[tokio::test]
async fn an_answer_has_its_date_and_keeps_the_connection() {
    let site = Site::start();
    site.file("a.txt", b"text");
    let mut wire = site.connect().await;
    for _ in 0..3 {
        let answer = wire.get("/a.txt", "").await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"text".as_slice()));
        assert_eq!(answer.field("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.field("etag"), "\"2ebc98a1-4\"");
        assert_eq!(answer.field("last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(answer.field("date").ends_with(" GMT"));
    }
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let site = Site::start();
    site.file("a", b"x");
    for (request, status) in [
        ("GET /a HTTP/1.1\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 413),
        ("GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        ("TRACE /a HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ] {
        let mut wire = site.connect().await;
        wire.send(request).await;
        let answer = wire.answer(&Method::GET).await;
        assert_eq!((answer.status, answer.field("connection")), (status, "close"), "{request:?}");
        assert_eq!(wire.rest().await, b"", "{request:?}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_served_is_told_which_are() {
    let site = Site::start();
    site.file("a", b"x");
    let mut wire = site.connect().await;
    for (method, status) in [("POST", 405), ("DELETE", 405), ("OPTIONS", 204), ("BREW", 501)] {
        wire.send(&format!("{method} /a HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let answer = wire.answer(&Method::GET).await;
        assert_eq!((answer.status, answer.field("allow")), (status, "GET, HEAD, OPTIONS"), "{method}");
    }
    wire.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.answer(&Method::GET).await.status, 204);
}

#[tokio::test]
async fn a_panic_is_a_500_and_nothing_else() {
    let (address, _tasks) = serve(Limits::default(), |request: Request| async move {
        assert!(request.target.path() != "/panic", "on purpose");
        Answer::text(StatusCode::OK, "fine")
    });
    let mut wire = Wire::connect(address).await;
    assert_eq!(wire.get("/panic", "").await.status, 500);
    assert_eq!(wire.get("/", "").await.body, b"fine\n", "on the same connection");
}
