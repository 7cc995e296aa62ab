//! A whole gateway over real sockets, with its coordinator and its nodes played by the test.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use ferry_delivery::{Answer, Request as Asked, Server, server::Limits};
use ferry_gateway::{Gateway, Running, SECTIONS, StartError, TABLES, read};
use ferry_proto::v1::{
    self,
    routing_service_server::{RoutingService, RoutingServiceServer},
    routing_update::Body,
};
use ferry_runtime::{
    Clock, Tasks, Workers,
    admin::AdminServer,
    config::{Environment, Sources, command},
    metrics::Metrics,
    telemetry::Sampler,
};
use http::{HeaderValue, StatusCode};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

/// Longer than anything here takes; a test that waits for it has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// Says once that these nodes are UP, then marks.
#[derive(Debug, Clone)]
struct Coordinator {
    nodes: Vec<SocketAddr>,
}

#[tonic::async_trait]
impl RoutingService for Coordinator {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::RoutingUpdate, Status>> + Send>>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let nodes = self.nodes.iter().enumerate().map(|(number, address)| v1::NodeView {
            facts: Some(v1::NodeFacts {
                node_id: format!("n{number}"),
                region: format!("r{number}"),
                address: address.to_string(),
                weight: 100,
                ..Default::default()
            }),
            state: v1::NodeState::Up.into(),
            incarnation: 1,
            beat: 1,
            ..Default::default()
        });
        let snapshot = v1::Snapshot {
            version: 1,
            nodes: nodes.collect(),
            facts: Some(v1::GatewayFacts::default()),
            ..Default::default()
        };
        let mut sequence = 0;
        let marks = tokio::time::interval(Duration::from_millis(200));
        let updates = tokio_stream::wrappers::IntervalStream::new(marks).map(move |_| {
            sequence += 1;
            let body = if sequence == 1 { Body::Snapshot(snapshot.clone()) } else { Body::Mark(v1::Mark::default()) };
            let epoch = v1::Epoch { coordinator_id: "c".into(), incarnation: 1, sequence };
            Ok(v1::RoutingUpdate { epoch: Some(epoch), body: Some(body) })
        });
        Ok(Response::new(Box::pin(updates)))
    }
}

struct Front {
    address: SocketAddr,
    running: Running,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl Front {
    /// A gateway that knows these nodes, each in a region of its own (`r0`, `r1`, …), with files of its own in `root`.
    async fn start(nodes: Vec<SocketAddr>, root: &std::path::Path, flags: &[&str]) -> Self {
        let tasks = Tasks::new();
        let wanted = nodes.len();
        let admin = AdminServer::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let coordinator = format!("--coordinators=http://{}", admin.local_addr());
        admin.service(RoutingServiceServer::new(Coordinator { nodes })).start(&tasks).expect("it starts");
        let folder = tempfile::tempdir().expect("a folder");
        let storage = format!("--storage-path={}", folder.path().display());
        let root = format!("--root={}", root.display());
        let base = ["gateway", "--admin-listen=127.0.0.1:0", &coordinator, &storage, &root];
        let matches = command("gateway", "", TABLES).get_matches_from(base.iter().chain(flags));
        // What a flag says goes before it.
        let environment = Environment::of([("FERRY_GATEWAY__LISTEN", "127.0.0.1:0")]);
        let sources = Sources::gather("gateway", TABLES, SECTIONS, &matches, &environment);
        let config = read(&sources).expect("a sound configuration");
        let bind = async |config| Gateway::bind(config, Clock::system(), &Metrics::new(), &tasks, Sampler::off()).await;
        let gateway = bind(config.clone()).await.expect("it binds");
        let second = bind(config).await.expect_err("the storage path is taken");
        assert!(matches!(second, StartError::Taken(_)), "{second}");
        let address = gateway.local_addr();
        let running = gateway.start(&Workers::here()).expect("it starts");
        let known = async {
            while running.selectable_nodes() < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, known).await.expect("the nodes are known in time");
        Self { address, running, tasks, _folder: folder }
    }

    async fn get(&self, path: &'static str) -> String {
        self.ask("GET", path, "").await
    }

    async fn ask(&self, method: &'static str, path: &'static str, rest: &'static str) -> String {
        let address = self.address;
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(LIMIT)).expect("a limit");
            let rest = if rest.is_empty() { "\r\n" } else { rest };
            write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{rest}").expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        })
        .await
        .expect("no panic")
    }
}

/// A node that answers every request like this.
fn node(tasks: &Tasks, status: StatusCode, text: &'static str) -> SocketAddr {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).expect("a free port");
    let address = server.local_addr();
    let handler = move |_: Asked| async move {
        Answer::bytes(status, HeaderValue::from_static("application/vnd.apple.mpegurl"), text)
    };
    tasks.spawn("node", server.serve(Workers::here(), Arc::new(handler), tasks.stop_token()));
    address
}

