//! What clients see.

use std::{sync::Arc, time::Duration};

use ferry_core::{
    object::{ObjectKey, ObjectPath},
    tokens::{NodeGrant, seal},
    trace::TraceContext,
};
use ferry_delivery::{Answer, Request, Server, server::Limits};
use ferry_proto::v1;
use ferry_runtime::{Tasks, Workers};
use http::StatusCode;

use super::site::{self, LIMIT, Site, WALL, ask};
use crate::{
    IdentityError, StartError,
    agent::twin::{CLUSTER_TIME, Twin, facts, ring, welcome},
};

/// Of a guarded route, and for a user whose own token is good no longer.
fn grant(path: &str) -> NodeGrant {
    let plain = site::grant(path);
    NodeGrant { renewable_until: plain.expires, guarded: true, ..plain }
}

fn token(grant: &NodeGrant) -> String {
    format!("ferry={}", seal(&ring().current, grant).expect("it fits"))
}

/// A coordinator of a cluster that stands guard.
async fn guarding() -> Twin {
    let twin = Twin::start("c1").await;
    twin.reply(Ok(v1::Welcome { cluster: Some(facts(v1::Access::Guarded)), ..welcome("c1") }));
    twin
}

#[tokio::test]
async fn a_node_that_stands_alone_is_a_file_server() {
    let site = Site::new();
    site.file("a b.txt", b"some text");
    let node = site.start(&[]).await;
    let whole = node.get("/a%20b.txt?utm=1").await;
    assert_eq!((whole.status, &*whole.body), (200, &b"some text"[..]));
    assert_eq!(whole.field("content-type"), "text/plain; charset=utf-8");
    let part =
        ask(node.address, "GET /a%20b.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=5-\r\nConnection: close\r\n\r\n").await;
    assert_eq!((part.status, &*part.body), (206, &b"text"[..]));
    let head = ask(node.address, "HEAD /a%20b.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, "9", 0));
    assert_eq!(node.get("/nothing").await.status, 404);
    assert_eq!(node.get("/%").await.status, 400);
    node.stop().await;
}

#[tokio::test]
async fn a_root_is_served_as_it_is_configured() {
    // SEMANTICS.md 13, 17, 18, 19
    let site = Site::new();
    site.file("index.html", b"<top>");
    site.file("notes.xyz", b"plain");
    site.file("notes.xyz.gz", b"packed");
    site.file(".hidden", b"h");
    std::os::unix::fs::symlink("notes.xyz", site.folder.path().join("root/link")).expect("a link");
    let config = site.toml("precompressed = [\"gzip\"]\n[content-types]\nxyz = \"model/x\"\n");
    let flags = ["--index=index.html", "--symlinks=beneath-root", "--dotfiles=served", "--config", &config];
    let node = site.start(&flags).await;
    let index = node.get("/").await;
    assert_eq!((index.status, &*index.body), (200, &b"<top>"[..]));
    assert_eq!(index.field("content-type"), "text/html; charset=utf-8", "the type of the index file");
    assert_eq!((node.get("/link").await.status, node.get("/.hidden").await.status), (200, 200));
    let packed =
        ask(node.address, "GET /notes.xyz HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
            .await;
    assert_eq!((&*packed.body, packed.field("content-encoding")), (&b"packed"[..], "gzip"));
    assert_eq!((packed.field("content-type"), packed.field("vary")), ("model/x", "accept-encoding"));
    assert_eq!(&*node.get("/notes.xyz").await.body, b"plain", "who cannot decode gets what he can read");
    node.stop().await;
    let strict = site.start(&[]).await;
    for path in ["/", "/link", "/.hidden"] {
        assert_eq!(strict.get(path).await.status, 404, "{path}");
    }
    strict.stop().await;
}

#[tokio::test]
async fn health_is_the_seeds_json() {
    let site = Site::new();
    let node = site.start(&["--main-server", "http://main:8000", "--sync-interval", "60"]).await;
    let health = node.get("/health").await;
    assert_eq!((health.status, health.field("content-type")), (200, "application/json"));
    let storage = site.folder.path().join("storage");
    let expected = serde_json::json!({
        "status": "healthy",
        "node_id": "n1",
        "timestamp": WALL.0 as f64 / 1000.0,
        "main_server": "http://main:8000",
        "storage_path": storage.to_str().expect("a plain path"),
        "sync_interval": 60,
    });
    assert_eq!(health.json(), expected);
    let posted = "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(node.address, posted).await.status, 405);
    node.stop().await;
}

#[tokio::test]
async fn a_guarded_cluster_wants_its_gateways_token() {
    let (site, twin) = (Site::new(), guarding().await);
    site.file("a", b"guarded");
    let node = site.start_with(&twin, &[]).await;
    let refused = node.get("/a").await;
    assert_eq!((refused.status, refused.field("cache-control")), (403, "no-store"));
    assert_eq!(&*refused.body, b"forbidden\n", "no detail");
    let good = token(&grant("a"));
    assert_eq!(&*node.get(&format!("/a?{good}")).await.body, b"guarded");
    assert_eq!(node.get(&format!("/a?{good}x")).await.status, 403);
    node.stop().await;
}

#[tokio::test]
async fn an_expired_token_is_sent_home_by_the_clusters_clock() {
    let (site, twin) = (Site::new(), guarding().await);
    site.file("a", b"guarded");
    let node = site.start_with(&twin, &[]).await;
    // By the node's own clock, this token has decades to go.
    let expired = token(&NodeGrant { expires: CLUSTER_TIME.seconds(), ..grant("a") });
    let home = node.get(&format!("/a?{expired}")).await;
    assert_eq!((home.status, home.field("cache-control")), (302, "no-store"));
    assert_eq!(home.field("location"), format!("https://files.example/a?{expired}"));
    node.stop().await;
}

/// P2: what was learnt is known in the next life.
#[tokio::test]
async fn a_node_started_with_no_coordinator_in_sight_verifies_tokens() {
    let (site, twin) = (Site::new(), guarding().await);
    site.file("a", b"guarded");
    site.start_with(&twin, &[]).await.stop().await;
    let node = site.start(&["--coordinators", "http://127.0.0.1:1"]).await;
    assert_eq!(node.get("/a").await.status, 403);
    assert_eq!(node.get(&format!("/a?{}", token(&grant("a")))).await.status, 200);
    let expired = token(&NodeGrant { expires: CLUSTER_TIME.seconds(), ..grant("a") });
    assert_eq!(node.get(&format!("/a?{expired}")).await.status, 302, "the cluster's time was forgotten");
    node.stop().await;
}

#[tokio::test]
async fn before_the_first_welcome_a_token_is_worth_a_second_try() {
    let site = Site::new();
    let node = site.start(&["--coordinators", "http://127.0.0.1:1"]).await;
    let early = node.get(&format!("/a?{}", token(&grant("a")))).await;
    assert_eq!((early.status, early.field("retry-after")), (503, "1"));
    node.stop().await;
}

#[tokio::test]
async fn a_token_says_what_the_answer_looks_like() {
    let (site, twin) = (Site::new(), guarding().await);
    site.file("package.zip", b"zip");
    let node = site.start_with(&twin, &[]).await;
    let dressed = NodeGrant {
        path: Some(ObjectPath::from_decoded("meetings/7/package").expect("a path")),
        filename: Some("meeting_7.zip".to_owned()),
        content_type: Some("application/zip".to_owned()),
        cache_control: Some("private, max-age=60".to_owned()),
        ..grant("package.zip")
    };
    let answer = node.get(&format!("/meetings/7/package?{}", token(&dressed))).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"zip"[..]));
    assert_eq!(answer.field("content-type"), "application/zip");
    assert_eq!(answer.field("cache-control"), "private, max-age=60");
    assert!(answer.field("content-disposition").contains("meeting_7.zip"), "{}", answer.field("content-disposition"));
    node.stop().await;
}

