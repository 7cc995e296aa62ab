//! The failing twin fails as told, and no further.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ferry_store::{Error, Expected, Faults, Faulty, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    providers::{self, Provider},
    support::{Background, Watcher, create, put},
};

async fn faulty() -> (Arc<Faulty>, Faults, Provider) {
    let inner = providers::embedded().await;
    let (store, faults) = Faulty::new(inner.store());
    (Arc::new(store), faults, inner)
}

fn is_unavailable<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Unavailable { .. }))
}

#[tokio::test]
async fn calls_fail_as_often_as_told_and_do_nothing() {
    let (store, faults, inner) = faulty().await;
    faults.fail_next(3);
    assert!(is_unavailable(&store.compare_and_swap("k", Expected::Absent, put("x")).await));
    assert!(is_unavailable(&store.get("k").await));
    assert!(is_unavailable(&store.list("").await));
    assert_eq!(store.get("k").await, Ok(None), "healed by itself, and nothing was written");
    assert_eq!(inner.store().get("k").await, Ok(None));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_change_made() {
    let (store, faults, _inner) = faulty().await;
    faults.lose_answers(1);
    assert!(is_unavailable(&store.compare_and_swap("k", Expected::Absent, put("x")).await));
    assert_eq!(store.get("k").await.expect("readable").expect("made").value, "x");
}

#[tokio::test]
async fn a_delayed_store_answers_late() {
    let (store, faults, _inner) = faulty().await;
    faults.delay(Duration::from_millis(80));
    let begun = Instant::now();
    assert_eq!(store.get("k").await, Ok(None));
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_broken_watch_is_lost_and_comes_back_whole() {
    let (store, faults, inner) = faulty().await;
    let mut watcher = Watcher::new(&*store, "");
    watcher.begin().await;
    faults.break_watches();
    watcher.until("the loss", |watcher| watcher.losses.len() == 1).await;
    create(&*inner.store(), "k", "x").await;
    watcher.until("the second listing", |watcher| watcher.resets == 2).await;
    assert!(watcher.view.lost().is_none());
    watcher.until("what was missed", |watcher| watcher.value("k").is_some()).await;
}

#[tokio::test]
async fn a_store_that_is_away_takes_presences_and_watches_along_until_it_heals() {
    let (store, faults, inner) = faulty().await;
    let ttl = Duration::from_secs(30);
    let _presence = Background::run(store.present("me", Bytes::from("x"), ttl, CancellationToken::new()));
    let mut watcher = Watcher::new(&*store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    let mut behind = Watcher::new(&*inner.store(), "");
    behind.begin().await;
    faults.go_away();
    watcher.until("the loss", |watcher| watcher.view.lost().is_some()).await;
    behind.until("the end of the presence", |behind| behind.view.entries().is_empty()).await;
    assert!(is_unavailable(&store.get("me").await));
    faults.heal();
    watcher.until("its return", |watcher| watcher.view.lost().is_none() && watcher.value("me").is_some()).await;
}
