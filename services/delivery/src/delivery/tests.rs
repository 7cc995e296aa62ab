use std::{fs, path::Path};

use ferry_core::object::ObjectPath;
use http::header;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::origin::{OriginSettings, Settings};
use ferry_runtime::tasks::Tasks;

fn object(path: &str) -> Object {
    Object::new(ObjectKey::plain(ObjectPath::from_decoded(path).expect("a good path")), format!("/{path}"))
}

fn request(method: &str) -> Request {
    Request::internal(method.parse().expect("a method"), "/whatever").expect("a request")
}

fn disk(folder: &Path) -> Disk {
    Disk::open_root(folder).expect("a good root")
}

fn delivery(backend: Backend) -> Delivery {
    Delivery::new(backend, Transfers::new(), Metrics::default())
}

/// An origin that answers every request with the same object.
async fn origin() -> (Origins, Tasks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    let tasks = Tasks::new();
    tasks.spawn("origin", async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Type: text/x-origin\r\n\r\norigin";
            let _ = socket.write_all(reply).await;
        }
    });
    let settings = Settings::new(vec![OriginSettings::new(base.parse().expect("a base"))], "test");
    (Origins::new(&settings).expect("good settings"), tasks)
}

#[tokio::test]
async fn a_route_s_words_go_before_the_file_s_name() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("package.bin"), "zip").expect("a file");
    let delivery = delivery(Backend::Filesystem(disk(folder.path())));
    let plain = delivery.deliver(&request("GET"), &object("package.bin")).await;
    assert_eq!(plain.headers[header::CONTENT_TYPE], "application/octet-stream");
    assert!(!plain.headers.contains_key(header::CONTENT_DISPOSITION));
    let mut named = object("package.bin");
    named.filename = Some("meeting_7.zip".to_owned());
    named.cache_control = Some(HeaderValue::from_static("private"));
    let answer = delivery.deliver(&request("GET"), &named).await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/zip");
    assert_eq!(answer.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"meeting_7.zip\"");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "private");
    named.content_type = Some(HeaderValue::from_static("application/x-package"));
    let answer = delivery.deliver(&request("GET"), &named).await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-package");
}

#[tokio::test]
async fn only_answers_with_bytes_are_transfers() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("f"), "bytes").expect("a file");
    let delivery = delivery(Backend::Filesystem(disk(folder.path())));
    for (method, path, status, under_way) in [
        ("GET", "f", 200, 1),
        ("HEAD", "f", 200, 0),
        ("GET", "none", 404, 0),
        ("POST", "f", 405, 0),
        ("OPTIONS", "f", 204, 0),
    ] {
        let answer = delivery.deliver(&request(method), &object(path)).await;
        assert_eq!((answer.status.as_u16(), delivery.transfers().under_way()), (status, under_way), "{method} {path}");
        drop(answer);
        assert_eq!(delivery.transfers().under_way(), 0);
    }
}

#[tokio::test]
async fn a_hybrid_asks_the_origin_for_what_the_disk_has_not() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("here.txt"), "disk").expect("a file");
    let (origins, _tasks) = origin().await;
    let delivery = delivery(Backend::Hybrid(disk(folder.path()), origins));
    let here = delivery.deliver(&request("GET"), &object("here.txt")).await;
    assert!(matches!(here.body, Body::File(_)));
    let mut there = object("there.txt");
    there.filename = Some("other.txt".to_owned());
    let there = delivery.deliver(&request("GET"), &there).await;
    assert!(matches!(there.body, Body::Stream(_)));
    assert_eq!((there.status, there.body.length()), (StatusCode::OK, Some(6)));
    assert_eq!(there.headers[header::CONTENT_TYPE], "text/x-origin");
    assert_eq!(there.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"other.txt\"");
    assert_eq!(delivery.transfers().list()[0].length_bytes, Some(4), "both are under way, the older first");
}
