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