/// An origin that tells what `look` sees of each request, and where it is.
fn telling_origin<T: Send + 'static>(
    tasks: &Tasks,
    look: impl Fn(&Request) -> T + Send + Sync + 'static,
) -> (String, tokio::sync::mpsc::Receiver<T>) {
    let (told, heard) = tokio::sync::mpsc::channel(4);
    let origin = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).expect("a free port");
    let url = format!("http://{}", origin.local_addr());
    let handler = move |request: Request| {
        let (told, seen) = (told.clone(), look(&request));
        async move {
            assert!(told.send(seen).await.is_ok(), "the test listens");
            Answer::text(StatusCode::OK, "from the origin")
        }
    };
    tasks.spawn("origin", origin.serve(Workers::here(), Arc::new(handler), tasks.stop_token()));
    (url, heard)
}

/// P11: the origin hears of the trace that the gateway began, and of nothing that is ferry's.
#[tokio::test]
async fn an_origin_gets_the_trace_and_a_clean_target() {
    let tasks = Tasks::new();
    let (url, mut heard) = telling_origin(&tasks, |request| {
        let trace = request.headers.get("traceparent").map(|value| value.to_str().unwrap_or_default().to_owned());
        (request.target.as_str().to_owned(), trace)
    });
    let (site, twin) = (Site::new(), guarding().await);
    let node = site.start_with(&twin, &["--origin", &url]).await;
    let trace = TraceContext::new([7; 16], [8; 8], true).expect("not zero");
    let asked =
        NodeGrant { key: ObjectKey { query: Some("x=1".into()), ..grant("a").key }, trace: Some(trace), ..grant("a") };
    let answer = node.get(&format!("/a?x=1&{}", token(&asked))).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"from the origin\n"[..]));
    assert_eq!(heard.recv().await, Some(("/a?x=1".to_owned(), Some(trace.to_string()))));
    node.stop().await;
    tasks.finish(LIMIT).await.expect("the origin ends");
}

