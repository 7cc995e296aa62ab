//! Bodies pulled by hand: what the engine would hide, such as what it does with an error, shows here.

use std::{fs, time::Duration};

use ferry_core::object::{ObjectKey, ObjectPath};
use futures_util::stream;
use http_body_util::BodyExt as _;
use tempfile::TempDir;

use http::StatusCode;

use super::*;
use crate::{
    answer::{Body, FileBody, Parts, Slice},
    disk::Disk,
    stream::ByteStream,
    transfers::Transfers,
};

/// All bytes up to the end or to an error.
async fn pulled(mut body: Rendered) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().expect("bodies have data only")),
            Err(error) => return (bytes, Some(error.kind())),
        }
    }
    (bytes, None)
}

fn rendered(answer: Answer) -> Rendered {
    let clock = Arc::new(Clock::start());
    clock.activity.begin(false);
    response(answer, &Method::GET, Version::HTTP_11, clock).into_body()
}

fn streamed(announced: Option<u64>, chunks: &[&'static [u8]]) -> Rendered {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
    let body = Body::Stream(ByteStream::new(announced, stream::iter(chunks)));
    rendered(Answer { body, ..Answer::empty(StatusCode::OK) })
}

#[tokio::test]
async fn a_stream_is_held_to_its_announced_length() {
    // Invariant D1
    for (announced, bytes, error) in [
        (Some(6), &b"onetwo"[..], None),
        (None, b"onetwo", None),
        (Some(7), b"onetwo", Some(io::ErrorKind::UnexpectedEof)),
        (Some(5), b"one", Some(io::ErrorKind::Other)),
    ] {
        assert_eq!(pulled(streamed(announced, &[b"one", b"two"])).await, (bytes.to_vec(), error), "{announced:?}");
    }
}

#[tokio::test]
async fn no_frame_is_empty() {
    let mut body = streamed(None, &[b"", b"one", b"", b"two", b""]);
    for expected in [b"one", b"two"] {
        let frame = body.frame().await.expect("a frame").expect("no failure");
        assert_eq!(frame.into_data().expect("bodies have data only"), expected.as_slice());
    }
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_truncated_file_ends_where_it_was_cut() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("f");
    fs::write(&path, vec![7; 1 << 20]).expect("a file");
    let disk = Disk::open_root(folder.path()).expect("a good root");
    let file = disk.open(&ObjectPath::from_decoded("f").expect("a good path")).await.expect("it is there");
    let parts = Parts::One(Slice { offset: 0, length: file.length() });
    let body = rendered(Answer { body: Body::File(FileBody { file, parts }), ..Answer::empty(StatusCode::OK) });
    fs::File::options().write(true).open(&path).expect("our own file").set_len(300_001).expect("a truncation");
    let (bytes, error) = pulled(body).await;
    assert_eq!((bytes.len(), error), (300_001, Some(io::ErrorKind::UnexpectedEof)));
}

#[tokio::test]
async fn a_transfer_is_complete_with_its_last_byte_and_broken_before() {
    let transfers = Transfers::new();
    for (take, completed, broken) in [(2, 1, 0), (1, 1, 1)] {
        let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a good path"));
        let transfer = Some(transfers.begin(key, ([127, 0, 0, 1], 1).into(), Some(6), std::time::UNIX_EPOCH));
        let chunks =
            ByteStream::new(Some(6), stream::iter([Ok(Bytes::from_static(b"one")), Ok(Bytes::from_static(b"two"))]));
        let mut body = rendered(Answer { body: Body::Stream(chunks), transfer, ..Answer::empty(StatusCode::OK) });
        for _ in 0..take {
            body.frame().await.expect("more").expect("bytes");
        }
        drop(body);
        assert_eq!((transfers.totals().completed, transfers.totals().broken), (completed, broken));
    }
    assert_eq!(transfers.totals().sent_bytes, 9);
}

#[tokio::test]
async fn a_body_that_was_handed_over_and_not_asked_for_more_is_owed() {
    let mut body = streamed(Some(6), &[b"one", b"two"]);
    let (clock, limits) = (Arc::clone(&body.clock), super::super::Limits::default());
    let late = limits.stall + Duration::from_secs(1);
    assert_eq!(clock.activity.overdue(late, &limits), None, "nothing was handed over");
    body.frame().await.expect("more").expect("bytes");
    assert!(clock.activity.overdue(late, &limits).is_some());
    drop(body);
    assert!(clock.activity.is_quiet());
}

#[test]
fn head_and_silent_statuses_have_fields_without_bytes() {
    let clock = || {
        let clock = Arc::new(Clock::start());
        clock.activity.begin(false);
        clock
    };
    let text = |status| Answer::text(status, "five");
    for (method, answer, length) in [
        (Method::GET, text(StatusCode::OK), Some("5")),
        (Method::HEAD, text(StatusCode::OK), Some("5")),
        (Method::GET, text(StatusCode::NOT_MODIFIED), None),
        (Method::HEAD, text(StatusCode::NOT_MODIFIED), None),
        (Method::GET, Answer::empty(StatusCode::NO_CONTENT), None),
        (Method::GET, Answer::empty(StatusCode::OK), Some("0")),
        (
            Method::HEAD,
            Answer::empty(StatusCode::OK).with(header::CONTENT_LENGTH, HeaderValue::from_static("77")),
            Some("77"),
        ),
        (
            Method::GET,
            Answer::text(StatusCode::OK, "five").with(header::CONTENT_LENGTH, HeaderValue::from_static("77")),
            Some("5"),
        ),
    ] {
        let status = answer.status;
        let response = response(answer, &method, Version::HTTP_11, clock());
        let announced = response.headers().get(header::CONTENT_LENGTH).map(|value| value.to_str().expect("digits"));
        assert_eq!(announced, length, "{method} {status}");
        let silent = method == Method::HEAD || length.is_none() || length == Some("0");
        assert_eq!(response.body().is_end_stream(), silent, "{method} {status}");
    }
}

#[test]
fn connection_close_is_said_in_http_1_only() {
    for (version, said) in [(Version::HTTP_10, true), (Version::HTTP_11, true), (Version::HTTP_2, false)] {
        let clock = Arc::new(Clock::start());
        clock.activity.begin(false);
        let response = response(Answer::empty(StatusCode::OK).closing(), &Method::GET, version, clock);
        assert_eq!(response.headers().contains_key(header::CONNECTION), said, "{version:?}");
    }
}
