//! The cache in front of an origin that behaves, and of one that does not.

mod crowd;
mod disk;
mod heads;
mod matrix;
mod pace;
mod poison;
mod truth;
mod world;

use ferry_core::eviction::First;
use futures_util::future::join_all;
use http::Method;

use super::{store::Span, *};
use crate::{origin::faulty::Fault, semantics::repr_digest::of_sha256};
use world::{MIB, World, bytes_of, range};

#[tokio::test]
async fn what_was_fetched_once_is_given_out_without_asking() {
    let world = World::new(300_000).await;
    world.origin.say("cache-control", "max-age=60");
    let first = world.get("a").await;
    assert_eq!(first.status(), 200);
    assert_eq!(first.field("cache-status"), "ferry;fwd=uri-miss;stored;ttl=60");
    assert!(first.is_whole(&world, 1));
    let second = world.get("a").await;
    assert_eq!((second.status(), second.field("cache-status"), second.field("age")), (200, "ferry;hit;ttl=60", "0"));
    assert!(second.is_whole(&world, 1));
    assert_eq!(world.origin.seen().len(), 1);
}

#[tokio::test]
async fn all_who_wait_for_a_cold_object_are_one_fetch() {
    let world = World::new(3 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    let answers = join_all((0..30).map(|_| world.get("a"))).await;
    assert!(answers.iter().all(|answer| answer.is_whole(&world, 1)));
    assert_eq!(world.origin.seen().len(), 1);
    assert_eq!(world.cache.stats().collapsed, 29);
}

#[tokio::test]
async fn a_range_far_into_a_cold_object_is_fetched_alone() {
    let world = World::new(20 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    let part = world.ask("a", &[range(15 * MIB + 7, 15 * MIB + 1_000)]).await;
    assert_eq!((part.status(), part.field("content-range")), (206, "bytes 15728647-15729640/20971520"));
    assert!(part.has(&world, 1, 15 * MIB + 7, 994));
    assert_eq!(world.origin.sent(), MIB, "its block, and no more");
    // What is there is not asked for again, and what is missing is.
    let part = world.ask("a", &[range(15 * MIB, 16 * MIB + 9)]).await;
    assert!(part.has(&world, 1, 15 * MIB, MIB + 10));
    assert_eq!((world.origin.sent(), part.field("cache-status")), (2 * MIB, "ferry;fwd=partial;ttl=60"));
    let whole = world.get("a").await;
    assert!(whole.is_whole(&world, 1));
    assert_eq!(world.origin.sent(), 20 * MIB, "each byte once");
}

#[tokio::test]
async fn a_reader_ahead_of_a_slow_fill_does_not_wait_for_it() {
    let world = World::new(40 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.next([Fault::Hang(MIB)]);
    let slow = world.begin("a").await;
    let ahead = world.ask("a", &[range(30 * MIB, 30 * MIB + 99)]).await;
    assert!(ahead.has(&world, 1, 30 * MIB, 100));
    drop(slow);
}

#[tokio::test]
async fn what_must_not_be_kept_passes_by() {
    let world = World::new(5_000).await;
    world.origin.say("cache-control", "no-store");
    for _ in 0..2 {
        let answer = world.get("a").await;
        assert_eq!((answer.status(), answer.field("cache-status")), (200, "ferry;fwd=uri-miss;detail=\"no-store\""));
        assert!(answer.is_whole(&world, 1));
    }
    let part = world.ask("a", &[range(10, 19)]).await;
    assert_eq!((part.status(), part.bytes().len()), (206, 10));
    assert_eq!(world.cache.store().usage().objects, 0);
}

#[tokio::test]
async fn what_is_stale_is_validated_and_stays() {
    let world = World::new(5_000).await;
    world.origin.say("cache-control", "max-age=10");
    world.get("a").await;
    world.pass(11);
    let again = world.get("a").await;
    assert_eq!(again.field("cache-status"), "ferry;fwd=stale;fwd-status=304;stored;ttl=10");
    assert!(again.is_whole(&world, 1));
    assert_eq!((world.origin.sent(), world.get("a").await.field("cache-status")), (5_000, "ferry;hit;ttl=10"));
    // And what has changed is replaced.
    world.pass(11);
    world.origin.change();
    assert!(world.get("a").await.is_whole(&world, 2));
    assert!(world.get("a").await.is_whole(&world, 2));
    assert_eq!(world.origin.seen().len(), 3);
}

#[tokio::test]
async fn an_origin_in_trouble_is_stood_in_for() {
    let world = World::new(5_000).await;
    world.origin.say("cache-control", "max-age=10, stale-if-error=100");
    world.get("a").await;
    world.pass(50);
    world.origin.always(Fault::Status(500));
    let stale = world.get("a").await;
    assert_eq!(stale.field("cache-status"), "ferry;fwd=stale;ttl=-40;detail=\"origin-in-trouble\"");
    assert!(stale.is_whole(&world, 1));
    world.pass(100);
    assert_eq!(world.get("a").await.status(), 502);
}

#[tokio::test]
async fn what_is_stale_stands_in_for_an_origin_that_keeps_silent() {
    let patience = std::time::Duration::from_millis(300);
    let world = World::with(5_000, |settings| settings.stale_patience = patience).await;
    world.origin.say("cache-control", "max-age=10");
    world.get("a").await;
    world.idle().await;
    world.pass(50);
    world.origin.change();
    // As long as nobody would wait who can help it, and no longer than the origin may take for a head.
    world.origin.next([Fault::Late(std::time::Duration::from_secs(5))]);
    let begun = std::time::Instant::now();
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let stale = world.send(method, "a", &[]).await;
        assert_eq!((stale.status(), stale.field("etag")), (200, &*world.origin.content().etag(1)));
        assert!(stale.field("cache-status").ends_with("ttl=-40;detail=\"origin-late\""), "{stale:?}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "they waited for the origin");
    assert_eq!(world.origin.seen().len(), 2, "it is asked once, and not given up");
    world.idle().await;
    assert!(world.get("a").await.is_whole(&world, 2));
    assert_eq!(world.origin.seen().len(), 2);
}

#[tokio::test]
async fn what_must_be_validated_waits_for_a_silent_origin() {
    let patience = std::time::Duration::from_millis(1);
    for control in ["max-age=10, must-revalidate", "no-cache", "max-age=10, stale-if-error=0"] {
        let world = World::with(5_000, |settings| settings.stale_patience = patience).await;
        world.origin.say("cache-control", control);
        world.get("a").await;
        world.idle().await;
        world.pass(50);
        world.origin.next([Fault::Late(std::time::Duration::from_millis(300))]);
        let fresh = world.get("a").await;
        assert!(fresh.field("cache-status").contains("fwd-status=304"), "{control}: {fresh:?}");
    }
}

#[tokio::test]
async fn parts_of_two_versions_are_never_mixed() {
    let world = World::new(4 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    assert!(world.ask("a", &[range(0, 99)]).await.has(&world, 1, 0, 100));
    world.origin.change();
    // Fresh as it is said to be: the rest of it is not to be had.
    let whole = world.get("a").await;
    assert!(whole.is_whole(&world, 2), "{whole:?}");
    assert!(world.ask("a", &[range(0, 99)]).await.has(&world, 2, 0, 100));
}

#[tokio::test]
async fn a_length_that_nobody_announced_becomes_known() {
    let world = World::new(700_000).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.always(Fault::Chunked);
    let answers = join_all((0..3).map(|_| world.get("a"))).await;
    assert!(answers.iter().all(|answer| answer.is_whole(&world, 1)));
    world.idle().await;
    let part = world.ask("a", &[range(5, 9)]).await;
    assert_eq!((part.status(), part.field("content-range")), (206, "bytes 5-9/700000"));
    assert_eq!(world.origin.seen().len(), 1);
}

#[tokio::test]
async fn a_client_s_conditions_are_judged_here() {
    let world = World::new(5_000).await;
    world.origin.say("cache-control", "max-age=60");
    let etag = world.get("a").await.field("etag").to_owned();
    let same = world.ask("a", &[("if-none-match", etag.clone())]).await;
    assert_eq!((same.status(), same.field("etag"), same.field("cache-status")), (304, &*etag, "ferry;hit;ttl=60"));
    assert_eq!(world.ask("a", &[("if-match", "\"other\"".to_owned())]).await.status(), 412);
    assert_eq!(world.ask("a", &[range(5_000, 5_001)]).await.status(), 416);
    assert_eq!(world.origin.seen().len(), 1);
}

#[tokio::test]
async fn answers_say_what_all_bytes_hash_to_once_that_is_known() {
    let mut setup = world::Setup::of(5_000);
    setup.store.digest_while_filled = true;
    let world = World::of(setup).await;
    world.origin.say("cache-control", "max-age=60");
    let content = world.origin.content().bytes(1, 0..5_000);
    let digest = ring::digest::digest(&ring::digest::SHA256, &content).as_ref().try_into().expect("32 bytes");
    // Whether its first answer says it already is a matter of who was faster.
    assert!(world.get("a").await.is_whole(&world, 1));
    world.until(|world| world.cache.stats().filling == 0).await;
    let expected = of_sha256(&digest);
    let whole = world.get("a").await;
    let (part, head) = (world.ask("a", &[range(5, 9)]).await, world.send(Method::HEAD, "a", &[]).await);
    assert_eq!((whole.status(), part.status(), head.status()), (200, 206, 200));
    for got in [whole, part, head] {
        assert_eq!(got.field("repr-digest"), expected.to_str().expect("plain text"), "{got:?}");
    }
    let beyond = world.ask("a", &[range(5_000, 5_001)]).await;
    assert_eq!((beyond.status(), beyond.field("repr-digest")), (416, ""));
}

#[tokio::test]
async fn what_is_for_this_cache_reaches_no_client() {
    let world = World::with(5_000, |settings| settings.policy.surrogate_control = true).await;
    world.origin.say("surrogate-control", "max-age=60");
    for through in [false, true] {
        let object = Object { through, ..world.object(if through { "a" } else { "b" }) };
        for method in [Method::HEAD, Method::GET, Method::GET] {
            let request = Request::internal(method.clone(), "/a").expect("a request");
            let answer = world.answer(&request, &object).await;
            assert_eq!(answer.headers.get("surrogate-control"), None, "{method}, through: {through}");
            drop(bytes_of(answer).await);
        }
    }
    assert_eq!(world.origin.seen().len(), 4, "it was heeded");
}

#[tokio::test]
async fn what_an_origin_says_of_its_digest_stands() {
    let mut setup = world::Setup::of(5_000);
    setup.store.digest_while_filled = true;
    let world = World::of(setup).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.say("repr-digest", "sha-512=:AAAA:");
    world.get("a").await;
    world.until(|world| world.cache.stats().filling == 0).await;
    assert_eq!(world.get("a").await.field("repr-digest"), "sha-512=:AAAA:");
}

#[tokio::test]
async fn what_is_purged_is_fetched_anew() {
    let world = World::new(5_000).await;
    world.origin.say("cache-control", "max-age=60");
    for target in ["a/b", "a/b?x=1", "a/c"] {
        world.get(target).await;
    }
    let path = Purge::Path(world::path("a/b"));
    assert_eq!(world.cache.purge(&path).await.expect("a good disk"), 2);
    assert_eq!(world.get("a/c").await.field("cache-status"), "ferry;hit;ttl=60");
    assert_eq!(world.get("a/b").await.field("cache-status"), "ferry;fwd=uri-miss;stored;ttl=60");
    assert_eq!(world.cache.purge(&Purge::Below("a/".to_owned())).await.expect("a good disk"), 2);
    assert_eq!(world.cache.store().usage().objects, 0);
}

#[tokio::test]
async fn what_is_purged_while_it_comes_is_not_kept() {
    let world = World::new(5_000).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.next([Fault::Slow(std::time::Duration::from_millis(20))]);
    let purge = async {
        world.until(|world| world.origin.seen().len() == 1).await;
        world.cache.purge(&Purge::Below(String::new())).await.expect("a good disk");
    };
    let (answer, ()) = tokio::join!(world.get("a"), purge);
    assert!(answer.is_whole(&world, 1));
    assert_eq!(world.get("a").await.field("cache-status"), "ferry;fwd=uri-miss;stored;ttl=60");
}

#[tokio::test]
async fn what_a_post_brings_is_kept_unless_it_is_purged_while_it_comes() {
    let world = World::with(5_000, |settings| settings.policy.store_post = true).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.say("content-location", "/a");
    let post = async || {
        world.origin.next([Fault::Late(std::time::Duration::from_millis(200))]);
        world.send(Method::POST, "a", &[]).await
    };
    assert_eq!(post().await.status(), 200);
    assert_eq!(world.get("a").await.field("cache-status"), "ferry;hit;ttl=60");
    let asked = world.origin.seen().len();
    let purge = async {
        world.until(|world| world.origin.seen().len() == asked + 1).await;
        world.cache.purge(&Purge::Path(world::path("a"))).await.expect("a good disk");
    };
    let (posted, ()) = tokio::join!(post(), purge);
    assert_eq!(posted.status(), 200);
    assert!(world.get("a").await.field("cache-status").contains("uri-miss"));
}

#[tokio::test]
async fn objects_are_fetched_ahead() {
    let world = World::new(5 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    let mut told = Vec::new();
    let warm = world.cache.warm(&world.object("a"), None, |warm| told.push(warm)).await.expect("it is there");
    assert_eq!(warm, Warm { bytes: 5 * MIB, length: Some(5 * MIB) });
    assert!(told.len() > 1 && told.is_sorted_by_key(|warm| warm.bytes), "{told:?}");
    assert_eq!(world.get("a").await.field("cache-status"), "ferry;hit;ttl=60");
    let listed = world.cache.list("", None, 10).await;
    assert_eq!((listed.len(), &*listed[0].name, listed[0].bytes_here), (1, "a", 5 * MIB));
}

#[tokio::test]
async fn what_an_operator_fetches_ahead_is_kept_on_the_first_request() {
    let mut setup = world::Setup::of(5_000);
    setup.store.space.admission.first = First::Pass;
    let world = World::of(setup).await;
    world.origin.say("cache-control", "max-age=60");
    let warm = world.cache.warm(&world.object("a"), None, |_| {}).await.expect("it is let in");
    assert_eq!(warm.bytes, 5_000);
    assert_eq!(world.get("a").await.field("cache-status"), "ferry;hit;ttl=60");
    assert!(world.get("b").await.field("cache-status").contains("not-admitted"));
    // Also where it joins a client's request, which is not.
    world.origin.next([Fault::Late(std::time::Duration::from_millis(100))]);
    let joins = async {
        world.until(|world| world.cache.stats().waiting == 1).await;
        world.cache.warm(&world.object("c"), None, |_| {}).await
    };
    let (client, warm) = tokio::join!(world.get("c"), joins);
    assert!(client.is_whole(&world, 1) && warm.is_ok(), "{warm:?}");
    assert_eq!(world.get("c").await.field("cache-status"), "ferry;hit;ttl=60");
}

#[tokio::test]
async fn a_part_is_fetched_ahead_alone() {
    let world = World::new(20 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    let part = Span { start: 10 * MIB, end: 10 * MIB + 1_000 };
    let warm = world.cache.warm(&world.object("a"), Some(part), |_| {}).await.expect("it is there");
    assert_eq!(warm, Warm { bytes: 1_000, length: Some(1_000) });
    assert_eq!(world.origin.sent(), MIB, "its block");
    let beyond = Span { start: 30 * MIB, end: 31 * MIB };
    let outside = world.cache.warm(&world.object("a"), Some(beyond), |_| {}).await;
    assert!(matches!(outside, Err(WarmError::Status(StatusCode::RANGE_NOT_SATISFIABLE))), "{outside:?}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_a_fetch_that_nobody_else_needs() {
    let world = World::with(200 * MIB, |settings| settings.finish = 0).await;
    world.origin.say("cache-control", "max-age=60");
    let begun = world.begin("a").await;
    drop(begun);
    world.idle().await;
    assert!(world.origin.sent() < 200 * MIB, "{}", world.origin.sent());
    assert!(world.ask("a", &[range(0, 9)]).await.has(&world, 1, 0, 10));
}

#[tokio::test]
async fn a_waiter_goes_on_when_the_first_client_leaves() {
    let world = World::with(8 * MIB, |settings| settings.finish = 0).await;
    world.origin.say("cache-control", "max-age=60");
    let first = world.begin("a").await;
    let second = world.begin("a").await;
    drop(first);
    assert!(bytes_of(second).await.is_ok_and(|bytes| world.origin.content().has(1, 0, &bytes)));
    assert_eq!(world.origin.seen().len(), 1);
}

#[tokio::test]
async fn a_fetch_waits_for_its_readers_where_it_is_far_ahead() {
    let world = World::with(64 * MIB, |settings| settings.fill_ahead = 2 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    let answer = world.begin("a").await;
    world.until(|world| world.cache.store().usage().written >= 2 * MIB).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(world.cache.store().usage().written <= 4 * MIB);
    assert!(bytes_of(answer).await.is_ok_and(|bytes| world.origin.content().has(1, 0, &bytes)));
}

#[tokio::test]
async fn heads_are_answered_from_what_is_here() {
    let world = World::new(5_000).await;
    world.origin.say("cache-control", "max-age=60");
    let cold = world.send(Method::HEAD, "a", &[]).await;
    assert_eq!((cold.status(), cold.field("content-length")), (200, "5000"));
    world.get("a").await;
    let warm = world.send(Method::HEAD, "a", &[]).await;
    assert_eq!((warm.field("content-length"), warm.field("cache-status")), ("5000", "ferry;hit;ttl=60"));
    assert_eq!(world.origin.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_as_fast_as_the_fetch_do_not_overtake_it() {
    let world = World::new(50 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    let answers = join_all((0..4).map(|_| world.get("a"))).await;
    assert!(answers.iter().all(|answer| answer.is_whole(&world, 1)));
    assert_eq!((world.origin.seen().len(), world.origin.sent()), (1, 50 * MIB));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_while_the_origin_keeps_silent() {
    let world = World::with(20 * MIB, |settings| settings.finish = 0).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.always(Fault::Hang(MIB));
    let begun = world.begin("a").await;
    world.until(|world| world.cache.store().usage().written == MIB).await;
    drop(begun);
    // Long before the origin's silence is too long.
    tokio::time::timeout(std::time::Duration::from_secs(10), world.idle()).await.expect("nobody waits any more");
}

#[tokio::test]
async fn fetches_end_with_the_process() {
    let world = World::new(20 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.next([Fault::Hang(MIB), Fault::Silent]);
    let _begun = world.begin("a").await;
    let waits = world.get("b");
    let stops = async {
        world.until(|world| world.origin.seen().len() == 2).await;
        world.stop().await
    };
    let (waited, stopped) = tokio::join!(waits, stops);
    assert!(stopped, "none is left");
    assert_eq!(waited.status(), 200, "whoever waited is served past the cache");
}

#[tokio::test]
async fn an_answer_on_its_way_is_small() {
    let world = World::new(1).await;
    let (request, object) = (Request::internal(Method::GET, "/a").expect("a request"), world.object("a"));
    let bytes = size_of_val(&world.cache.answer(&request, &object));
    assert!(bytes < 4096, "{bytes}");
}

#[tokio::test]
async fn a_fetch_that_nobody_waits_for_gives_its_turn_back_before_long() {
    let alone = std::time::Duration::from_millis(50);
    let world = World::with(20 * MIB, |settings| settings.alone = alone).await;
    world.origin.say("cache-control", "max-age=60");
    world.origin.always(Fault::Hang(MIB));
    let begun = world.begin("a").await;
    world.until(|world| world.cache.store().usage().written == MIB).await;
    drop(begun);
    // Little is missing, but it does not come.
    tokio::time::timeout(std::time::Duration::from_secs(10), world.idle()).await.expect("it has ended");
}

#[tokio::test]
async fn an_origin_that_never_gives_the_rest_is_not_asked_without_end() {
    let world = World::new(4 * MIB).await;
    world.origin.say("cache-control", "max-age=60");
    assert!(world.ask("a", &[range(0, 99)]).await.has(&world, 1, 0, 100));
    // The whole, cut short, and ended as if that were all.
    world.origin.always(Fault::Whole.and(Fault::Stub(1_000)));
    let before = world.origin.seen().len();
    let rest = world.ask("a", &[range(3 * MIB, 3 * MIB + 99)]).await;
    assert!(rest.status() >= 500, "{rest:?}");
    assert!(world.origin.seen().len() - before < 20, "{}", world.origin.seen().len());
}