/// SEMANTICS.md 24: no field of a client goes further than its route lets it, whatever the client writes.
#[tokio::test]
async fn an_origin_gets_the_fields_that_the_route_lists_and_no_others() {
    let tasks = Tasks::new();
    let (url, mut heard) = telling_origin(&tasks, |request| {
        let mut names: Vec<_> = request.headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    });
    let site = Site::new();
    let toml = site.toml(
        "[[route]]\nmatch = \"/some/{path*}\"\nrequest-headers = [\"Accept-Language\"]\n\
         [[route]]\nmatch = \"/all/{path*}\"\nrequest-headers = \"all\"\n\
         [[route]]\nmatch = \"/{path*}\"\n",
    );
    let node = site.start(&["--config", &toml, "--origin", &url]).await;
    let own = ["accept", "accept-encoding", "cdn-loop", "host", "via"];
    for (target, passed) in [
        ("/a", &[][..]),
        ("/some/a", &["accept-language"]),
        ("/all/a", &["accept-language", "user-agent", "x-api-version"]),
    ] {
        let fields = "Accept-Language: zh\r\nUser-Agent: curl\r\nX-Api-Version: 2\r\nCookie: session=1\r\nX-Forwarded-Host: evil\r\n\
                      X-Original-URL: /admin\r\nX-HTTP-Method-Override: DELETE\r\nForwarded: host=evil\r\nX_Forwarded_Host: evil\r\n\
                      X-Hop: 1\r\nConnection: close, X-Hop\r\n";
        let answer = ask(node.address, &format!("GET {target} HTTP/1.1\r\nHost: evil.example\r\n{fields}\r\n")).await;
        assert_eq!(answer.status, 200, "{target}");
        let mut expected = [&own[..], passed].concat();
        expected.sort_unstable();
        assert_eq!(heard.recv().await.expect("the origin was asked"), expected, "{target}");
    }
    node.stop().await;
    tasks.finish(LIMIT).await.expect("the origin ends");
}

#[tokio::test]
async fn a_signed_route_of_a_lone_node_answers_as_a_gateway_would() {
    let site = Site::new();
    site.file("a", b"signed");
    let key = site.folder.path().join("key");
    std::fs::write(&key, "000102030405060708090a0b0c0d0e0f").expect("writable");
    let toml = site.toml("[[route]]\nmatch = \"/{path*}\"\naccess = \"signed\"\ncache-control = \"private\"\n");
    let node = site.start(&["--config", &toml, "--user-key-file", key.to_str().expect("a plain path")]).await;
    let ring = crate::user_key::load(&key).expect("a key");
    let object = ObjectPath::from_decoded("a").expect("a path");
    let claim = ferry_core::tokens::UserClaim::Path { path: &object, query: None };
    let signed = |expires| ferry_core::tokens::sign_user(&ring.current, claim, "alice", expires).expect("signable");
    assert_eq!(node.get("/a").await.status, 403);
    let good = node.get(&format!("/a?{}", signed(WALL.seconds() + 9))).await;
    assert_eq!((good.status, good.field("cache-control")), (200, "private"));
    let gone = node.get(&format!("/a?{}", signed(WALL.seconds()))).await;
    assert_eq!((gone.status, gone.field("cache-control")), (410, "no-store"));
    node.stop().await;
}

#[tokio::test]
async fn a_second_node_on_the_same_storage_path_does_not_start() {
    let site = Site::new();
    let node = site.start(&[]).await;
    let refused = site.try_start(&[]).await.err().expect("the path is taken");
    assert!(matches!(refused, StartError::Identity(IdentityError::Taken(_))), "{refused}");
    assert_eq!(node.get("/health").await.status, 200, "the first goes on");
    node.stop().await;
    tokio::time::timeout(Duration::from_secs(5), site.start(&[])).await.expect("it is free again").stop().await;
}

#[tokio::test]
async fn the_built_in_object_says_who_serves_and_whether_its_root_can_be_read() {
    let site = Site::new();
    let node = site.start(&[]).await;
    let probe = async || node.get(ferry_runtime::probe::PATH).await;
    let well = probe().await;
    assert_eq!((well.status, well.field("ferry-node")), (200, "n1"));
    assert_eq!(well.field("cache-control"), "no-store");
    std::fs::remove_dir_all(site.folder.path().join("root")).expect("our own folder");
    assert_eq!(probe().await.status, 503, "a root that was deleted is open, and empty");
    node.stop().await;
}
