//! A cache whose disk fails: its clients get all that the origin has, and what is in the cache afterwards is true.

use std::fs::File;

use futures_util::future::join_all;

use super::world::{Got, Setup, World, range};
use crate::{
    cache::store::{self, faulty::Fault as Broken},
    origin::faulty::Fault,
};

/// Five blocks and a bit.
const LENGTH: u64 = 90_000;
const BLOCK: u32 = 16 << 10;

/// What comes is listed while more comes.
const FLUSH: u64 = 4 << 10;

async fn world() -> World {
    world_with(|_| {}).await
}

async fn world_with(change: impl FnOnce(&mut store::Settings)) -> World {
    let mut setup = Setup { faulty_disk: true, ..Setup::of(LENGTH) };
    (setup.store.block_bytes, setup.store.flush_bytes) = (BLOCK, FLUSH);
    change(&mut setup.store);
    let world = World::of(setup).await;
    world.origin.say("cache-control", "max-age=60");
    world
}

/// How many calls of the disk it takes to fetch an object.
async fn calls_of_a_fetch(fault: &Fault) -> usize {
    let world = world().await;
    world.origin.always(fault.clone());
    let before = world.disk().calls();
    world.get("a").await;
    world.idle().await;
    world.cache.store().settle().await;
    world.disk().calls() - before
}

