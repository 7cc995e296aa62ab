//! Downloads from an origin that misbehaves on command.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ferry_delivery::origin::faulty::{Fault, Faulty, Transport};
use ring::digest::{SHA256, digest};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::get::client::Settings;

const LENGTH: u64 = 300_000;
const BROKEN_AT: u64 = 100_000;

struct Scene {
    origin: Faulty,
    folder: TempDir,
    silence: Duration,
    patience: Duration,
}

impl Scene {
    async fn new() -> Self {
        Self {
            origin: Faulty::start(Transport::Plain, LENGTH).await,
            folder: tempfile::tempdir().expect("a folder"),
            silence: Duration::from_secs(20),
            patience: Duration::from_secs(60),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> Url {
        Url::parse(&format!("{}/film.mp4", self.origin.url())).expect("valid")
    }

    async fn get_to(&self, output: Output) -> Result<(), Failed> {
        self.get_from(self.url(), output).await
    }

    async fn get_from(&self, url: Url, output: Output) -> Result<(), Failed> {
        let settings = Settings { ca: None, silence: self.silence, headers: HeaderMap::new() };
        let client = Client::new(&settings).expect("sound");
        Journey::new(&client, url, self.patience, Progress::new(true)).run(output).await
    }

    async fn get(&self) -> Result<(), Failed> {
        self.get_to(Output::File(self.path("film"))).await
    }

    /// Whether the file is there, whole, of the present version, and nothing else is.
    fn is_whole(&self) -> bool {
        let content = self.origin.content();
        let bytes = fs::read(self.path("film")).expect("the file is there");
        let only = fs::read_dir(self.folder.path()).expect("a folder").count() == 1;
        only && bytes.len() as u64 == LENGTH && content.has(self.origin.version(), 0, &bytes)
    }

    fn ranges(&self) -> Vec<Option<String>> {
        let range = |headers: &HeaderMap| Some(headers.get(header::RANGE)?.to_str().expect("plain").to_owned());
        self.origin.seen().iter().map(|seen| range(&seen.headers)).collect()
    }

    fn repr_digest(&self) -> &'static str {
        let bytes = self.origin.content().bytes(1, 0..LENGTH);
        // The origin takes fields that live as long as the test.
        format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, &bytes))).leak()
    }
}

