//! A root that fails or hangs: what requests are told (SEMANTICS.md 23), and what is known of it.

use std::task::Poll;

use futures_util::poll;
use tokio::time::advance;

use super::{
    faulty::{Fault, Faults},
    health::{HANGS_AFTER, WITHIN},
    *,
};

fn faulty(world: &World) -> (Disk, Faults) {
    faulty_with(world, &Settings::default())
}

fn faulty_with(world: &World, settings: &Settings) -> (Disk, Faults) {
    Disk::open_faulty_root(&world.root, Settings { open_files: 0, ..settings.clone() }).expect("a good root")
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_trouble_has_its_answer() {
    let world = World::new();
    let (disk, faults) = faulty(&world);
    for (fault, kind, status) in [
        (Fault::Io, "io", 500),
        (Fault::Stale, "away", 503),
        (Fault::Away, "away", 503),
        (Fault::Denied, "forbidden", 403),
        (Fault::Gone, "not_found", 404),
        (Fault::NoDescriptors, "exhausted", 503),
    ] {
        faults.fail(fault);
        let error = disk.open(&path("top.txt")).await.expect_err("it fails");
        assert_eq!((error.kind(), error.answer().status.as_u16()), (kind, status), "{fault:?}");
    }
    faults.heal();
    assert_eq!(content(&disk, "top.txt").await.as_deref(), Ok("top"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_opens_and_cannot_be_read_is_refused_like_one_that_does_not_open() {
    let world = World::new();
    let (disk, faults) = faulty(&world);
    let file = disk.open(&path("top.txt")).await.expect("it is there");
    let first = crate::answer::Slice { offset: 0, length: 3 };
    file.first_read(first).await.expect("it can be read");
    for (fault, status) in [(Fault::Io, 500), (Fault::Stale, 503), (Fault::Away, 503)] {
        faults.fail(fault);
        let error = file.first_read(first).await.expect_err("it fails");
        assert_eq!(error.answer().status.as_u16(), status, "{fault:?}");
    }
    assert_eq!(disk.health().as_str(), "failing", "and its disk is known for it");
    faults.heal();
    file.first_read(first).await.expect("it can be read again");
}

#[tokio::test]
async fn what_may_be_over_at_once_is_tried_once_more() {
    let world = World::new();
    let (disk, faults) = faulty(&world);
    for fault in [Fault::Stale, Fault::NoDescriptors] {
        faults.fail_next(1, fault);
        assert_eq!(content(&disk, "top.txt").await.as_deref(), Ok("top"), "{fault:?}");
    }
    faults.fail_next(1, Fault::Io);
    assert_eq!(content(&disk, "top.txt").await, Err("io"), "a broken medium is not asked again");
}

#[tokio::test]
async fn files_are_let_go_where_no_descriptor_is_left() {
    let world = World::new();
    let (disk, faults) = Disk::open_faulty_root(&world.root, Settings::default()).expect("a good root");
    assert_eq!(content(&disk, "top.txt").await.as_deref(), Ok("top"));
    assert_eq!(disk.open_files(), 1, "it stays open");
    faults.fail_next(1, Fault::NoDescriptors);
    assert_eq!(content(&disk, "a/b/deep.txt").await.as_deref(), Ok("deep"));
    assert_eq!(disk.open_files(), 1, "the other one made room");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_again_and_again_is_failing_until_it_has_been_quiet() {
    let world = World::new();
    let (disk, faults) = faulty(&world);
    faults.fail(Fault::Io);
    for health in ["well", "well", "failing"] {
        assert_eq!(content(&disk, "top.txt").await, Err("io"));
        assert_eq!(disk.health().as_str(), health);
    }
    faults.heal();
    advance(WITHIN).await;
    assert_eq!(disk.health(), Health::Well);
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_speaks_against_its_disk() {
    let world = World::new();
    let disk = world.disk(Resolver::default());
    let file = disk.open(&path("top.txt")).await.expect("it is there");
    for errno in [Errno::PIPE, Errno::CONNRESET, Errno::TIMEDOUT, Errno::NOTCONN] {
        file.failed(&errno.into());
    }
    assert_eq!(disk.health(), Health::Well, "that was the client");
    for _ in 0..3 {
        file.failed(&Errno::IO.into());
    }
    assert_eq!(disk.health().as_str(), "failing");
}

#[tokio::test(start_paused = true)]
async fn requests_for_what_is_not_there_say_nothing_about_the_disk() {
    let world = World::new();
    let (disk, faults) = faulty(&world);
    for fault in [Fault::Gone, Fault::Denied, Fault::NoDescriptors] {
        faults.fail(fault);
        for _ in 0..5 {
            disk.open(&path("top.txt")).await.expect_err("it fails");
        }
        assert_eq!(disk.health(), Health::Well, "{fault:?}");
    }
}

#[tokio::test]
async fn a_root_that_hangs_is_seen_to_hang_and_holds_back_no_other() {
    let world = World::new();
    let settings = Settings { calls_at_once: 2, patience: Duration::from_secs(60), ..Settings::default() };
    let (hanging, faults) = faulty_with(&world, &settings);
    let other = world.remote_disk();
    faults.hang();
    let top = path("top.txt");
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(hanging.open(&top))).collect();
    for open in &mut waiting {
        assert!(matches!(poll!(open), Poll::Pending));
    }
    while hanging.calls_under_way() < 2 {
        task::yield_now().await;
    }
    assert_eq!(hanging.health(), Health::Well, "they are not late yet");
    time::pause();
    advance(HANGS_AFTER).await;
    assert_eq!(hanging.health().as_str(), "hanging");
    // Nobody is left waiting behind those who wait in vain.
    let before = Instant::now();
    assert!(matches!(hanging.open(&top).await, Err(DiskError::Busy)));
    assert_eq!(Instant::now(), before, "it waited");
    assert_eq!(content(&other, "top.txt").await.as_deref(), Ok("top"));
    faults.heal();
    for open in waiting {
        open.await.expect("the calls went on");
    }
    assert_eq!(hanging.health(), Health::Well);
}

#[tokio::test]
async fn the_wait_for_a_call_has_a_limit() {
    let world = World::new();
    let (disk, faults) = faulty_with(&world, &Settings { patience: Duration::from_millis(20), ..Settings::default() });
    faults.hang();
    assert!(matches!(disk.open(&path("top.txt")).await, Err(DiskError::Busy)));
}
