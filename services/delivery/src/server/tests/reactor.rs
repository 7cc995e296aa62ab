//! Connections without a task of their own: what is ready is given, and everything else finds its task.

use std::{
    fs::File,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{
    super::http1::EASY,
    site::{Files, age},
    *,
};
use crate::{disk::Settings, ready::Prompt, transfers::Transfers};

const SHORT: Duration = Duration::from_millis(200);

/// A site with a file whose answer is ready, and how many answers were made for that.
async fn with_ready_file(limits: Limits, content: &[u8]) -> (Site, usize) {
    let site = Site::start_with(limits);
    site.ready_file("f", content).await;
    let handled = site.handled.load(Relaxed);
    (site, handled)
}

const ASK: &str = "GET /f HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn what_is_ready_is_given_whatever_its_size_and_however_slow_its_reader() {
    for length in [0, 1, 4096, 4097, 300_000, 3 << 20] {
        let content = pattern(length);
        let (site, handled) = with_ready_file(Limits::default(), &content).await;
        let mut wire = site.connect_narrow().await;
        for _ in 0..3 {
            wire.send(ASK).await;
            assert!(wire.answer(&Method::GET).await.body == content, "{length} bytes");
        }
        assert_eq!(site.handled.load(Relaxed), handled, "no other answer was made of {length} bytes");
        let completed = site.ended().await;
        assert_eq!(completed.1, 0, "and none broke");
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_order_though_the_first_takes_its_time() {
    let content = pattern(2 << 20);
    let (site, _) = with_ready_file(Limits::default(), &content).await;
    site.ready_file("g", b"second").await;
    let mut wire = site.connect_narrow().await;
    wire.send(format!("{ASK}GET /g HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n{ASK}")).await;
    assert!(wire.answer(&Method::GET).await.body == content);
    assert_eq!(wire.answer(&Method::GET).await.body, b"second");
    assert_eq!(wire.answer(&Method::GET).await.status, 404);
    assert!(wire.answer(&Method::GET).await.body == content);
}

#[tokio::test]
async fn a_request_that_comes_while_an_answer_is_on_its_way_is_heard_afterwards() {
    let content = pattern(2 << 20);
    let (site, _) = with_ready_file(Limits::default(), &content).await;
    let mut wire = site.connect_narrow().await;
    wire.send(ASK).await;
    let head = wire.head().await;
    let begin = wire.exactly(1000).await;
    wire.send(ASK).await;
    assert_eq!(head.field("content-length"), content.len().to_string());
    let rest = wire.exactly(content.len() - 1000).await;
    assert!([begin, rest].concat() == content);
    assert!(wire.answer(&Method::GET).await.body == content);
}

#[tokio::test]
async fn a_client_that_ends_its_side_gets_what_it_asked_for() {
    for length in [10, 2 << 20] {
        let content = pattern(length);
        let (site, _) = with_ready_file(Limits::default(), &content).await;
        let mut wire = site.connect_narrow().await;
        wire.send(ASK).await;
        wire.finish().await;
        assert!(wire.answer(&Method::GET).await.body == content);
        assert_eq!(wire.rest().await, b"", "and then the connection ends");
        assert!(wire.ended_well());
    }
}

#[tokio::test]
async fn a_client_that_takes_no_more_loses_its_connection() {
    let limits = Limits { stall: SHORT, ..Limits::default() };
    let (site, handled) = with_ready_file(limits, &pattern(8 << 20)).await;
    let before = site.transfers.totals();
    let mut wire = site.connect_narrow().await;
    wire.send(ASK).await;
    wire.head().await;
    site.ended().await;
    assert!(wire.rest().await.len() < 8 << 20);
    let after = site.transfers.totals();
    assert_eq!((after.broken - before.broken, after.completed), (1, before.completed));
    assert_eq!(site.handled.load(Relaxed), handled);
}

#[tokio::test]
async fn a_quiet_connection_is_kept_for_its_time_only() {
    let limits = Limits { keep_alive: SHORT, head: SHORT, ..Limits::default() };
    let (site, _) = with_ready_file(limits, b"x").await;
    let mut silent = site.connect().await;
    let mut wire = site.connect().await;
    let begin = std::time::Instant::now();
    wire.send(ASK).await;
    wire.answer(&Method::GET).await;
    assert_eq!((wire.rest().await, silent.rest().await), (Vec::new(), Vec::new()));
    assert!(begin.elapsed() >= SHORT && wire.ended_well() && silent.ended_well());
}

#[tokio::test]
async fn a_connection_comes_and_goes_between_its_task_and_the_reactor() {
    let content = pattern(100_000);
    let (site, handled) = with_ready_file(Limits::default(), &content).await;
    let mut wire = site.connect().await;
    for round in 1..=3 {
        // This needs a task, which is left once so many answers were ready.
        assert_eq!(wire.get("/f", "Range: bytes=7-7\r\n").await.body, [7]);
        for _ in 0..2 * EASY {
            wire.send(ASK).await;
            assert!(wire.answer(&Method::GET).await.body == content);
        }
        assert_eq!(site.handled.load(Relaxed), handled + round);
    }
}

#[tokio::test]
async fn a_quiet_task_goes_home_and_its_connection_goes_on() {
    let (site, _) = with_ready_file(Limits::default(), b"x").await;
    let mut wire = site.connect().await;
    assert_eq!(wire.get("/none", "").await.status, 404);
    tokio::time::sleep(super::super::http1::QUIET * 3 / 2).await;
    assert_eq!(wire.get("/f", "").await.body, b"x");
    assert_eq!(wire.get("/none", "").await.status, 404);
    site.tasks.stop();
    assert_eq!(wire.rest().await, b"");
    site.tasks.finish(Duration::from_secs(5)).await.expect("nothing is left running");
}

#[tokio::test]
async fn a_file_that_is_truncated_on_its_way_ends_short() {
    let content = pattern(4 << 20);
    let (site, _) = with_ready_file(Limits::default(), &content).await;
    let before = site.transfers.totals();
    let mut wire = site.connect_narrow().await;
    wire.send(ASK).await;
    wire.head().await;
    let file = File::options().write(true).open(site.folder().join("f")).expect("our own file");
    file.set_len(3 << 20).expect("room on the disk");
    let got = wire.rest().await;
    assert!(got.len() <= 3 << 20 && got == content[..got.len()]);
    site.ended().await;
    let after = site.transfers.totals();
    assert_eq!((after.broken - before.broken, after.completed), (1, before.completed));
}

#[tokio::test]
async fn a_file_that_is_replaced_is_seen_by_the_next_request_of_anybody() {
    let (site, _) = with_ready_file(Limits::default(), b"old one").await;
    let (mut one, mut other) = (site.connect().await, site.connect().await);
    for round in 0..50 {
        let content = format!("content number {round}");
        let made = site.file("made", content.as_bytes());
        std::fs::rename(made, site.folder().join("f")).expect("one folder");
        for wire in [&mut one, &mut other] {
            wire.send(ASK).await;
            assert_eq!(wire.answer(&Method::GET).await.body, content.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_stop_ends_what_is_quiet_and_lets_finish_what_is_on_its_way() {
    let content = pattern(2 << 20);
    let (site, _) = with_ready_file(Limits::default(), &content).await;
    let before = site.transfers.totals();
    let (mut quiet, mut busy) = (site.connect().await, site.connect_narrow().await);
    assert!(quiet.get("/f", "").await.body == content);
    busy.send(ASK).await;
    let head = busy.head().await;
    site.tasks.stop();
    assert_eq!(quiet.rest().await, b"");
    assert!(busy.body(&Method::GET, &head).await == content);
    let rest = tokio::time::timeout(Limits::default().grace / 2, busy.rest()).await.expect("sooner than by force");
    assert_eq!(rest, b"", "and then the connection ends");
    site.tasks.finish(Duration::from_secs(5)).await.expect("nothing is left running");
    let after = site.transfers.totals();
    assert_eq!((after.broken, after.completed - before.completed), (before.broken, 2));
}

#[tokio::test]
async fn a_large_transfer_gives_way_to_the_others() {
    let (site, _) = with_ready_file(Limits::default(), b"small").await;
    let large = pattern(64 << 20);
    site.ready_file("large", &large).await;
    let mut greedy = site.connect().await;
    greedy.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = greedy.head().await;
    let mut wire = site.connect().await;
    let small = async {
        for _ in 0..20 {
            wire.send(ASK).await;
            assert_eq!(wire.answer(&Method::GET).await.body, b"small");
        }
        assert_eq!(site.transfers.under_way(), 1, "the large one is still on its way");
    };
    // Nothing of the large one is read before: its socket is full at times, and it has its turn at others.
    small.await;
    assert!(greedy.body(&Method::GET, &head).await == large);
}

/// Downloads over and over until it is told to stop; returns how often.
fn hammer(address: SocketAddr, length: usize, over: &AtomicBool) -> usize {
    use std::io::{Read as _, Write as _};
    let mut socket = std::net::TcpStream::connect(address).expect("the server listens");
    let (mut got, mut rounds) = (vec![0; 1 << 20], 0);
    while !over.load(Relaxed) {
        socket.write_all(ASK.as_bytes()).expect("the server reads");
        let mut left = None;
        while left != Some(0) {
            let count = socket.read(&mut got).expect("the server writes");
            let head = || got.windows(4).position(|four| four == b"\r\n\r\n").expect("a head comes at once") + 4;
            left = Some(left.unwrap_or_else(|| length + head()) - count);
        }
        rounds += 1;
    }
    rounds
}

#[test]
fn a_worker_that_is_never_idle_keeps_its_limits_and_serves_everybody() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("f"), pattern(1 << 20)).expect("a file");
    age(&folder.path().join("f"));
    let limits = Limits { head: SHORT, ..Limits::default() };
    let workers = Workers::start(std::num::NonZeroUsize::new(1)).expect("a thread");
    let (address, _tasks) = runtime.block_on(async {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).expect("a free port");
        let files = Files::below(folder.path(), Settings::default(), Transfers::new());
        let (address, tasks) = (server.local_addr(), Tasks::new());
        tasks.spawn("server", server.serve(workers, Arc::new(files), tasks.stop_token()));
        (address, tasks)
    });
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let hammers: Vec<_> = (0..6).map(|_| scope.spawn(|| hammer(address, 1 << 20, &over))).collect();
        let ended = runtime.block_on(async {
            let mut silent = Wire::connect(address).await;
            let mut other = Wire::connect(address).await;
            let part = other.get("/f", "Range: bytes=7-7\r\n").await.body;
            (part, tokio::time::timeout(SHORT * 25, silent.rest()).await)
        });
        over.store(true, Relaxed);
        let rounds: usize = hammers.into_iter().map(|hammer| hammer.join().expect("all is well")).sum();
        assert!(rounds > 100, "the worker was not busy");
        assert_eq!(ended, (vec![7], Ok(Vec::new())));
    });
}

/// Says that everything is ready, and panics when it is asked for.
struct Panicking {
    files: Files,
    panics: Arc<AtomicBool>,
}

impl Handler for Panicking {
    async fn handle(&self, request: Request) -> Answer {
        self.files.handle(request).await
    }

    fn ready(&self, plain: Plain<'_>) -> Option<Prompt> {
        assert!(!self.panics.load(Relaxed), "on purpose");
        self.files.ready(plain)
    }
}

#[tokio::test]
async fn a_panic_in_what_says_what_is_ready_harms_nobody() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("f"), b"x").expect("a file");
    age(&folder.path().join("f"));
    let files = Files::below(folder.path(), Settings::default(), Transfers::new());
    let panics = Arc::new(AtomicBool::new(false));
    let (address, _tasks) = serve(Limits::default(), Panicking { files, panics: Arc::clone(&panics) });
    let (mut one, mut other) = (Wire::connect(address).await, Wire::connect(address).await);
    assert_eq!(one.get("/f", "").await.body, b"x");
    panics.store(true, Relaxed);
    assert_eq!(one.get("/f", "").await.body, b"x", "answered in the ordinary way");
    panics.store(false, Relaxed);
    assert_eq!(other.get("/f", "").await.body, b"x");
}