#[tokio::test]
async fn a_disk_that_fails_at_any_call_costs_no_client_a_byte() {
    for fault in [Fault::None, Fault::Weak, Fault::Chunked, Fault::Weak.and(Fault::Chunked)] {
        let calls = calls_of_a_fetch(&fault).await;
        assert!(calls > 5, "{calls}");
        for (broken, once) in [(Broken::Io, false), (Broken::Io, true), (Broken::Full, true)] {
            for call in 0..calls {
                let world = world().await;
                world.origin.always(fault.clone());
                match once {
                    true => world.disk().fail_one_after(call, broken),
                    false => world.disk().fail_after(call, broken),
                }
                let got = world.get("a").await;
                let what = format!("{fault:?}, {broken:?} at call {call} of {calls}, once: {once}");
                assert!(got.is_whole(&world, 1), "{what}: {got:?}");
                well_again(&world, &what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_costs_none_of_many_clients_a_byte() {
    for call in [0, 3, 8, 9, 10, 11, 12, 15, 20] {
        let world = world().await;
        world.disk().fail_after(call, Broken::Io);
        let part = [range(40_000, 80_000)];
        let (whole, parts) =
            tokio::join!(join_all((0..4).map(|_| world.get("a"))), join_all((0..4).map(|_| world.ask("a", &part))));
        for got in whole {
            assert!(got.is_whole(&world, 1), "call {call}: {got:?}");
        }
        for got in parts {
            assert!(got.has(&world, 1, 40_000, 40_001), "call {call}: {got:?}");
        }
        well_again(&world, &format!("many clients, call {call}")).await;
    }
}

#[tokio::test]
async fn all_who_read_along_get_the_one_response_of_an_object_that_is_given_up() {
    for fault in [Fault::Weak, Fault::Untagged, Fault::Weak.and(Fault::Chunked)] {
        let calls = calls_of_a_fetch(&fault).await;
        for call in 0..calls {
            let world = world().await;
            world.origin.always(fault.clone());
            world.disk().fail_after(call, Broken::Io);
            let got = join_all((0..4).map(|_| world.get("a"))).await;
            assert!(got.iter().all(|got| got.is_whole(&world, 1)), "{fault:?}, call {call} of {calls}: {got:?}");
            well_again(&world, &format!("{fault:?}, call {call}")).await;
        }
    }
}

#[tokio::test]
async fn who_falls_behind_the_others_past_the_cache_is_broken_off() {
    let mut setup = Setup { faulty_disk: true, ..Setup::of(8 << 20) };
    setup.store.block_bytes = BLOCK;
    let world = World::of(setup).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.always(Fault::Weak);
    world.disk().fail_after(12, Broken::Io);
    let (fast, slow) = (world.begin("a").await, world.begin("a").await);
    assert_eq!(world.origin.seen().len(), 1, "they share a response");
    assert!(Got::of(fast).await.is_whole(&world, 1));
    let slow = Got::of(slow).await;
    let (bytes, complete) = slow.received();
    assert!(!complete && world.origin.content().has(1, 0, bytes), "{slow:?}");
}

#[tokio::test]
async fn metadata_that_cannot_be_read_are_no_reason_to_refuse() {
    let world = world_with(|settings| settings.open_objects = 1).await;
    for target in ["a", "b"] {
        world.get(target).await;
        world.idle().await;
    }
    world.cache.store().settle().await;
    world.disk().fail_after(0, Broken::Io);
    for _ in 0..3 {
        assert!(world.get("a").await.is_whole(&world, 1));
        assert!(world.ask("a", &[range(5, 40_000)]).await.has(&world, 1, 5, 39_996));
    }
    world.idle().await;
    world.disk().heal();
    assert!(world.get("a").await.is_whole(&world, 1));
    world.truth().await;
}

#[tokio::test]
async fn an_object_whose_bytes_cannot_be_read_is_fetched_anew() {
    // From the first byte on, and from the middle.
    for left in [0, 30_000] {
        let world = world().await;
        world.get("a").await;
        world.idle().await;
        let files = world.data_files();
        File::options().write(true).open(&files[0]).and_then(|file| file.set_len(left)).expect("our own file");
        if left > 0 {
            let got = world.get("a").await;
            let (bytes, complete) = got.received();
            assert!(!complete && world.origin.content().has(1, 0, bytes), "{got:?}");
        }
        assert!(world.ask("a", &[range(40_000, 50_000)]).await.has(&world, 1, 40_000, 10_001));
        assert!(world.get("a").await.is_whole(&world, 1));
        world.idle().await;
        let truth = world.truth().await;
        assert!(truth.len() == 1 && truth[0].whole);
    }
}

#[tokio::test]
async fn a_cache_that_is_only_read_answers_what_it_has_and_passes_the_rest_by() {
    let mut world = world().await;
    world.get("whole").await;
    world.ask("part", &[range(0, 100)]).await;
    world.idle().await;
    world.read_only().await;
    let asked = world.origin.seen().len();
    assert_eq!(world.get("whole").await.field("cache-status"), "ferry;hit;ttl=60");
    let part = world.ask("part", &[range(5, 90)]).await;
    assert!(part.has(&world, 1, 5, 86), "{part:?}");
    assert_eq!(world.origin.seen().len(), asked);
    for target in ["part", "other"] {
        for _ in 0..2 {
            assert!(world.get(target).await.is_whole(&world, 1));
            assert!(world.ask(target, &[range(100, 70_000)]).await.has(&world, 1, 100, 69_901));
        }
    }
    world.idle().await;
    let here: Vec<_> = world.truth().await.iter().map(|here| here.bytes).collect();
    assert_eq!(here, [u64::from(BLOCK), LENGTH]);
    // What is stale is confirmed once, although that cannot be noted on the disk; what has changed is passed by.
    world.pass(61);
    let asked = world.origin.seen().len();
    for _ in 0..2 {
        assert!(world.get("whole").await.is_whole(&world, 1));
    }
    assert_eq!(world.origin.seen().len(), asked + 1);
    world.pass(61);
    world.origin.change();
    for _ in 0..2 {
        assert!(world.get("whole").await.is_whole(&world, 2));
    }
}

#[tokio::test]
async fn an_object_for_which_there_is_no_room_passes_by() {
    let world = world_with(|settings| settings.space.bytes = 40_000).await;
    for fault in [Fault::None, Fault::Weak, Fault::Chunked] {
        world.origin.always(fault.clone());
        for _ in 0..2 {
            let got = world.get("a").await;
            assert!(got.is_whole(&world, 1), "{fault:?}: {got:?}");
            world.idle().await;
            world.truth().await;
            assert!(world.cache.store().usage().bytes <= 40_000, "{fault:?}: {:?}", world.cache.store().usage());
        }
    }
}

/// The disk is well: what is there is true, and what was lost is fetched anew.
async fn well_again(world: &World, what: &str) {
    world.idle().await;
    world.disk().heal();
    world.truth().await;
    let again = world.get("a").await;
    assert!(again.is_whole(world, 1), "{what}: {again:?}");
    world.idle().await;
    let truth = world.truth().await;
    assert!(truth.len() == 1 && truth[0].whole, "{what}");
}

#[tokio::test]
async fn what_turns_out_to_be_too_large_passes_by() {
    let world = world_with(|settings| settings.space.admission.largest = LENGTH / 2).await;
    world.origin.always(Fault::Chunked);
    assert!(world.get("a").await.is_whole(&world, 1));
    world.idle().await;
    assert_eq!(world.cache.store().usage().objects, 0);
}

#[tokio::test]
async fn a_part_that_does_not_come_any_more_is_refused_before_it_is_begun() {
    let world = world().await;
    world.origin.always(Fault::Weak.and(Fault::Whole).and(Fault::Close(40_000)));
    let part = world.ask("a", &[range(80_000, 80_099)]).await;
    assert_ne!(part.status(), 206, "{part:?}");
}
