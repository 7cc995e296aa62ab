//! The harness itself: what it must notice, it notices.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use crate::harness::{
    etcd::Etcd,
    get,
    origin::Origin,
    program::Program,
    samples::{self, MIB},
    tools::run,
    until,
    workshop::Workshop,
};

const SOON: Duration = Duration::from_secs(10);

const TROUBLE: &str = "2026-11-21T10:00:00Z ERROR ferry_node: the disk is on fire";

/// A program that said something, and has ended.
async fn speaker(workshop: &Workshop, line: &str) -> Program {
    let mut program = Program::new("speaker", "echo", workshop.path());
    program.arg(line).judged().start();
    program.exit(SOON).await;
    program
}

#[tokio::test]
async fn an_error_line_fails_the_test_unless_it_is_listed() {
    let workshop = Workshop::open();
    let unlisted = speaker(&workshop, TROUBLE).await;
    assert!(catch_unwind(AssertUnwindSafe(|| drop(unlisted))).is_err(), "an unlisted ERROR line went unnoticed");
    speaker(&workshop, TROUBLE).await.tolerate("on fire");
    speaker(&workshop, "2026-11-21T10:00:00Z  WARN ferry_node: the disk is warm").await;
}

#[tokio::test]
#[should_panic(expected = "waited 200ms for pigs to fly")]
async fn a_wait_has_a_limit() {
    until("pigs to fly", Duration::from_millis(200), async || None::<()>).await;
}

#[tokio::test]
async fn the_client_and_curl_agree_on_ranges_and_digests_and_the_client_can_be_slow() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let origin = Origin::start(&workshop, root.clone()).await;
    let sample = samples::write(&root, "会议 1.bin", 2 * MIB);
    let url = format!("{}{}", origin.url(), sample.path());

    let began = Instant::now();
    let slow = get(&url).kib_per_second(4096).send().await.finish().await.expect("whole");
    assert_eq!((slow.length, slow.sha256.as_str()), (sample.length, sample.sha256.as_str()));
    assert!(began.elapsed() > Duration::from_millis(400), "2 MiB at 4 MiB/s in {:?}", began.elapsed());

    let part = workshop.path().join("part");
    let part_name = part.to_str().expect("a plain path");
    run("curl", &["-sSf", "-r", "1000-", "-o", part_name, &url], &[], SOON).await.ok();
    let rest = get(&url).rest_from(1000).send().await;
    assert_eq!(rest.status, 206);
    assert_eq!(rest.finish().await.expect("whole").sha256, samples::digest_of(&part));
    assert_eq!(origin.seen().len(), 3);
}

#[tokio::test]
async fn etcd_comes_back_with_what_it_had() {
    let workshop = Workshop::open();
    let mut etcd = Etcd::start(&workshop).await;
    // Its JSON door: the key "ferry", the value "1".
    let door = format!("{}/v3/kv", etcd.url());
    let call = async |method: &str, body: &str| {
        let url = format!("{door}/{method}");
        run("curl", &["-sSf", "-d", body, &url], &[], SOON).await.ok().stdout
    };
    call("put", r#"{"key": "ZmVycnk=", "value": "MQ=="}"#).await;
    etcd.program.kill().await;
    etcd.resume().await;
    assert!(call("range", r#"{"key": "ZmVycnk="}"#).await.contains("MQ=="));
}