#[tokio::test]
async fn a_playlist_comes_from_a_node_when_the_gateways_own_source_lacks_it() {
    let (tasks, root) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let front = Front::start(vec![node(&tasks, StatusCode::OK, "#EXTM3U from a node")], root.path(), &[]).await;
    let answer = front.get("/live/index.m3u8").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("#EXTM3U from a node"), "{answer}");
    std::fs::create_dir(root.path().join("live")).expect("made");
    std::fs::write(root.path().join("live/index.m3u8"), "#EXTM3U its own").expect("written");
    let answer = front.get("/live/index.m3u8").await;
    assert!(answer.ends_with("#EXTM3U its own"), "{answer}");
}

#[tokio::test]
async fn a_playlist_survives_the_node_that_fails() {
    let (tasks, root) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let sick = node(&tasks, StatusCode::INTERNAL_SERVER_ERROR, "no");
    let sound = node(&tasks, StatusCode::OK, "#EXTM3U");
    let front = Front::start(vec![sick, sound], root.path(), &[]).await;
    // Some of these belong to the sick node.
    for path in ["/a/i.m3u8", "/b/i.m3u8", "/c/i.m3u8", "/d/i.m3u8", "/e/i.m3u8", "/f/i.m3u8", "/g/i.m3u8"] {
        let answer = front.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_redirect_is_for_nobody_else_and_names_a_node() {
    let (tasks, root) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let address = node(&tasks, StatusCode::OK, "");
    let front = Front::start(vec![address], root.path(), &[]).await;
    let answer = front.get("/a%20b/c.iso?x=1").await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 302 "), "{answer}");
    assert!(answer.contains(&format!("location: http://{address}/a%20b/c.iso?x=1\r\n")), "{answer}");
    assert!(answer.contains("cache-control: private, no-store\r\n"), "W3: {answer}");
}

#[tokio::test]
async fn a_directory_is_its_index_file_where_that_is_asked_for() {
    // SEMANTICS.md 1 and 18
    let (tasks, root) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let address = node(&tasks, StatusCode::OK, "");
    let front = Front::start(vec![address], root.path(), &["--index=index.html"]).await;
    for (asked, sent_to) in [("/", "/index.html"), ("/a%20b/?x=1", "/a%20b/index.html?x=1"), ("/a", "/a")] {
        let answer = front.get(asked).await.to_ascii_lowercase();
        assert!(answer.contains(&format!("location: http://{address}{sent_to}\r\n")), "{asked}: {answer}");
    }
    // No path leads to a host of its own.
    for asked in ["//evil.example/", "//evil.example/..", "/\\evil.example/", "///"] {
        let answer = front.get(asked).await.to_ascii_lowercase();
        assert!(!answer.contains("location: //") && !answer.contains("location: /\\"), "{asked}: {answer}");
    }
    let without = Front::start(vec![address], root.path(), &[]).await;
    assert!(without.get("/a/").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn what_a_route_lets_through_is_passed_on_and_not_redirected() {
    let (tasks, root) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let origin = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).expect("a free port");
    let origin_flag = format!("--origin=http://{}", origin.local_addr());
    let handler = |asked: Asked| async move {
        let listed = asked.headers.get("x-listed").map_or("-", |value| value.to_str().unwrap_or("?"));
        let content = match asked.content.take() {
            Some(mut stream) => stream.next().await.expect("a piece").expect("sound").to_vec(),
            None => Vec::new(),
        };
        let seen = format!("{} {} {listed} {}", asked.method, asked.target.as_str(), String::from_utf8_lossy(&content));
        Answer::bytes(StatusCode::OK, HeaderValue::from_static("text/plain"), seen)
    };
    tasks.spawn("origin", origin.serve(Workers::here(), Arc::new(handler), tasks.stop_token()));
    let config = root.path().join("gateway.toml");
    let routes = "[[route]]\nmatch = \"/form\"\nmethods = [\"POST\"]\nrequest-headers = [\"x-listed\"]\n\
                  [[route]]\nmatch = \"/{path*}\"\n";
    std::fs::write(&config, routes).expect("written");
    let config = format!("--config={}", config.display());
    let node = node(&tasks, StatusCode::OK, "");
    let front = Front::start(vec![node], root.path(), &[&origin_flag, &config]).await;
    let posted = front.ask("POST", "/form?x=1", "X-Listed: 1\r\nContent-Length: 7\r\n\r\ncontent").await;
    assert!(posted.starts_with("HTTP/1.1 200 ") && posted.ends_with("POST /form 1 content"), "{posted}");
    let refused = front.ask("PUT", "/form", "").await.to_ascii_lowercase();
    assert!(
        refused.starts_with("http/1.1 405 ") && refused.contains("allow: get, head, options, post\r\n"),
        "{refused}"
    );
    assert!(front.ask("POST", "/elsewhere", "").await.starts_with("HTTP/1.1 405 "));
    assert!(front.get("/form").await.starts_with("HTTP/1.1 302 "), "a download is a node's");
}

// The test's own sockets block their thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_the_gateways_own_transfers_and_takes_no_new_clients() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("big"), vec![7_u8; 32 << 20]).expect("written");
    let front = Front::start(Vec::new(), root.path(), &["--drain-grace=500ms"]).await;
    let mut slow = TcpStream::connect(front.address).expect("it listens");
    slow.set_read_timeout(Some(LIMIT)).expect("a limit");
    slow.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut head = [0_u8; 1024];
    let begun = slow.read(&mut head).expect("it begins");
    let running = front.running.clone();
    let (done, drained) = tokio::sync::oneshot::channel();
    front.tasks.spawn("drain", async move {
        running.drain().await;
        // The test may have failed meanwhile.
        let _ = done.send(());
    });
    // Whoever sends clients here is told before.
    let health = || {
        let mut page = TcpStream::connect(front.address).ok()?;
        page.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        page.read_to_string(&mut text).ok().map(|_| text)
    };
    let told = async {
        while !health().expect("it listens on").contains("\"draining\"") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, told).await.expect("it says that it stops");
    let refused = async {
        while TcpStream::connect(front.address).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, refused).await.expect("the listener closes");
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = Vec::new();
        slow.read_to_end(&mut rest).expect("it goes on").checked_add(begun)
    });
    let received = rest.await.expect("no panic").expect("a length");
    assert!(received > 32 << 20, "P6: {received} bytes with the head");
    tokio::time::timeout(LIMIT, drained).await.expect("the drain ends").expect("told");
}

