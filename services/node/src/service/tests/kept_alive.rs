//! P6: a request on a connection that was kept open goes on to an alternate that is there, is served in the grace, or goes home; the connection ends.

use std::{net::SocketAddr, time::Duration};

use ferry_core::{
    target::{NodeTokens, node_tokens},
    tokens::{self, Endpoint, NodeGrant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::site::{LIMIT, Live, Site, grant};
use crate::agent::twin::{self, CLUSTER_TIME, Twin};

/// A client that keeps its connection open.
struct Kept(BufReader<TcpStream>);

impl Kept {
    async fn open(node: &Live) -> Self {
        Self(BufReader::new(TcpStream::connect(node.address).await.expect("it listens")))
    }

    /// The head of the answer, in lower case; its content is read and dropped.
    async fn get(&mut self, target: &str) -> String {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.expect("sent");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = timeout(LIMIT, self.0.read_line(&mut head)).await.expect("in time").expect("readable");
            assert!(read > 0, "it hung up after {head:?}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut content = vec![0; length.parse().expect("a length")];
        self.0.read_exact(&mut content).await.expect("whole");
        head
    }

    async fn hung_up(mut self) -> bool {
        timeout(LIMIT, self.0.read(&mut [0])).await.expect("in time").is_ok_and(|read| read == 0)
    }
}

/// A path below `/`, with a token that names this node and, if there is one, another.
fn with_token(node: &Live, other: Option<SocketAddr>) -> String {
    let endpoint = |name: &str, at: SocketAddr| Endpoint {
        node: name.parse().expect("a name"),
        authority: at.to_string().parse().expect("an address"),
        secure: false,
    };
    let candidates = [Some(endpoint("n1", node.address)), other.map(|at| endpoint("n2", at))];
    let grant = NodeGrant {
        candidates: candidates.into_iter().flatten().collect(),
        home: Some("http://gateway.example".to_owned()),
        ..grant("file")
    };
    format!("/file?ferry={}", tokens::seal(&twin::ring().current, &grant).expect("it fits"))
}

/// Somewhere that nobody listens any more.
async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}

#[tokio::test]
async fn without_a_token_it_is_served_in_the_grace_and_the_connection_ends() {
    let site = Site::new();
    site.file("file", b"content");
    let node = site.start(&["--drain-grace", "60s"]).await;
    let mut kept = Kept::open(&node).await;
    // Often enough for the answer to be one that is kept ready.
    for _ in 0..3 {
        let head = kept.get("/file").await;
        assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
    }
    let running = node.running.clone();
    let drain = async { running.drain().await };
    tokio::pin!(drain);
    tokio::select! {
        biased; // it is asked to stop when it is first polled
        () = &mut drain => panic!("it has its grace"),
        () = std::future::ready(()) => {}
    }
    let head = kept.get("/file").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    assert!(kept.hung_up().await);
    node.stop().await;
}

#[tokio::test]
async fn with_a_token_it_goes_to_an_alternate_that_is_there_and_to_no_other() {
    let (site, twin) = (Site::new(), Twin::start("c1").await);
    site.file("file", b"content");
    let node = site.start_with(&twin, &["--drain-grace", "5s"]).await;
    let other = Site::new();
    let other = other.start(&["--node-id", "n2"]).await;
    let (alive, dead) = (with_token(&node, Some(other.address)), with_token(&node, Some(nobody().await)));
    let (mut first, mut second) = (Kept::open(&node).await, Kept::open(&node).await);
    for kept in [&mut first, &mut second] {
        let head = kept.get(&alive).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
    }
    let running = node.running.clone();
    let asked = async {
        let head = first.get(&alive).await;
        assert!(head.starts_with("http/1.1 302") && head.contains("connection: close"), "{head}");
        assert!(head.contains(&format!("location: http://{}/file?ferry=", other.address)), "{head}");
        assert!(first.hung_up().await);
        let head = second.get(&dead).await;
        assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
        assert!(second.hung_up().await);
        // After the grace the gateway is asked, which knows more nodes than the token does.
        loop {
            let answer = node.get(&dead).await;
            match answer.status {
                200 => tokio::time::sleep(Duration::from_millis(20)).await,
                302 => break answer.field("location").to_owned(),
                status => panic!("{status}: {}", String::from_utf8_lossy(&answer.body)),
            }
        }
    };
    // A transfer that waits for its client keeps the node there beyond its grace.
    site.file("big", &vec![7; 24 << 20]);
    let mut slow = TcpStream::connect(node.address).await.expect("it listens");
    slow.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    slow.read_exact(&mut [0; 15]).await.expect("the answer begins");
    let home = tokio::select! {
        biased; // it is asked to stop when it is first polled
        () = running.drain() => panic!("a transfer is under way"),
        home = asked => home,
    };
    let query = home.strip_prefix("http://gateway.example/file?").expect("the gateway that made the token");
    let NodeTokens::One(token) = node_tokens(query) else { panic!("{query}") };
    let opened = tokens::open(&twin::ring(), CLUSTER_TIME, token).expect("a good token");
    assert_eq!(opened.tried, ["n1".parse().expect("a name")], "the gateway is not to send it here again");
    drop(slow);
    node.stop().await;
    other.stop().await;
}
