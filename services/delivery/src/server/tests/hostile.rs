//! Clients that mean no good.

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{site::resident_bytes, *};

const SHORT: Duration = Duration::from_millis(200);

/// What a handler that takes all content saw: targets and contents.
type Seen = Arc<Mutex<Vec<(String, Option<Bytes>)>>>;

/// Reads the content of each request to its end, as one does that passes it on.
fn taking(seen: Seen) -> impl Handler {
    move |request: Request| {
        let seen = Arc::clone(&seen);
        async move {
            let mut content = Vec::new();
            if let Some(mut stream) = request.content.take() {
                while let Some(bytes) = stream.next().await {
                    match bytes {
                        Ok(bytes) => content.extend_from_slice(&bytes),
                        Err(_) => {
                            seen.lock().expect("no panic").push((request.target.as_str().to_owned(), None));
                            return Answer::text(StatusCode::BAD_REQUEST, "the content broke off").closing();
                        }
                    }
                }
            }
            seen.lock().expect("no panic").push((request.target.as_str().to_owned(), Some(content.into())));
            Answer::text(StatusCode::OK, "taken")
        }
    }
}

/// Statuses of the answers, and what the handler saw.
async fn exchange(octets: &str) -> (Vec<u16>, Vec<(String, Option<Bytes>)>) {
    let seen = Seen::default();
    let (address, _tasks) = serve(Limits::default(), taking(Arc::clone(&seen)));
    let mut wire = Wire::connect(address).await;
    let _ = wire.try_send(octets).await;
    let _ = wire.try_send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let mut statuses = Vec::new();
    while let Some(head) = wire.head_or_end().await {
        wire.body(&Method::GET, &head).await;
        statuses.push(head.status);
    }
    assert_eq!(wire.rest().await.escape_ascii().to_string(), "", "{octets:?}");
    let seen = seen.lock().expect("no panic").clone();
    (statuses, seen)
}

fn post(fields: &str, content: &str) -> String {
    format!("POST /first HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{content}")
}

#[tokio::test]
async fn what_follows_content_is_the_next_request_and_never_part_of_it() {
    for (fields, octets, content) in [
        ("Content-Length: 3", "abc", "abc"),
        ("Content-Length: 0", "", ""),
        ("Content-Length: 00", "", ""),
        ("Content-Length: 3\r\nContent-Length: 3", "abc", "abc"),
        ("Content-Length: 5", "GET /", "GET /"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("transfer-encoding:CHUNKED\t", "1\r\na\r\n0002\r\nbc\r\n000\r\n\r\n", "abc"),
        ("Transfer-Encoding: chunked", "3;a=b;c=\"d\"\r\nabc\r\n0;e\r\nContent-Length: 50\r\n\r\n", "abc"),
        ("Content-Length: 3\r\nConnection: content-length", "abc", "abc"),
        ("Content-Length: 3\r\nConnection: upgrade\r\nUpgrade: h2c", "abc", "abc"),
    ] {
        let (statuses, seen) = exchange(&post(fields, octets)).await;
        assert_eq!(statuses, [200, 200], "{fields:?}");
        let first = ("/first".to_owned(), Some(Bytes::from(content)));
        assert_eq!(seen, [first, ("/last".to_owned(), Some(Bytes::new()))], "{fields:?}");
    }
}

#[tokio::test]
async fn content_whose_end_is_in_doubt_is_refused_with_all_that_follows() {
    const CHUNKS: &str = "3\r\nabc\r\n0\r\n\r\n";
    for (fields, octets) in [
        ("Content-Length: +0", ""),
        ("Content-Length: -0", ""),
        ("Content-Length: 0, 0", ""),
        ("Content-Length: 3, 3", "abc"),
        ("Content-Length: 3 3", "abc"),
        ("Content-Length: 0x3", "abc"),
        ("Content-Length:", "abc"),
        ("Content-Length: 3\r\nContent-Length: 4", "abc"),
        ("Content-Length: 0\r\nContent-Length: 3", "abc"),
        ("Content-Length: 18446744073709551615", "abc"),
        ("Content-Length: 18446744073709551616", "abc"),
        ("Transfer-Encoding:", CHUNKS),
        ("Transfer-Encoding: identity", "abc"),
        ("Transfer-Encoding: xchunked", CHUNKS),
        ("Transfer-Encoding: \"chunked\"", CHUNKS),
        ("Transfer-Encoding: chunked;a=b", CHUNKS),
        ("Transfer-Encoding: gzip, chunked", CHUNKS),
        ("Transfer-Encoding: chunked, identity", CHUNKS),
        ("Transfer-Encoding: chunked, chunked", CHUNKS),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKS),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", CHUNKS),
        ("Transfer-Encoding:\x0bchunked", CHUNKS),
        ("Transfer-Encoding : chunked", CHUNKS),
        ("Transfer-Encoding:\r\n chunked", CHUNKS),
        ("X: y\r\n Transfer-Encoding: chunked", CHUNKS),
        ("Transfer-Encoding: chunked", "3\nabc\n0\n\n"),
        ("Transfer-Encoding: chunked", "+3\r\nabc\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "3\r\nabcd\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "3;\n\r\nabc\r\n0\r\n\r\n"),
    ] {
        let (statuses, seen) = exchange(&post(fields, octets)).await;
        assert!(matches!(statuses[..], [400 | 501]), "{statuses:?} for {fields:?}, {octets:?}");
        assert!(seen.iter().all(|(_, content)| content.is_none()), "{seen:?} for {fields:?}, {octets:?}");
    }
    let old = post("Transfer-Encoding: chunked", CHUNKS).replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(exchange(&old).await.0, [400], "HTTP/1.0 has no chunks");
}

