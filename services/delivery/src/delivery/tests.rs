use std::{fs, path::Path};

use ferry_core::object::ObjectPath;
use http::header;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    disk::{self, faulty::Fault},
    origin::{OriginSettings, Settings},
    semantics::Coding,
};
use ferry_runtime::tasks::Tasks;

fn object(path: &str) -> Object {
    Object::new(ObjectKey::plain(ObjectPath::from_decoded(path).expect("a good path")), format!("/{path}"))
}

fn request(method: &str) -> Request {
    Request::internal(method.parse().expect("a method"), "/whatever").expect("a request")
}

fn root(folder: &Path) -> Disk {
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
    let delivery = delivery(Backend::Filesystem(root(folder.path())));
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

/// A delivery of files that may lie there in coded forms, and the folder.
fn coded() -> (TempDir, Delivery) {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, content) in [
        ("page.html", "plain"),
        ("page.html.br", "br"),
        ("page.html.gz", "gzip!"),
        ("stale.css", "new"),
        ("stale.css.br", "old"),
        ("lost.js.br", "nothing has this form"),
        ("single.txt", "plain"),
    ] {
        fs::write(folder.path().join(name), content).expect("a file");
        let file = fs::File::options().write(true).open(folder.path().join(name)).expect("our own file");
        // Older than anything that settles; and the outdated form is older than its file.
        let seconds = if name == "stale.css.br" { 999 } else { 1000 };
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).expect("our own file");
    }
    let settings = disk::Settings { precompressed: vec![Coding::Brotli, Coding::Gzip], ..disk::Settings::default() };
    let disk = Disk::open_root_with(folder.path(), settings).expect("a good root");
    (folder, delivery(Backend::Filesystem(disk)))
}

fn asking(fields: &[(&'static str, &'static str)]) -> Request {
    let mut request = request("GET");
    for (name, value) in fields {
        request.headers.append(*name, HeaderValue::from_static(value));
    }
    request
}

/// What of an answer depends on its form.
fn told(answer: &Answer) -> (u16, Option<&str>, Option<&str>, Option<u64>) {
    let field = |name: header::HeaderName| answer.headers.get(name).map(|value| value.to_str().expect("ASCII"));
    (answer.status.as_u16(), field(header::CONTENT_ENCODING), field(header::ETAG), answer.body.length())
}

#[tokio::test]
async fn a_client_gets_the_form_that_it_takes() {
    // SEMANTICS.md 19
    let (_folder, delivery) = coded();
    let plain = |length| (200, None, Some(if length == 5 { "\"3e8-5\"" } else { "\"3e8-3\"" }), Some(length));
    for (path, accept, expected) in [
        ("page.html", "br, gzip", (200, Some("br"), Some("\"3e8-2-br\""), Some(2))),
        ("page.html", "gzip", (200, Some("gzip"), Some("\"3e8-5-gzip\""), Some(5))),
        ("page.html", "gzip, br;q=0.1", (200, Some("gzip"), Some("\"3e8-5-gzip\""), Some(5))),
        ("page.html", "zstd", plain(5)),
        ("page.html", "identity, br;q=0.5", plain(5)),
        ("single.txt", "br, gzip", plain(5)),
        ("stale.css", "br", plain(3)),
    ] {
        let answer = delivery.deliver(&asking(&[("accept-encoding", accept)]), &object(path)).await;
        assert_eq!(told(&answer), expected, "{path}, {accept}");
        assert_eq!(answer.headers[header::VARY], "accept-encoding");
        let kind = if path == "page.html" { "text/html; charset=utf-8" } else { "text/" };
        assert!(answer.headers[header::CONTENT_TYPE].to_str().expect("ASCII").starts_with(kind), "{path}");
    }
    let answer = delivery.deliver(&asking(&[]), &object("page.html")).await;
    assert_eq!(told(&answer), plain(5), "who says nothing may decode nothing");
}

