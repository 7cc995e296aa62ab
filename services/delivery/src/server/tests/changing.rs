//! Files that change while they are sent, in each way to send them: SEMANTICS.md, 12.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{site::Files, *};
use crate::{disk::Settings, transfers::Transfers};

/// By the kernel, through a buffer, and over TLS.
fn ways() -> [Setup; 3] {
    [Setup::default(), Setup::buffered(10_000), Setup::tls()]
}

/// How a file changes.
#[derive(Debug, Clone, Copy)]
enum Change {
    Truncated(u64),
    Grown(u64),
    Replaced,
}

impl Change {
    fn befall(self, path: &Path) {
        match self {
            Self::Truncated(length) | Self::Grown(length) => {
                let file = File::options().write(true).open(path).expect("our own file");
                file.set_len(length).expect("room on the disk");
            }
            Self::Replaced => {
                fs::write(path.with_extension("new"), b"new").expect("a file");
                fs::rename(path.with_extension("new"), path).expect("a rename");
            }
        }
    }
}

/// Files of a folder, one of which changes each time when its answer is made and no byte of it was read.
struct Changing {
    files: Files,
    file: PathBuf,
    change: Change,
}

impl Handler for Changing {
    async fn handle(&self, request: Request) -> Answer {
        let answer = self.files.handle(request).await;
        self.change.befall(&self.file);
        answer
    }
}

/// What comes, and whether the transfer counts as complete, of a file of so many bytes that changes before its first byte is read.
async fn sent(setup: Setup, length: usize, change: Change, range: &str) -> (wire::Response, Vec<u8>, bool) {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("f");
    fs::write(&file, pattern(length)).expect("a file");
    site::age(&file);
    let (transfers, settings) = (Transfers::new(), setup.settings.clone());
    let tls = setup.tls.clone();
    let files = Files::below(folder.path(), Settings { open_files: 0, ..settings }, transfers.clone());
    let (address, _tasks) = setup.serve(Changing { files, file, change });
    let socket = wire::dial(address).await;
    let mut wire = match tls {
        Some(identity) => Wire::over(identity.shake(socket).await),
        None => Wire::over(socket),
    };
    wire.send(format!("GET /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{range}\r\n")).await;
    let head = wire.head().await;
    let body = wire.rest().await;
    tokio::time::timeout(Duration::from_secs(5), transfers.idle()).await.expect("the transfer ends");
    (head, body, transfers.totals().completed == 1)
}

#[tokio::test]
async fn what_is_sent_is_never_padded_and_never_more_than_was_announced() {
    for length in [1_000, 65_536, 300_000] {
        let cut = length / 2 + 123;
        let whole = pattern(length);
        for (change, expected) in [
            (Change::Truncated(0), 0),
            (Change::Truncated(cut as u64), cut),
            (Change::Grown(length as u64 * 2), length),
            (Change::Replaced, length),
        ] {
            for setup in ways() {
                let (head, body, complete) = sent(setup, length, change, "").await;
                assert_eq!(head.field("content-length"), length.to_string(), "{length} {change:?}");
                assert!(body == whole[..expected], "{} of {length} bytes, {change:?}", body.len());
                assert_eq!(complete, expected == length, "{length} {change:?}");
            }
        }
    }
}

#[tokio::test]
async fn parts_of_a_truncated_file_end_where_it_was_cut() {
    // The first part is small, the second large. Where all is gone, the part's head may say so still.
    for (cut, held) in [(250_000, 50_000), (200_001, 1), (100, 0)] {
        for setup in ways() {
            let change = Change::Truncated(cut);
            let (head, body, complete) = sent(setup, 400_000, change, "Range: bytes=0-9,200000-399999\r\n").await;
            let announced: usize = head.field("content-length").parse().expect("a length");
            assert!(!complete && body.len() < announced, "cut at {cut}");
            let second = body.windows(4).rposition(|four| four == b"\r\n\r\n").expect("a part's head") + 4;
            assert!(body[second..] == pattern(400_000)[200_000..200_000 + held], "cut at {cut}: {} bytes", body.len());
        }
    }
}

/// Begins to fetch a large file over a narrow connection, lets it change, and reads on.
async fn overtaken(setup: Setup, content: &[u8], change: Change) -> (Vec<u8>, (u64, u64)) {
    let site = setup.start();
    let path = site.file("big", content);
    let mut wire = site.connect_narrow().await;
    wire.send("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(wire.head().await.field("content-length"), content.len().to_string());
    change.befall(&path);
    (wire.rest().await, site.ended().await)
}

#[tokio::test]
async fn a_file_truncated_in_mid_transfer_ends_the_connection_short() {
    let content = pattern(8 << 20);
    // Where a piece ends that is sent at once, and where none does.
    for cut in [5 << 20, (5 << 20) + 12_345] {
        for setup in ways() {
            let (got, ended) = overtaken(setup, &content, Change::Truncated(cut as u64)).await;
            assert!(got.len() <= cut, "padded to {}", got.len());
            assert!(content.starts_with(&got), "what came is the file's");
            assert_eq!(ended, (0, 1), "it counts as broken");
        }
    }
}

#[tokio::test]
async fn a_file_replaced_or_grown_in_mid_transfer_is_finished_as_it_was() {
    let content = pattern(8 << 20);
    for change in [Change::Replaced, Change::Grown(16 << 20)] {
        for setup in ways() {
            let (got, ended) = overtaken(setup, &content, change).await;
            assert!(got == content, "{} bytes, {change:?}", got.len());
            assert_eq!(ended, (1, 0), "{change:?}");
        }
    }
}

#[tokio::test]
async fn a_replaced_file_is_another_one_for_the_next_request() {
    let site = Site::start();
    let path = site.file("f", b"old");
    let mut wire = site.connect().await;
    let old = wire.get("/f", "").await;
    Change::Replaced.befall(&path);
    let new = wire.get("/f", "").await;
    assert_eq!((old.body.as_slice(), new.body.as_slice()), (&b"old"[..], &b"new"[..]));
    assert_ne!(old.field("etag"), new.field("etag"));
}