// The test's own sockets block their thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_of_a_gateway_has_a_limit() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("big"), vec![7_u8; 32 << 20]).expect("written");
    let front = Front::start(Vec::new(), root.path(), &["--drain-limit=1s"]).await;
    let mut stuck = TcpStream::connect(front.address).expect("it listens");
    stuck.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut first = [0_u8; 1];
    stuck.set_read_timeout(Some(LIMIT)).expect("a limit");
    stuck.read_exact(&mut first).expect("it begins");
    let began = Instant::now();
    tokio::time::timeout(LIMIT, front.running.drain()).await.expect("it ends though the client reads nothing");
    assert!(began.elapsed() >= Duration::from_millis(900), "it waited for the limit");
    drop(stuck);
}

/// The nodes to which that many clients behind a trusted proxy are sent, each of them asking once.
async fn sent_to(front: &Front, path: &'static str, clients: u32) -> std::collections::BTreeSet<String> {
    let mut nodes = std::collections::BTreeSet::new();
    for client in 0..clients {
        let address = std::net::Ipv4Addr::from_bits(0xc633_6400 | client);
        let rest = format!("X-Forwarded-For: {address}\r\n\r\n").leak();
        let answer = front.ask("GET", path, rest).await;
        let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).expect("a redirect");
        nodes.insert(location.trim_end_matches(path).to_owned());
    }
    nodes
}

#[tokio::test]
async fn an_object_that_one_node_is_not_enough_for_is_spread_and_others_are_not() {
    let (tasks, root) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let nodes = (0..4).map(|_| node(&tasks, StatusCode::OK, "")).collect();
    let front = Front::start(nodes, root.path(), &["--trusted-proxies=127.0.0.1"]).await;
    assert_eq!(sent_to(&front, "/quiet.iso", 3).await.len(), 1);
    // Too few to make a node busy, but as many a second would be.
    assert!(sent_to(&front, "/crowd.iso", 30).await.len() > 1);
    assert_eq!(sent_to(&front, "/quiet.iso", 1).await.len(), 1);
}

#[tokio::test]
async fn a_client_is_where_its_network_is_over_ipv6_and_over_ipv4() {
    let (tasks, root) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let nodes: Vec<_> = (0..3).map(|_| node(&tasks, StatusCode::OK, "")).collect();
    let file = root.path().join("gateway.toml");
    let table =
        |region: &str, network: &str| format!("[[client-region]]\nregion = {region:?}\nnetworks = [{network:?}]\n");
    std::fs::write(&file, table("r1", "::1") + &table("r2", "127.0.0.0/8")).expect("a file");
    let config = format!("--config={}", file.display());
    for (listen, reached, region) in [
        ("[::1]:0", "::1", 1),
        ("127.0.0.1:0", "127.0.0.1", 2),
        // On a socket for both, IPv4 clients have IPv4-mapped addresses.
        ("[::]:0", "127.0.0.1", 2),
    ] {
        let mut front = Front::start(nodes.clone(), root.path(), &[&format!("--listen={listen}"), &config]).await;
        front.address.set_ip(reached.parse().expect("an address"));
        for path in ["/a", "/b", "/c", "/d", "/e", "/f"] {
            let answer = front.get(path).await;
            assert!(answer.contains(&format!("location: http://{}{path}\r\n", nodes[region])), "{listen}: {answer}");
        }
    }
}
