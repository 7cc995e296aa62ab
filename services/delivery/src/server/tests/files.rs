//! Files over a connection, and parts of them.

use super::*;

#[tokio::test]
async fn ranges_hold_the_bytes_that_they_name() {
    let site = Site::start();
    let content = pattern(1 << 20);
    site.file("f.bin", &content);
    let mut wire = site.connect().await;
    for (range, bytes, place) in [
        ("bytes=0-0", 0..1, "bytes 0-0/1048576"),
        ("bytes=1000-300000", 1000..300_001, "bytes 1000-300000/1048576"),
        ("bytes=-5", (1 << 20) - 5..1 << 20, "bytes 1048571-1048575/1048576"),
        ("bytes=1048575-9999999", (1 << 20) - 1..1 << 20, "bytes 1048575-1048575/1048576"),
    ] {
        let answer = wire.get("/f.bin", &format!("Range: {range}\r\n")).await;
        assert_eq!((answer.status, answer.field("content-range")), (206, place));
        assert!(answer.body == content[bytes], "{range}");
    }
    let answer = wire.get("/f.bin", "Range: bytes=1048576-\r\n").await;
    assert_eq!((answer.status, answer.field("content-range")), (416, "bytes */1048576"));
    let answer = wire.get("/f.bin", "Range: bytes=0-9\r\nIf-Range: \"2ebc98a1-100000\"\r\n").await;
    assert_eq!(answer.status, 206);
    let answer = wire.get("/f.bin", "Range: bytes=0-9\r\nIf-Range: \"other\"\r\n").await;
    assert_eq!((answer.status, answer.body.len()), (200, content.len()));
}

#[tokio::test]
async fn several_ranges_come_as_parts_of_exactly_the_announced_length() {
    let site = Site::start();
    let content = pattern(400_000);
    site.file("f.mp4", &content);
    let mut wire = site.connect().await;
    let answer = wire.get("/f.mp4", "Range: bytes=0-9,200000-399999\r\n").await;
    assert_eq!(answer.status, 206);
    let boundary = answer.field("content-type").split_once("boundary=").expect("a boundary").1.to_owned();
    let mut expected = Vec::new();
    for (place, bytes) in [("0-9", 0..10), ("200000-399999", 200_000..400_000)] {
        let lead = if expected.is_empty() { "" } else { "\r\n" };
        let head =
            format!("{lead}--{boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes {place}/400000\r\n\r\n");
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&content[bytes]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(answer.body == expected);
    assert_eq!(wire.get("/f.mp4", "Range: bytes=0-0\r\n").await.status, 206, "the connection is in step");
}

#[tokio::test]
async fn conditions_are_judged_before_bytes_are_sent() {
    let site = Site::start();
    site.file("f", b"0123");
    let mut wire = site.connect().await;
    for (fields, status) in [
        ("If-None-Match: \"2ebc98a1-4\"\r\n", 304),
        ("If-None-Match: \"x\"\r\n", 200),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304),
        ("If-Match: \"x\"\r\n", 412),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412),
    ] {
        assert_eq!(wire.get("/f", fields).await.status, status, "{fields}");
    }
}

#[tokio::test]
async fn an_empty_file_is_an_answer_like_others() {
    let site = Site::start();
    site.file("empty", b"");
    let mut wire = site.connect().await;
    let answer = wire.get("/empty", "").await;
    assert_eq!((answer.status, answer.field("content-length")), (200, "0"));
    let answer = wire.get("/empty", "Range: bytes=0-\r\n").await;
    assert_eq!((answer.status, answer.field("content-range")), (416, "bytes */0"));
    tokio::time::timeout(Duration::from_secs(5), site.transfers.idle()).await.expect("no transfer is left");
    assert_eq!(site.transfers.totals().broken, 0);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_transfer() {
    let site = Site::start();
    site.file("big", &pattern(32 << 20));
    let mut wire = Wire::connect_narrow(site.address).await;
    wire.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
    wire.head().await;
    assert_eq!(site.transfers.under_way(), 1);
    let seen = site.transfers.list();
    assert_eq!((seen[0].key.to_string().as_str(), seen[0].length_bytes), ("big", Some(32 << 20)));
    drop(wire);
    tokio::time::timeout(Duration::from_secs(10), site.transfers.idle()).await.expect("the transfer ends");
    assert_eq!(site.transfers.totals().broken, 1);
}

#[tokio::test]
async fn files_about_as_large_as_what_is_gathered_arrive_whole() {
    // With its head, one of these fills what is gathered before it is written.
    let sizes = (65_200..=65_537).step_by(7).chain([131_072, 262_144, 262_145]);
    for setup in [Setup::default(), Setup::buffered(4096), Setup::tls()] {
        let site = setup.start();
        let mut wire = site.connect().await;
        for size in sizes.clone() {
            let content = pattern(size);
            site.file("f.bin", &content);
            assert!(wire.get("/f.bin", "").await.body == content, "{size}");
            let part = wire.get("/f.bin", &format!("Range: bytes=0-0,100-{}\r\n", size - 1)).await.body;
            assert!(part.windows(1000).any(|piece| piece == &content[size - 1000..]), "{size}");
        }
    }
}
