//! A server over real sockets, spoken to octet by octet.

mod files;
mod limits;
mod multiplexed;
mod wire;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use ferry_core::object::{ObjectKey, ObjectPath};
use ferry_runtime::tasks::Tasks;
use http::{Method, StatusCode};
use tempfile::TempDir;

use super::*;
use crate::{
    delivery::{Backend, Delivery, Object},
    disk::Disk,
    metrics::Metrics,
    transfers::Transfers,
};
use wire::Wire;

/// A server of a folder, and what there is to look at.
struct Site {
    folder: TempDir,
    transfers: Transfers,
    address: SocketAddr,
    tasks: Tasks,
}

impl Site {
    fn start() -> Self {
        Self::start_with(Limits::default())
    }

    fn start_with(limits: Limits) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let transfers = Transfers::new();
        let disk = Disk::open_root(folder.path()).expect("a good root");
        let delivery = Delivery::new(Backend::Filesystem(disk), transfers.clone(), Metrics::default());
        let (address, tasks) = serve(limits, move |request: Request| {
            let delivery = delivery.clone();
            async move {
                let Ok(path) = ObjectPath::from_target(request.target.path()) else {
                    return Answer::text(StatusCode::NOT_FOUND, "not found");
                };
                let object = Object::new(ObjectKey::plain(path), request.target.as_str());
                delivery.deliver(&request, &object).await
            }
        });
        Self { folder, transfers, address, tasks }
    }

    /// Writes a file that was last changed long ago, so that its validators are strong.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("a file");
        let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let file = fs::File::options().append(true).open(&path).expect("our own file");
        file.set_modified(long_ago).expect("our own file");
        path
    }

    async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }
}

/// Serves `handler` on a free port until the test ends.
fn serve(limits: Limits, handler: impl Handler) -> (SocketAddr, Tasks) {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).expect("a free port");
    let (address, tasks) = (server.local_addr(), Tasks::new());
    tasks.spawn("server", server.serve(Workers::here(), Arc::new(handler), tasks.stop_token()));
    (address, tasks)
}

/// Bytes of which no two stretches are alike, so that a misplaced one shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0]).collect()
}

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
