//! Servers that are asked to stop while clients are at it.

use super::*;

#[tokio::test]
async fn a_stop_closes_idle_connections_and_finishes_running_answers() {
    let site = Site::start();
    let content = pattern(32 << 20);
    site.file("big", &content);
    site.file("small", b"x");
    let (mut idle, mut busy) = (site.connect().await, site.connect().await);
    assert_eq!(idle.get("/small", "").await.status, 200);
    busy.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let begun = busy.head().await;
    site.tasks.stop();
    assert_eq!(idle.rest().await, b"", "closed without a word");
    assert_eq!(begun.field("content-length"), content.len().to_string());
    assert!(busy.rest().await == content, "every byte arrived, and then the end");
    site.tasks.finish(Duration::from_secs(5)).await.expect("nothing is left running");
    assert!(tokio::net::TcpStream::connect(site.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_heads_that_never_end() {
    let site = Site::start();
    site.file("a", b"x");
    let (mut half, mut none) = (site.connect().await, site.connect().await);
    half.send("GET /a HTTP/1.1\r\nHo").await;
    // Once a later connection is answered, the server has read what came before.
    assert_eq!(site.connect().await.get("/a", "").await.status, 200);
    site.tasks.stop();
    let closed = async { (half.rest().await, none.rest().await) };
    let closed = tokio::time::timeout(Duration::from_secs(3), closed).await.expect("sooner than a head may take");
    assert_eq!(closed, (Vec::new(), Vec::new()));
    site.tasks.finish(Duration::from_secs(2)).await.expect("nothing is left running");
}

#[tokio::test]
async fn a_stop_in_the_middle_of_many_requests_breaks_none_that_is_answered() {
    for setup in [Setup::default(), Setup::tls()] {
        let site = setup.start();
        let content = pattern(100_000);
        site.file("f", &content);
        let mut wire = site.connect_narrow().await;
        wire.send("GET /f HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500)).await;
        assert!(wire.answer(&Method::GET).await.body == content);
        site.tasks.stop();
        let mut last = String::new();
        while let Some(head) = wire.head_or_end().await {
            assert_eq!(last, "", "nothing follows the last one");
            assert!(wire.body(&Method::GET, &head).await == content);
            last = head.field("connection").to_owned();
        }
        assert_eq!(last, "close", "the last one says that it is");
        assert!(wire.ended_well());
        drop(wire);
        site.tasks.finish(Duration::from_secs(5)).await.expect("nothing is left running");
        assert_eq!(site.transfers.totals().broken, 0);
    }
}

#[tokio::test]
async fn a_stop_waits_for_handlers_and_for_slow_readers() {
    let content = pattern(1 << 20);
    for setup in [Setup::default(), Setup::buffered(64 << 10), Setup::tls()] {
        let site = setup.start();
        site.file("big", &content);
        let mut wire = site.connect_narrow().await;
        wire.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
        wire.head().await;
        site.tasks.stop();
        let mut got = Vec::new();
        while got.len() < content.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            got.extend(wire.exactly(32 << 10).await);
        }
        assert!(got == content && wire.rest().await.is_empty());
        drop(wire);
        site.tasks.finish(Duration::from_secs(5)).await.expect("nothing is left running");
        assert_eq!((site.transfers.totals().completed, site.transfers.totals().broken), (1, 0));
    }
    let (address, tasks) = serve(Limits::default(), |_request: Request| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Answer::text(StatusCode::OK, "late")
    });
    let mut wire = Wire::connect(address).await;
    wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // It is heard first.
    tokio::time::sleep(Duration::from_millis(50)).await;
    tasks.stop();
    let late = wire.answer(&Method::GET).await;
    assert_eq!((late.body.as_slice(), late.field("connection")), (&b"late\n"[..], "close"));
}

#[tokio::test]
async fn a_head_that_was_begun_may_end_whichever_engine_answers_it() {
    for (rest, status) in [("\r\n", 200), ("Content-Length: 1\r\n\r\nx", 413)] {
        let site = Site::start();
        site.file("f", b"x");
        let mut wire = site.connect().await;
        wire.send("GET /f HTTP/1.1\r\nHost: x\r\n").await;
        // Once a later connection is answered, the server has read what came before.
        assert_eq!(site.connect().await.get("/f", "").await.status, 200);
        site.tasks.stop();
        tokio::time::sleep(Duration::from_millis(20)).await;
        wire.send(rest).await;
        let answer = wire.answer(&Method::GET).await;
        assert_eq!((answer.status, answer.field("connection")), (status, "close"), "{rest:?}");
        assert_eq!(wire.rest().await, b"");
    }
}
