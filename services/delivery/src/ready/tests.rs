//! What is kept, for how long, and that nobody can tell a kept answer from one that was made.

mod cached;

use std::{fs, path::PathBuf, time::UNIX_EPOCH};

use ferry_core::object::ObjectPath;
use http::{HeaderValue, Method, StatusCode, header};
use tempfile::TempDir;

use crate::{
    answer::Answer,
    delivery::{Backend, Delivery, Object},
    disk::Disk,
    metrics::Metrics,
    request::Request,
    server::Plain,
    transfers::{Totals, Transfers},
};

/// A request for `target` that came just now.
fn plain(target: &str) -> Plain<'_> {
    Plain { target, user_agent: b"", secure: false, peer: CLIENT.into(), since: tokio::time::Instant::now() }
}

/// A folder, and a delivery out of it.
struct Site {
    folder: TempDir,
    delivery: Delivery,
}

const CLIENT: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);

impl Site {
    fn new() -> Self {
        Self::with(Transfers::new())
    }

    /// One with so many transfers at one time.
    fn at_most(most: u32) -> Self {
        Self::with(Transfers::at_most(std::num::NonZeroU32::new(most)))
    }

    fn with(transfers: Transfers) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let disk = Disk::open_root(folder.path()).expect("a good root");
        let delivery = Delivery::new(Backend::Filesystem(disk), transfers, Metrics::default());
        Self { folder, delivery }
    }

    /// Writes a file under a name of its own first, as whoever replaces files does, changed long ago.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let (made, path) = (self.folder.path().join("made"), self.folder.path().join(name));
        fs::write(&made, content).expect("a file");
        let file = fs::File::options().append(true).open(&made).expect("our own file");
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(784_111_777)).expect("our own file");
        fs::rename(&made, &path).expect("one folder");
        path
    }

    /// Answers as the engine would have it answered, and keeps the answer.
    async fn ask(&self, name: &str, plain: bool) -> Answer {
        let target = format!("/{name}");
        let request = Request::internal(Method::GET, &target).expect("a request");
        let request = Request { plain, ..request };
        let path = ObjectPath::from_decoded(name).expect("a good path");
        let object = Object::new(ferry_core::object::ObjectKey::plain(path), target);
        let answer = self.delivery.deliver(&request, &object).await;
        self.delivery.keep_ready(&request, &object, &answer);
        answer
    }

    /// Asks until the answer is kept: a file that was changed within the last tick of its clock is not kept open yet.
    async fn ask_until_ready(&self, name: &str) {
        let wait = async {
            while !self.is_ready(name) {
                self.ask(name, true).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), wait).await.expect("it is kept in the end");
    }

    fn is_ready(&self, name: &str) -> bool {
        self.delivery.ready(plain(&format!("/{name}"))).is_some()
    }
}

#[tokio::test]
async fn what_a_plain_request_got_is_ready_for_the_next() {
    let site = Site::new();
    site.file("a.txt", b"content");
    assert!(!site.is_ready("a.txt"));
    site.ask_until_ready("a.txt").await;
    let prompt = site.delivery.ready(plain("/a.txt")).expect("it is ready");
    let head = String::from_utf8(prompt.ready.head.to_vec()).expect("ASCII");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\ndate: "), "{head:?}");
    assert!(head.contains("\r\ncontent-length: 7\r\n") && head.contains("\r\netag: \"2ebc98a1-7\""), "{head:?}");
    assert_eq!(prompt.ready.content.as_deref(), Some(&b"content"[..]));
}

#[tokio::test]
async fn only_whole_files_to_plain_requests_are_kept() {
    let site = Site::new();
    site.file("a", b"content");
    site.ask("a", false).await;
    site.ask("missing", true).await;
    assert!(!site.is_ready("a") && !site.is_ready("missing"));
    let path = ObjectPath::from_decoded("a").expect("a good path");
    let object = Object::new(ferry_core::object::ObjectKey::plain(path), "/a");
    let request = Request { plain: true, ..Request::internal(Method::GET, "/a").expect("a request") };
    let vary = |answer: Answer| answer.with(header::VARY, HeaderValue::from_static("accept-encoding"));
    site.delivery.keep_ready(&request, &object, &vary(site.delivery.deliver(&request, &object).await));
    assert!(!site.is_ready("a"), "another client may be given something else");
}