#[tokio::test]
async fn a_form_that_is_refused_is_not_sent() {
    let (_folder, delivery) = coded();
    for (path, accept, status) in [
        ("single.txt", "br, identity;q=0", 406),
        ("stale.css", "br, *;q=0", 406),
        ("page.html", "gzip, *;q=0", 200),
        ("lost.js", "br", 404),
    ] {
        let answer = delivery.deliver(&asking(&[("accept-encoding", accept)]), &object(path)).await;
        assert_eq!(answer.status.as_u16(), status, "{path}, {accept}");
        assert_eq!(answer.headers.contains_key(header::VARY), status != 404, "{path}, {accept}");
    }
}

#[tokio::test]
async fn ranges_and_conditions_are_those_of_the_form() {
    let (_folder, delivery) = coded();
    let br = ("accept-encoding", "br");
    for (fields, expected) in [
        (&[br, ("range", "bytes=1-")][..], (206, Some("br"), Some("\"3e8-2-br\""), Some(1))),
        (&[br, ("range", "bytes=1-"), ("if-range", "\"3e8-5\"")], (200, Some("br"), Some("\"3e8-2-br\""), Some(2))),
        (&[br, ("if-none-match", "\"3e8-2-br\"")], (304, None, Some("\"3e8-2-br\""), Some(0))),
        (&[br, ("if-none-match", "\"3e8-5\"")], (200, Some("br"), Some("\"3e8-2-br\""), Some(2))),
        (&[("if-none-match", "\"3e8-2-br\"")], (200, None, Some("\"3e8-5\""), Some(5))),
    ] {
        let answer = delivery.deliver(&asking(fields), &object("page.html")).await;
        assert_eq!(told(&answer), expected, "{fields:?}");
        assert_eq!(answer.headers[header::VARY], "accept-encoding", "{fields:?}");
    }
}

#[tokio::test]
async fn without_the_option_no_sibling_is_looked_at() {
    let (folder, _) = coded();
    let delivery = delivery(Backend::Filesystem(root(folder.path())));
    let answer = delivery.deliver(&asking(&[("accept-encoding", "br")]), &object("page.html")).await;
    assert_eq!(told(&answer), (200, None, Some("\"3e8-5\""), Some(5)));
    assert!(!answer.headers.contains_key(header::VARY));
}

#[tokio::test]
async fn with_as_many_transfers_as_there_may_be_bytes_are_refused_and_nothing_else() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("f"), "bytes").expect("a file");
    let backend = Backend::Filesystem(root(folder.path()));
    let delivery = Delivery::new(backend, Transfers::at_most(std::num::NonZeroU32::new(1)), Metrics::default());
    let first = delivery.deliver(&request("GET"), &object("f")).await;
    for (method, path, status) in [("GET", "f", 503), ("HEAD", "f", 200), ("GET", "none", 404)] {
        let answer = delivery.deliver(&request(method), &object(path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.headers.contains_key(header::RETRY_AFTER), status == 503);
    }
    drop(first);
    assert_eq!(delivery.deliver(&request("GET"), &object("f")).await.status, 200);
}

#[tokio::test]
async fn only_answers_with_bytes_are_transfers() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("f"), "bytes").expect("a file");
    let delivery = delivery(Backend::Filesystem(root(folder.path())));
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
    let delivery = delivery(Backend::Hybrid { disk: root(folder.path()), origins, cache: None });
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

#[tokio::test]
async fn a_file_that_opens_and_cannot_be_read_is_refused_or_had_from_the_origin() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("here.txt"), "disk").expect("a file");
    let faulty = || {
        let (disk, faults) = Disk::open_faulty_root(folder.path(), disk::Settings::default()).expect("a good root");
        // The call that opens it goes well.
        faults.fail_after(1, Fault::Io);
        (disk, faults)
    };
    let (disk, _faults) = faulty();
    let refused = delivery(Backend::Filesystem(disk)).deliver(&request("GET"), &object("here.txt")).await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
    let (disk, _faults) = faulty();
    let (origins, _tasks) = origin().await;
    let had =
        delivery(Backend::Hybrid { disk, origins, cache: None }).deliver(&request("GET"), &object("here.txt")).await;
    assert_eq!((had.status, matches!(had.body, Body::Stream(_))), (StatusCode::OK, true));
}