#[tokio::test]
async fn behind_two_ways_to_tell_an_end_nothing_is_heard() {
    // RFC 9112 section 6.1: the chunks count, and the connection is closed.
    for fields in ["Transfer-Encoding: chunked\r\nContent-Length: 3", "Content-Length: 3\r\nTransfer-Encoding: chunked"]
    {
        let (statuses, seen) = exchange(&post(fields, "3\r\nabc\r\n0\r\n\r\n")).await;
        assert_eq!(statuses, [200], "{fields:?}");
        assert_eq!(seen, [("/first".to_owned(), Some(Bytes::from("abc")))], "{fields:?}");
    }
}

/// The beginning of HTTP/2, with settings that are the default.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn http_2_begins_a_connection_and_nothing_else() {
    let site = Site::start();
    site.file("f", b"x");
    let mut whole = site.connect().await;
    for octet in PREFACE {
        whole.send([*octet]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(whole.exactly(9).await[3], 4, "settings");
    for before in ["GET /f HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS /f HTTP/1.1\r\nHost: x\r\nContent-Length: 00\r\n\r\n"]
    {
        let mut later = site.connect().await;
        later.send([before.as_bytes(), PREFACE].concat()).await;
        later.answer(&Method::GET).await;
        let refused = later.rest().await;
        assert!(refused.is_empty() || refused.starts_with(b"HTTP/1.1 505 "), "{}", refused.escape_ascii());
    }
}

#[tokio::test]
async fn many_heads_that_never_end_cost_little_and_end_in_time() {
    const CLIENTS: usize = 300;
    let site = Site::start_with(Limits { head: Duration::from_secs(1), ..Limits::default() });
    let (before, mut wires) = (resident_bytes(), Vec::new());
    for _ in 0..CLIENTS {
        let mut wire = site.connect().await;
        wire.send("GET /f HTTP/1.1\r\nHost: x\r\nX-Filler: ").await;
        wires.push(wire);
    }
    // Once a later connection is answered, the server has read what came before.
    assert_eq!(site.connect().await.get("/f", "").await.status, 404);
    let each = resident_bytes().saturating_sub(before) / CLIENTS;
    assert!(each < 32 << 10, "{each} bytes for each client");
    for mut wire in wires {
        assert_eq!(wire.answer(&Method::GET).await.status, 408);
        assert_eq!(wire.rest().await, b"");
    }
}

#[tokio::test]
async fn a_flood_of_fields_is_refused_before_its_end() {
    for setup in [Setup::default(), Setup::hyper()] {
        let site = setup.start();
        for flood in ["X: y\r\n".repeat(200_000), "x".repeat(1 << 20), format!("X: {}", "y".repeat(1 << 20))] {
            let mut wire = site.connect().await;
            wire.send("GET /f HTTP/1.1\r\nHost: x\r\n").await;
            wire.send(&flood).await;
            let refused = wire.answer(&Method::GET).await.status;
            assert!(matches!(refused, 400 | 431), "{refused}");
            assert_eq!(wire.rest().await, b"");
        }
    }
}

#[tokio::test]
async fn content_that_does_not_come_is_not_waited_for() {
    let seen = Seen::default();
    let limits = Limits { content: SHORT, head: SHORT, keep_alive: SHORT, ..Limits::default() };
    let (address, _tasks) = serve(limits, taking(Arc::clone(&seen)));
    let mut wire = Wire::connect(address).await;
    wire.send(post("Content-Length: 10", "abc")).await;
    assert_eq!(wire.answer(&Method::GET).await.status, 400);
    assert_eq!(wire.rest().await, b"");
    assert_eq!(seen.lock().expect("no panic").as_slice(), [("/first".to_owned(), None)]);
    // Nor is a head that came with content, in the hands of the other engine: to it, the client is idle.
    let mut wire = Wire::connect(address).await;
    wire.send(post("Content-Length: 3", "abcGET /second HT")).await;
    assert_eq!(wire.answer(&Method::GET).await.status, 200);
    wire.rest().await;
}