#[tokio::test]
async fn an_answer_is_not_given_again_once_its_file_is_another() {
    let site = Site::new();
    let path = site.file("a", b"first");
    for change in ["replaced", "written to", "deleted"] {
        site.ask_until_ready("a").await;
        match change {
            "replaced" => drop(site.file("a", b"second")),
            "written to" => fs::write(&path, b"third").expect("our own file"),
            _ => fs::remove_file(&path).expect("our own file"),
        }
        assert!(!site.is_ready("a"), "{change}");
    }
    assert_eq!(site.ask("a", true).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_content_of_a_large_file_is_left_to_the_kernel() {
    let site = Site::new();
    for (name, length, kept) in [("small", super::LARGEST, true), ("large", super::LARGEST + 1, false)] {
        site.file(name, &vec![7; usize::try_from(length).expect("a small number")]);
        site.ask_until_ready(name).await;
        let prompt = site.delivery.ready(plain(&format!("/{name}"))).expect("it is ready");
        assert_eq!(prompt.ready.content.is_some(), kept, "{name}");
    }
}

#[tokio::test]
async fn without_room_for_a_transfer_only_what_is_in_memory_is_ready() {
    let site = Site::at_most(1);
    site.file("small", b"content");
    site.file("large", &vec![7; 64 << 10]);
    site.ask_until_ready("small").await;
    site.ask_until_ready("large").await;
    let taken = site.delivery.ready(plain("/large")).expect("there is room for one");
    assert_eq!(site.delivery.transfers().under_way(), 1, "before its first byte is sent");
    assert!(site.delivery.ready(plain("/large")).is_none());
    assert!(site.delivery.ready(plain("/small")).is_some());
    drop(taken);
    assert!(site.delivery.ready(plain("/large")).is_some(), "it was not forgotten");
}

#[tokio::test]
async fn a_prompt_answer_is_in_the_books_like_any_other() {
    let site = Site::new();
    site.file("a", b"content");
    site.ask_until_ready("a").await;
    let before = site.delivery.transfers().totals();
    site.delivery.ready(plain("/a")).expect("it is ready").sent_at_once();
    let mut traced = site.delivery.ready(plain("/a")).expect("it is ready");
    let (told, heard) = std::sync::mpsc::channel();
    traced.transfer().at_end(move |ended| told.send(ended.complete).expect("the test listens"));
    assert_eq!(site.delivery.transfers().under_way(), 1);
    traced.sent_at_once();
    assert_eq!(heard.try_recv(), Ok(true));
    let mut slow = site.delivery.ready(plain("/a")).expect("it is ready");
    slow.transfer();
    assert_eq!(site.delivery.transfers().list().len(), 1);
    drop(slow);
    let after = site.delivery.transfers().totals();
    let grown = Totals {
        sent_bytes: after.sent_bytes - before.sent_bytes,
        completed: after.completed - before.completed,
        broken: after.broken - before.broken,
    };
    assert_eq!(grown, Totals { sent_bytes: 14, completed: 2, broken: 1 });
}

#[tokio::test]
async fn what_is_ready_keeps_no_file_open() {
    let site = Site::new();
    site.file("a", b"content");
    site.ask_until_ready("a").await;
    let held = {
        let prompt = site.delivery.ready(plain("/a")).expect("it is ready");
        std::sync::Arc::downgrade(&prompt.file)
    };
    let Backend::Filesystem(disk) = site.delivery.backend() else { panic!("it has a disk") };
    disk.let_go();
    assert_eq!(held.strong_count(), 0, "a deleted file would keep its space, and its descriptor");
    assert!(!site.is_ready("a"), "and then it is asked for in the ordinary way");
}
