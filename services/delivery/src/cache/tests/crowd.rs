//! Many clients at once, some of whom leave, while objects change, are purged, and break off: every body is one version as a whole, and nobody is
//! answered from what was purged before he asked.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::join_all;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use super::{
    world::{Got, Setup, World, range},
    *,
};
use crate::origin::faulty::Fault;

/// Five blocks and a bit.
const LENGTH: u64 = 90_000;
const BLOCK: u32 = 16 << 10;

const CLIENTS: usize = 20;
const ROUNDS: usize = 6;

/// How often something happens.
const EVENTS: usize = 24;

async fn world(max_age: &'static str) -> World {
    let mut setup = Setup::of(LENGTH);
    setup.store.block_bytes = BLOCK;
    setup.cache.finish = 0;
    let world = World::of(setup).await;
    world.origin.say("cache-control", max_age);
    world
}

/// What a client finds.
struct Crowd {
    world: World,
    /// The first version that may be answered with: what was there when all else was purged.
    floor: AtomicU64,
    right: AtomicU64,
    broken: AtomicU64,
}

impl Crowd {
    async fn client(&self, mut rng: SmallRng) {
        for _ in 0..ROUNDS {
            let floor = self.floor.load(Relaxed);
            let first = rng.random_range(0..LENGTH);
            let part = first..rng.random_range(first + 1..=LENGTH);
            let (whole, leaves) = (rng.random_ratio(1, 3), rng.random_ratio(1, 4));
            let ask = async {
                match whole {
                    true => self.world.get("a").await,
                    false => self.world.ask("a", &[range(part.start, part.end - 1)]).await,
                }
            };
            let most = Duration::from_micros(if leaves { rng.random_range(0..5_000) } else { 60_000_000 });
            match tokio::time::timeout(most, ask).await {
                Ok(got) => self.judge(&got, &part, floor),
                Err(_) => assert!(leaves, "it takes too long"),
            }
        }
    }

    fn judge(&self, got: &Got, part: &Range<u64>, floor: u64) {
        if got.status() >= 500 || !got.received().1 {
            self.broken.fetch_add(1, Relaxed);
        } else {
            self.right.fetch_add(1, Relaxed);
        }
        if got.status() < 500 {
            let version = self.world.version_of(got, part);
            let named = got.received().0.is_empty() || version >= floor;
            assert!(named, "version {version} was purged before version {floor} was there: {got:?}");
        }
    }

    /// Makes things happen; returns how often all of the object may have to be fetched anew for that.
    async fn disturb(&self, mut rng: SmallRng) -> u64 {
        let mut anew = 1;
        for _ in 0..EVENTS {
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..4_000))).await;
            let at = rng.random_range(0..LENGTH);
            let origin = &self.world.origin;
            match rng.random_range(0..7) {
                0 | 1 => origin.change(),
                2 => self.world.pass(2),
                3 => origin.next([Fault::Close(at)]),
                4 => origin.next([Fault::Careless]),
                5 => origin.next([Fault::Late(Duration::from_millis(2))]),
                _ => {
                    let version = origin.version();
                    self.world.cache.purge(&Purge::Path(world::path("a"))).await.expect("a good disk");
                    self.floor.fetch_max(version, Relaxed);
                }
            }
            anew += 1;
        }
        anew
    }
}

async fn crowd(seed: u64) {
    let world = world("max-age=1").await;
    let crowd = Crowd { world, floor: AtomicU64::new(1), right: AtomicU64::new(0), broken: AtomicU64::new(0) };
    let rng = |number: usize| SmallRng::seed_from_u64(seed << 8 | number as u64);
    let clients = join_all((0..CLIENTS).map(|number| crowd.client(rng(number))));
    let (_, anew) = tokio::join!(clients, crowd.disturb(rng(CLIENTS)));
    let Crowd { world, right, broken, .. } = crowd;
    let (right, broken) = (right.into_inner(), broken.into_inner());
    // How many depends on what meets whom.
    assert!(right > 0, "seed {seed}: none of {broken} was right");
    assert!(world.origin.sent() <= 2 * anew * LENGTH, "seed {seed}: {} for {anew}", world.origin.sent());
    world.idle().await;
    world.truth().await;
    world.pass(2);
    let mut last = world.get("a").await;
    for _ in 0..200 {
        if last.status() == 200 && last.received().1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        last = world.get("a").await;
    }
    assert!(last.is_whole(&world, world.origin.version()), "seed {seed}: {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_body_is_one_version_whatever_happens() {
    for seed in 0..12 {
        crowd(seed).await;
    }
}

#[tokio::test]
async fn who_asks_after_a_purge_does_not_wait_for_what_was_asked_before() {
    let world = world("max-age=60").await;
    world.origin.next([Fault::Late(Duration::from_millis(300))]);
    let after = async {
        world.until(|world| world.origin.seen().len() == 1).await;
        world.origin.change();
        world.cache.purge(&Purge::Path(world::path("a"))).await.expect("a good disk");
        world.get("a").await
    };
    let (before, after) = tokio::join!(world.get("a"), after);
    assert!(before.is_whole(&world, 1), "{before:?}");
    assert!(after.is_whole(&world, 2), "{after:?}");
    world.idle().await;
    assert_eq!(world.get("a").await.field("cache-status"), "ferry;hit;ttl=60");
    assert_eq!(world.truth().await.iter().map(|here| here.version).collect::<Vec<_>>(), [Some(2)]);
}

#[tokio::test]
async fn who_asks_after_a_purge_does_not_wait_for_what_was_being_validated() {
    let world = world("max-age=60").await;
    world.get("a").await;
    world.idle().await;
    world.pass(61);
    world.origin.next([Fault::Late(Duration::from_millis(300))]);
    let after = async {
        world.until(|world| world.origin.seen().len() == 2).await;
        world.origin.change();
        world.cache.purge(&Purge::Path(world::path("a"))).await.expect("a good disk");
        world.get("a").await
    };
    let (before, after) = tokio::join!(world.get("a"), after);
    assert!(before.is_whole(&world, 1), "{before:?}");
    assert!(after.is_whole(&world, 2), "{after:?}");
}

#[tokio::test]
async fn clients_that_leave_leave_nothing_behind() {
    let world = world("max-age=60").await;
    for micros in (0..10_000).step_by(250) {
        let patience = Duration::from_micros(micros);
        let leave = |target: &'static str| tokio::time::timeout(patience, world.get(target));
        let _left = tokio::join!(leave("a"), leave("a"), leave("b"));
    }
    world.idle().await;
    world.truth().await;
    world.until(|world| world.cache.stats().filling == 0).await;
    let pool = &world.origins.pool_stats()[0];
    assert_eq!((pool.in_flight, pool.waiting), (0, 0), "turns are given back");
    assert!(world.get("a").await.is_whole(&world, 1));
    assert!(world.get("b").await.is_whole(&world, 1));
}
