//! `ferry up`: one command, a whole cluster, and an end that leaves nothing behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::harness::{
    get,
    origin::Origin,
    program::Program,
    samples,
    samples::MIB,
    tools::{ferry, run},
    until,
    workshop::Workshop,
};

const READY_WITHIN: Duration = Duration::from_secs(2);
const ENDED_WITHIN: Duration = Duration::from_secs(2);
const DOWNLOADED_WITHIN: Duration = Duration::from_secs(60);

/// `ferry up` with these arguments, and the address of its gateway.
fn up(workshop: &Workshop, arguments: &[&str]) -> (Program, String) {
    let address = format!("127.0.0.1:{}", workshop.ports.next());
    let mut program = Program::new("up", env!("CARGO_BIN_EXE_ferry"), workshop.path());
    program.args(&["up", "--listen", &address]).args(arguments).env("TMPDIR", workshop.folder("tmp")).judged().start();
    (program, address)
}

/// Waits until the gateway redirects that path, and a node answers.
async fn until_delivered(address: &str, path: &str) {
    let url = format!("http://{address}{path}");
    until("the first download", Duration::from_secs(15), async || {
        let answer = get(&url).try_send().await.ok()?;
        let location = answer.location()?.to_owned();
        get(&location).try_send().await.ok().filter(|answer| answer.status.is_success())
    })
    .await;
}

#[tokio::test]
async fn up_delivers_through_a_redirect_in_less_than_two_seconds() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let sample = samples::write(&root, "hello.bin", MIB);
    let began = Instant::now();
    let (_up, address) = up(&workshop, &[root.to_str().expect("a plain path")]);
    until_delivered(&address, &sample.path()).await;
    assert!(began.elapsed() < READY_WITHIN, "ready after {:?}", began.elapsed());
}

#[tokio::test]
async fn up_says_what_listens_where_and_prints_a_line_that_downloads() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let sample = samples::write(&root, "hello.bin", MIB);
    let (up, address) = up(&workshop, &[root.to_str().expect("a plain path")]);
    let line = until("a line that begins with curl", Duration::from_secs(10), async || {
        up.log().lines().find_map(|line| line.find("curl ").map(|at| line[at..].trim().to_owned()))
    })
    .await;
    let said = up.log();
    for part in ["gateway", "coordinator", "node-1", "node-2"] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    assert!(line.contains(&address), "{line}");
    // As a user would: the line as it stands, in a shell, in an empty folder.
    let downloads = workshop.folder("downloads");
    run("sh", &["-c", &format!("cd {} && {line}", downloads.display())], &[], DOWNLOADED_WITHIN).await.ok();
    assert_eq!(samples::digest_of(&downloads.join("hello.bin")), sample.sha256);
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_a_download_ends_it_at_once_and_nothing_is_left() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let sample = samples::write(&root, "big.bin", 32 * MIB);
    let (mut up, address) = up(&workshop, &[root.to_str().expect("a plain path")]);
    until_delivered(&address, &sample.path()).await;
    let mut slow = get(&format!("http://{address}{}", sample.path())).kib_per_second(64).follow().await;
    slow.receive(64 * 1024).await;

    up.signal(Signal::INT);
    let status = up.exit(ENDED_WITHIN).await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(TcpStream::connect(&address).await.is_err(), "something still listens there");
    let left = workshop.folder("tmp").read_dir().expect("an own folder").count();
    assert_eq!(left, 0, "its temporary folder is still there");
}

#[tokio::test]
async fn up_stands_in_front_of_an_http_server() {
    let workshop = Workshop::open();
    let behind = workshop.folder("behind");
    let sample = samples::write(&behind, "from/origin.bin", 4 * MIB);
    let origin = Origin::start(&workshop, behind).await;
    let (_up, address) = up(&workshop, &["--origin", &origin.url()]);
    until_delivered(&address, &sample.path()).await;
    let received = get(&format!("http://{address}{}", sample.path())).follow().await.finish().await.expect("whole");
    assert_eq!(received.sha256, sample.sha256);
}

#[tokio::test]
async fn up_keeps_what_the_origin_sends_where_it_is_told_to() {
    let workshop = Workshop::open();
    let behind = workshop.folder("behind");
    let sample = samples::write(&behind, "from/origin.bin", MIB);
    let origin = Origin::start(&workshop, behind).await;
    let caches = workshop.folder("caches");
    let cache = caches.to_str().expect("a plain path");
    let (_up, address) = up(&workshop, &["--origin", &origin.url(), "--cache", cache, "--cache-size", "64MiB"]);
    until_delivered(&address, &sample.path()).await;
    let mut folders: Vec<_> =
        caches.read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    folders.sort();
    assert_eq!(folders, ["node-1", "node-2"]);
    let root = workshop.folder("files");
    for vain in [&["--cache", cache][..], &["--cache-size", "64MiB"]] {
        let outcome = ferry(&[&["up", root.to_str().expect("a plain path")], vain].concat()).await;
        assert_eq!(outcome.code, Some(64), "{outcome:?}");
        assert!(outcome.stderr.contains(vain[0]), "{outcome:?}");
    }
}

#[tokio::test]
async fn up_keeps_its_state_where_it_is_told_to() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let sample = samples::write(&root, "hello.bin", MIB);
    let state = workshop.folder("state");
    let arguments = [root.to_str().expect("a plain path"), "--state", state.to_str().expect("a plain path")];
    for _ in 0..2 {
        let (mut up, address) = up(&workshop, &arguments);
        until_delivered(&address, &sample.path()).await;
        up.signal(Signal::INT);
        up.exit(ENDED_WITHIN).await;
    }
    assert!(state.read_dir().expect("the state is a folder").count() > 0, "nothing was kept");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named_and_nothing_starts() {
    let outcome = ferry(&["up", "/nowhere/at/all"]).await;
    assert_eq!(outcome.code, Some(64), "{outcome:?}");
    assert!(outcome.stderr.contains("/nowhere/at/all"), "{outcome:?}");
}