#[tokio::test]
async fn whatever_goes_wrong_once_the_file_is_whole_in_the_end() {
    let broken = || Fault::Close(BROKEN_AT);
    for faults in [
        vec![Fault::None],
        vec![Fault::Late(Duration::from_millis(20))],
        vec![Fault::Slow(Duration::from_millis(2))],
        vec![Fault::Garbage],
        vec![Fault::Unheard, Fault::Unheard],
        vec![Fault::Status(503), Fault::StatusWith(429, "retry-after", "0")],
        vec![broken()],
        vec![Fault::Reset(BROKEN_AT), broken(), Fault::Reset(1)],
        vec![Fault::Overlong(10)],
        vec![Fault::Chunked],
        vec![Fault::ChunkedClose(BROKEN_AT)],
        vec![broken().and(Fault::Weak)],
        vec![broken().and(Fault::Untagged), broken().and(Fault::Untagged)],
        // What comes as the rest is not: none of it may get into the file.
        vec![broken(), Fault::Shifted],
        vec![broken(), Fault::Unlabelled],
        vec![broken(), Fault::Miscounted],
        vec![broken(), Fault::Short { tagged: true }],
        vec![broken(), Fault::Whole],
        vec![broken(), Fault::Careless],
        vec![broken(), Fault::Renewed],
        vec![broken(), Fault::Renewed.and(broken()), Fault::Careless.and(broken())],
    ] {
        let scene = Scene::new().await;
        scene.origin.next(faults.clone());
        scene.get().await.unwrap_or_else(|failed| panic!("{faults:?}: {failed}"));
        assert!(scene.is_whole(), "{faults:?}");
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_and_the_rest_is_asked_for() {
    let scene = Scene { silence: Duration::from_millis(200), ..Scene::new().await };
    scene.origin.next([Fault::Hang(BROKEN_AT), Fault::Silent]);
    scene.get().await.expect("the third answer is good");
    assert!(scene.is_whole());
    let rest = Some(format!("bytes={BROKEN_AT}-{}", LENGTH - 1));
    assert_eq!(scene.ranges(), [None, rest.clone(), rest]);
}

#[tokio::test]
async fn what_an_earlier_run_left_is_gone_on_with() {
    let scene =
        Scene { patience: Duration::from_millis(300), silence: Duration::from_millis(300), ..Scene::new().await };
    scene.origin.say("repr-digest", scene.repr_digest());
    scene.origin.next([Fault::Hang(BROKEN_AT)]);
    scene.origin.always(Fault::Silent);
    let failed = scene.get().await.expect_err("nobody answers any more");
    assert!(matches!(failed, Failed::GaveUp { .. }), "{failed}");
    assert!(!scene.path("film").exists(), "a part is not the file");

    let before = scene.ranges().len();
    scene.origin.always(Fault::None);
    scene.get().await.expect("all is well again");
    assert!(scene.is_whole());
    assert_eq!(scene.ranges()[before..], [Some(format!("bytes={BROKEN_AT}-{}", LENGTH - 1))]);
}

#[tokio::test]
async fn a_part_of_another_file_is_not_gone_on_with() {
    let scene =
        Scene { patience: Duration::from_millis(300), silence: Duration::from_millis(300), ..Scene::new().await };
    scene.origin.next([Fault::Hang(BROKEN_AT)]);
    scene.origin.always(Fault::Silent);
    scene.get().await.expect_err("nobody answers any more");
    scene.origin.always(Fault::None);
    scene.origin.change();
    scene.get().await.expect("all is well again");
    assert!(scene.is_whole(), "not a byte of the old one is in it");

    scene.origin.next([Fault::Hang(BROKEN_AT)]);
    scene.origin.always(Fault::Silent);
    scene.get().await.expect_err("nobody answers any more");
    scene.origin.always(Fault::None);
    let before = scene.ranges().len();
    let other = scene.url().join("/other.mp4?x=1").expect("valid");
    scene.get_from(other, Output::File(scene.path("film"))).await.expect("all is well again");
    assert_eq!(scene.ranges()[before..], [None], "two files may have one entity tag");

    fs::write(scene.path("film.part"), b"something else").expect("a folder");
    fs::write(scene.path("film.part.json"), b"{}").expect("a folder");
    scene.get().await.expect("it begins anew");
    assert!(scene.is_whole());
}

#[tokio::test]
async fn a_digest_that_was_announced_is_checked_and_a_file_without_it_is_not_kept() {
    let scene = Scene::new().await;
    scene.origin.say("repr-digest", scene.repr_digest());
    scene.origin.next([Fault::Close(BROKEN_AT)]);
    scene.get().await.expect("its digest is right");
    assert!(scene.is_whole());

    scene.origin.say("repr-digest", "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    let asked = scene.origin.seen().len();
    let failed = scene.get().await.expect_err("its digest is wrong");
    assert!(matches!(failed, Failed::Digest) && failed.exit_code() == 9, "{failed}");
    assert_eq!(scene.origin.seen().len() - asked, 2, "it may have been the way; twice, it is the file");
    assert!(scene.is_whole(), "what was there before is there still, and nothing else");
}

#[tokio::test]
async fn a_refusal_is_said_and_leaves_nothing_behind() {
    for status in [400, 401, 403, 404, 410, 451] {
        let scene = Scene::new().await;
        scene.origin.always(Fault::Status(status));
        let failed = scene.get().await.expect_err("it is refused");
        assert!(matches!(failed, Failed::Refused { status: said, .. } if said.as_u16() == status), "{failed}");
        assert_eq!(failed.exit_code(), 8);
        assert_eq!(fs::read_dir(scene.folder.path()).expect("a folder").count(), 0);
        assert_eq!(scene.origin.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_file_that_changes_with_every_answer_is_given_up() {
    let scene = Scene::new().await;
    scene.origin.always(Fault::Renewed.and(Fault::Close(BROKEN_AT)));
    let failed = scene.get().await.expect_err("it is never whole");
    assert!(matches!(failed, Failed::Unsteady), "{failed}");
}

#[tokio::test]
async fn no_other_file_is_replaced_under_a_name_that_nobody_gave() {
    let scene = Scene::new().await;
    scene.origin.say("content-disposition", "attachment; filename=\"meeting_7.zip\"");
    let named = || Output::Named(scene.path("film.mp4").to_str().expect("plain").to_owned());
    scene.get_to(named()).await.expect("it is whole");
    assert_eq!(fs::metadata(scene.path("meeting_7.zip")).expect("under the server's name").len(), LENGTH);
    let failed = scene.get_to(named()).await.expect_err("it is there");
    assert!(matches!(&failed, Failed::Exists(path) if *path == scene.path("meeting_7.zip")), "{failed}");
    assert_eq!(fs::read_dir(scene.folder.path()).expect("a folder").count(), 1);
}

#[tokio::test]
async fn two_downloads_do_not_write_into_one_file() {
    let scene = Scene::new().await;
    let _first = Sink::open(Output::File(scene.path("film")), "u").expect("nobody else is there");
    let failed = scene.get().await.expect_err("somebody is there");
    assert!(matches!(failed, Failed::Busy(_)), "{failed}");
}

/// A gateway of which all that matters is one answer: a redirect to a node that is gone, with another that is there.
async fn gateway(dead: &str, alternate: &str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = Url::parse(&format!("http://{}/film.mp4", listener.local_addr().expect("bound"))).expect("valid");
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: {dead}\r\nlink: <{alternate}>; rel=duplicate; pri=1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn where_the_node_of_a_redirect_does_not_answer_its_alternates_are_asked() {
    let scene = Scene { patience: Duration::from_secs(20), ..Scene::new().await };
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let home = gateway(&format!("http://{closed}/film.mp4"), scene.url().as_str()).await;
    scene.get_from(home, Output::File(scene.path("film"))).await.expect("the alternate has it");
    assert!(scene.is_whole());
}

#[tokio::test]
async fn a_server_that_breaks_off_what_cannot_be_resumed_is_asked_for_as_long_as_anything_comes() {
    let scene = Scene::new().await;
    scene.origin.next(vec![Fault::Close(BROKEN_AT).and(Fault::Weak); 2 * MOST_CHANGES as usize]);
    scene.get().await.expect("it is the same file every time");
    assert!(scene.is_whole());
}

#[tokio::test]
async fn what_is_private_stays_with_the_user_s_own_origin() {
    let (home, node) = (Scene::new().await, Scene::new().await);
    home.origin.next([Fault::Redirect(node.url().into())]);
    let headers = HeaderMap::from_iter([
        (header::COOKIE, HeaderValue::from_static("a=b")),
        (header::FROM, HeaderValue::from_static("me")),
    ]);
    let client = Client::new(&Settings { ca: None, silence: home.silence, headers }).expect("sound");
    let output = Output::File(home.path("film"));
    Journey::new(&client, home.url(), home.patience, Progress::new(true)).run(output).await.expect("it is whole");
    let (home, node) = (home.origin.seen(), node.origin.seen());
    assert!(home[0].headers.contains_key(header::COOKIE) && !node[0].headers.contains_key(header::COOKIE));
    assert!(node[0].headers.contains_key(header::FROM));
}
