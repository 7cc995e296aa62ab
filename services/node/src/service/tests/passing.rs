//! Requests that a route lets through to an origin, whatever their method.

use std::sync::Arc;

use ferry_delivery::{Answer, Request, Server, server::Limits};
use ferry_runtime::{Tasks, Workers};
use http::StatusCode;
use tokio_stream::StreamExt as _;

use super::site::{LIMIT, Live, Reply, Site, ask};

const ROUTES: &str = "[[route]]\nmatch = \"/app/{path*}\"\nmethods = \"all\"\nrequest-headers = [\"x-listed\"]\n\
                      [[route]]\nmatch = \"/form\"\nmethods = [\"POST\"]\n\
                      [[route]]\nmatch = \"/{path*}\"\n";

/// An origin that says what it was asked: method, target, the fields `x-listed` and `x-other`, and the content.
fn echo(tasks: &Tasks) -> String {
    let origin = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).expect("a free port");
    let url = format!("http://{}", origin.local_addr());
    let handler = |request: Request| async move {
        let mut content = Vec::new();
        if let Some(mut stream) = request.content.take() {
            while let Some(piece) = stream.next().await {
                content.extend_from_slice(&piece.expect("content without a fault"));
            }
        }
        let field = |name: &str| request.headers.get(name).map_or("-", |value| value.to_str().unwrap_or("?"));
        let seen = [
            request.method.as_str(),
            request.target.as_str(),
            field("x-listed"),
            field("x-other"),
            &String::from_utf8_lossy(&content),
        ];
        let answer = Answer::bytes(StatusCode::ACCEPTED, "text/x-seen".parse().expect("a value"), seen.join(" "));
        answer.with(http::header::SERVER, "an application".parse().expect("a value"))
    };
    tasks.spawn("origin", origin.serve(Workers::here(), Arc::new(handler), tasks.stop_token()));
    url
}

async fn sent(node: &Live, method: &str, target: &str, content: &str) -> Reply {
    let length = content.len();
    let fields = format!("Host: x\r\nX-Listed: 1\r\nX-Other: 2\r\nConnection: close\r\nContent-Length: {length}\r\n");
    ask(node.address, &format!("{method} {target} HTTP/1.1\r\n{fields}\r\n{content}")).await
}

#[tokio::test]
async fn what_a_route_lets_through_reaches_the_origin_with_its_content() {
    let (tasks, site) = (Tasks::new(), Site::new());
    let toml = site.toml(ROUTES);
    let node = site.start(&["--config", &toml, "--origin", &echo(&tasks)]).await;
    for (method, target, seen) in [
        ("POST", "/app/a?x=1&ferry=2", "POST /app/a?x=1 1 - some content"),
        ("PUT", "/app/b", "PUT /app/b 1 - some content"),
        ("BREW", "/app/c", "BREW /app/c 1 - some content"),
        ("POST", "/form", "POST /form - - some content"),
    ] {
        let reply = sent(&node, method, target, "some content").await;
        assert_eq!((reply.status, String::from_utf8_lossy(&reply.body)), (202, seen.into()), "{method} {target}");
        assert_eq!((reply.field("content-type"), reply.field("server")), ("text/x-seen", "an application"));
    }
    let bare = ask(node.address, "DELETE /app/d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(String::from_utf8_lossy(&bare.body), "DELETE /app/d - - ");
    node.stop().await;
    tasks.finish(LIMIT).await.expect("the origin ends");
}

#[tokio::test]
async fn what_a_route_does_not_let_through_is_refused_with_what_it_does() {
    let site = Site::new();
    let toml = site.toml(ROUTES);
    // Nobody is there: whatever got so far would be 502.
    let node = site.start(&["--config", &toml, "--origin", "http://127.0.0.1:1"]).await;
    for (method, target, status, allow) in [
        ("PUT", "/form", 405, "GET, HEAD, OPTIONS, POST"),
        ("OPTIONS", "/form", 204, "GET, HEAD, OPTIONS, POST"),
        ("POST", "/elsewhere", 405, "GET, HEAD, OPTIONS"),
        ("BREW", "/elsewhere", 501, "GET, HEAD, OPTIONS"),
        ("GET", "/elsewhere", 413, ""),
        ("TRACE", "/app/a", 405, "GET, HEAD, OPTIONS"),
        ("POST", "/health", 405, "GET, HEAD, OPTIONS"),
    ] {
        let reply = sent(&node, method, target, "x").await;
        assert_eq!((reply.status, reply.field("allow")), (status, allow), "{method} {target}");
        assert_eq!(reply.field("connection"), "close", "{method} {target}: its content was not read");
    }
    assert_eq!(sent(&node, "POST", "/%", "x").await.status, 400);
    node.stop().await;
}
