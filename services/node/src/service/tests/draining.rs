//! P6: a node that is asked to stop finishes what it began.

use std::time::Duration;

use ferry_proto::v1::{self, attend_request::Body};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

use super::site::{LIMIT, Live, Site};
use crate::agent::twin::{Twin, beats, welcome};

/// More than all buffers between a node and a client that does not read.
const BIG: usize = 24 << 20;

/// A transfer that waits for its client.
async fn begin(node: &Live) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let mut client = socket.connect(node.address).await.expect("it listens");
    client.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    client.read_exact(&mut [0; 15]).await.expect("the answer begins");
    client
}

async fn listens(node: &Live) -> bool {
    TcpStream::connect(node.address).await.is_ok()
}

#[tokio::test]
async fn a_node_that_an_operator_drains_is_well_and_says_that_it_wants_nobody() {
    let (site, twin) = (Site::new(), Twin::start("c1").await);
    let intent = v1::Intent { drain: true, maintenance: true, revision: 7, ..v1::Intent::default() };
    twin.reply(Ok(v1::Welcome { intent: Some(intent), ..welcome("c1") }));
    let node = site.start_with(&twin, &[]).await;
    let said = async {
        loop {
            let answer = node.get(ferry_runtime::probe::PATH).await;
            assert_eq!(answer.status, 200, "nobody is to take it for dead");
            if answer.field("ferry-draining") == "1" {
                return;
            }
        }
    };
    timeout(LIMIT, said).await.expect("the operator's word arrives");
    node.stop().await;
}

#[tokio::test]
async fn a_drain_waits_for_what_was_begun_and_takes_nothing_new_after_its_grace() {
    let (site, twin) = (Site::new(), Twin::start("c1").await);
    site.file("big", &vec![7; BIG]);
    let node = site.start_with(&twin, &["--drain-grace", "200ms"]).await;
    let mut slow = begin(&node).await;
    let running = node.running.clone();
    let began = Instant::now();
    let drain = async { running.drain().await };
    tokio::pin!(drain);
    let announced = twin.until("the drain", |heard| beats(heard).last().is_some_and(|beat| beat.draining));
    tokio::select! {
        () = &mut drain => panic!("a transfer is under way"),
        () = announced => {}
    }
    assert_eq!(node.get("/health").await.json()["status"], "draining", "it still listens, and says so");
    let refused = async {
        while node.get("/big").await.status != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = &mut drain => panic!("a transfer is under way"),
        () = refused => {}
    }
    assert!(began.elapsed() >= Duration::from_millis(200), "it served within its grace");
    assert!(listens(&node).await, "whoever comes late is told, and sent on where a token names somebody");
    let rest = async {
        let mut octets = Vec::new();
        slow.read_to_end(&mut octets).await.expect("readable");
        octets.len()
    };
    let (drained, received) = tokio::join!(timeout(LIMIT, &mut drain), rest);
    drained.expect("it ends with its transfer");
    assert!(!listens(&node).await, "nobody is there to be told any more");
    assert!(received > BIG, "the head's rest and every byte, not {received}");
    node.stop().await;
    twin.until("a goodbye", |heard| matches!(heard.last(), Some(Body::Goodbye(_)))).await;
}

#[tokio::test]
async fn an_idle_node_drains_in_its_grace() {
    let site = Site::new();
    let node = site.start(&["--drain-grace", "100ms"]).await;
    // A connection that is kept alive, and one that never said anything. What becomes of requests on them: see `kept_alive`.
    let mut kept = TcpStream::connect(node.address).await.expect("it listens");
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    kept.read_exact(&mut [0; 15]).await.expect("an answer");
    let silent = TcpStream::connect(node.address).await.expect("it listens");
    let began = Instant::now();
    timeout(Duration::from_secs(5), node.running.drain()).await.expect("idle connections hold nothing up");
    assert!(began.elapsed() >= Duration::from_millis(100));
    drop(silent);
    node.stop().await;
}

#[tokio::test]
async fn a_drain_ends_at_its_limit_and_what_is_left_is_cut_short_visibly() {
    let site = Site::new();
    site.file("big", &vec![7; BIG]);
    let node = site.start(&["--drain-grace", "10s", "--drain-limit", "300ms"]).await;
    let mut slow = begin(&node).await;
    let began = Instant::now();
    timeout(LIMIT, node.running.drain()).await.expect("it ends");
    let took = began.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{took:?}");
    node.stop().await;
    let mut octets = Vec::new();
    // Reset or ended: either way it is short of what was announced.
    let _end = timeout(LIMIT, slow.read_to_end(&mut octets)).await.expect("it ends");
    assert!(octets.len() < BIG, "the client must see that it is not whole");
}
