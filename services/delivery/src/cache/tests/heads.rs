//! Many HEADs at once, of what is not here.

use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderValue, Method};

use super::{
    world::{Got, World},
    *,
};
use crate::origin::faulty::Fault;

const LENGTH: u64 = 5_000;

async fn world(control: &'static str) -> World {
    let world = World::new(LENGTH).await;
    world.origin.say("cache-control", control);
    world
}

async fn heads(world: &World, many: usize) -> Vec<Got> {
    join_all((0..many).map(|_| world.send(Method::HEAD, "a", &[]))).await
}

#[tokio::test]
async fn all_who_want_the_head_of_a_cold_object_share_one_exchange() {
    let world = world("max-age=60").await;
    let answers = heads(&world, 100).await;
    let right = |got: &Got| got.status() == 200 && got.field("content-length") == "5000" && got.bytes().is_empty();
    assert!(answers.iter().all(right), "{answers:?}");
    assert_eq!((world.origin.seen().len(), world.cache.stats().collapsed), (1, 99));
    assert_eq!(answers[0].field("cache-status"), "ferry;fwd=uri-miss");
    assert_eq!(answers[1].field("cache-status"), "ferry;fwd=uri-miss;collapsed");
    // It brought nothing that a GET could be answered with.
    assert!(world.get("a").await.is_whole(&world, 1));
}

#[tokio::test]
async fn a_head_waits_for_the_get_that_is_under_way() {
    let world = world("max-age=60").await;
    world.origin.next([Fault::Late(Duration::from_millis(200))]);
    let head = async {
        world.until(|world| world.origin.seen().len() == 1).await;
        world.send(Method::HEAD, "a", &[]).await
    };
    let (got, head) = tokio::join!(world.get("a"), head);
    assert!(got.is_whole(&world, 1));
    assert_eq!((head.status(), head.field("content-length")), (200, "5000"));
    assert_eq!(head.field("cache-status"), "ferry;fwd=uri-miss;stored;collapsed;ttl=60");
    assert_eq!(world.origin.seen().len(), 1);
}

#[tokio::test]
async fn a_head_that_is_for_one_client_is_given_to_no_other() {
    let world = world("private").await;
    for round in 1..=2 {
        let answers = heads(&world, 10).await;
        assert!(answers.iter().all(|got| got.status() == 200 && !got.field("cache-status").contains("collapsed")));
        assert_eq!(world.origin.seen().len(), 10 * round);
    }
}

#[tokio::test]
async fn each_head_is_answered_by_its_own_conditions() {
    let world = world("max-age=60").await;
    let etag = world.origin.content().etag(1);
    let fields = [("if-none-match", etag)];
    let (same, plain) = tokio::join!(world.send(Method::HEAD, "a", &fields), world.send(Method::HEAD, "a", &[]));
    assert_eq!((same.status(), plain.status(), world.origin.seen().len()), (304, 200, 1));
}

#[tokio::test]
async fn a_head_that_varies_answers_those_that_ask_alike() {
    let world = world("max-age=60").await;
    world.origin.say("vary", "accept-language");
    world.origin.next([Fault::Late(Duration::from_millis(100))]);
    let request = Request::internal(Method::HEAD, "/a").expect("a request");
    let spoken = |language: &'static str| {
        let mut object = world.object("a");
        object.origin_headers.insert("accept-language", HeaderValue::from_static(language));
        object
    };
    let (zh, en) = (spoken("zh"), spoken("en"));
    let answers = [&zh, &en, &zh].map(|object| world.answer(&request, object));
    assert!(join_all(answers).await.iter().all(|answer| answer.status == StatusCode::OK));
    let mut asked: Vec<_> = world.origin.seen().iter().map(|seen| seen.headers["accept-language"].clone()).collect();
    asked.sort();
    assert_eq!(asked, ["en", "zh"]);
}

#[tokio::test]
async fn what_is_stale_stands_in_for_an_origin_that_gives_no_head() {
    let world = world("max-age=10, stale-if-error=100").await;
    world.get("a").await;
    world.pass(50);
    world.origin.always(Fault::Status(500));
    for got in heads(&world, 3).await {
        assert_eq!((got.status(), got.field("content-length")), (200, "5000"));
        assert!(got.field("cache-status").ends_with("ttl=-40;detail=\"origin-in-trouble\""), "{got:?}");
    }
    // Once more than it was asked: what is worth another try is tried again.
    assert_eq!(world.origin.seen().len(), 2);
}
