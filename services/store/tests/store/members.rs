//! What only several members of one etcd can do: lose their leader, their majority, or one of their number.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ferry_store::{Error, Etcd, Expected, Store, WatchEvent};
use tokio_util::sync::CancellationToken;

use crate::{
    support::{Background, Watcher, create, put, soon},
    trio::Trio,
};

/// Longer than the members take to elect a leader, so that a presence survives one.
const LEASE: Duration = Duration::from_secs(6);
/// What the contract calls "a few seconds", for a machine that is busy.
const CALL: Duration = Duration::from_secs(5);

/// Ways for a leader to go.
#[derive(Debug, Clone, Copy)]
enum Exit {
    Killed,
    Stopped,
}

#[tokio::test]
async fn watches_writes_and_presences_go_on_when_the_leader_is_killed() {
    the_leader_goes(Exit::Killed).await;
}

#[tokio::test]
async fn watches_writes_and_presences_go_on_when_the_leader_hangs() {
    the_leader_goes(Exit::Stopped).await;
}

async fn the_leader_goes(exit: Exit) {
    const BEFORE: u64 = 20;
    const AFTER: u64 = 40;
    let mut trio = Trio::start().await;
    let order = trio.followers_first().await;
    let leader = order[2];
    // Everybody's connection is to the one that will go.
    let leader_first = [leader, order[0], order[1]];
    let (store, watching) = (trio.store(&leader_first), trio.store(&leader_first));
    let stop = CancellationToken::new();
    let presence = Background::run(store.present("me", Bytes::from("x"), LEASE, stop.clone()));
    let mut watcher = Watcher::new(&watching, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;

    let mut told = Told::default();
    count(&store, 0..BEFORE).await;
    told.until_value(&mut watcher, BEFORE).await;
    match exit {
        Exit::Killed => trio.members[leader].kill(),
        Exit::Stopped => trio.members[leader].freeze(),
    }
    let gone = Instant::now();
    soon("to count on", count(&store, BEFORE..AFTER)).await;
    told.until_value(&mut watcher, AFTER).await;
    assert!(gone.elapsed() < Duration::from_secs(12), "back after {:?}", gone.elapsed());
    assert!(told.presence_stood, "the presence was gone for a while");

    match exit {
        Exit::Killed => trio.members[leader].relaunch(),
        Exit::Stopped => trio.members[leader].thaw(),
    }
    soon("the member to answer", trio.members[leader].ready()).await;
    // It is one of three again, and brings nothing old with it.
    let returned = trio.store(&[leader]);
    let held = soon("a read", until_answered(|| returned.get("counter"))).await.expect("there");
    assert_eq!(held.value, AFTER.to_string());
    stop.cancel();
    presence.ended().await;
}

/// What a watch told of the counter: never the same twice, nothing out of order, and nothing older than before.
#[derive(Default)]
struct Told {
    revision: u64,
    value: u64,
    presence_stood: bool,
}

impl Told {
    async fn until_value(&mut self, watcher: &mut Watcher, wanted: u64) {
        self.presence_stood = true;
        soon(&format!("{wanted} to be counted"), async {
            while self.value < wanted {
                let event = watcher.step().await;
                self.take(&event);
                self.presence_stood &= watcher.value("me").is_some();
            }
        })
        .await;
    }

    fn take(&mut self, event: &WatchEvent) {
        match event {
            WatchEvent::Put(key, put) => {
                assert!(put.revision > self.revision, "{key} at {} was told after {}", put.revision, self.revision);
                self.revision = put.revision;
                if key == "counter" {
                    let value = number(&put.value);
                    assert_eq!(value, self.value + 1, "one was lost");
                    self.value = value;
                }
            }
            WatchEvent::Delete(_, revision) => self.revision = *revision,
            WatchEvent::Reset(listing) => {
                assert!(listing.revision >= self.revision, "{} was listed after {}", listing.revision, self.revision);
                let value = listing.entries.get("counter").map_or(0, |held| number(&held.value));
                assert!(value >= self.value, "{value} was listed after {}", self.value);
                (self.revision, self.value) = (listing.revision, value);
            }
            WatchEvent::Lost(_) => {}
        }
    }
}

fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).expect("digits").parse().expect("a number")
}

/// Counts up, one by one. A step whose answer is lost is looked for before it is made again: so none is made twice.
async fn count(store: &Etcd, steps: std::ops::Range<u64>) {
    for step in steps {
        loop {
            let held = until_answered(|| store.get("counter")).await;
            let expected = match &held {
                None => Expected::Absent,
                Some(held) if number(&held.value) == step + 1 => break,
                Some(held) => {
                    assert_eq!(number(&held.value), step, "somebody counted twice");
                    Expected::Revision(held.revision)
                }
            };
            match store.compare_and_swap("counter", expected, put(&(step + 1).to_string())).await {
                Ok(_) => break,
                Err(Error::Unavailable { .. } | Error::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn until_answered<T, F: Future<Output = Result<T, Error>>>(mut ask: impl FnMut() -> F) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn without_a_majority_calls_fail_in_time_and_all_heals_with_it() {
    let trio = Trio::start().await;
    let order = trio.followers_first().await;
    let store = trio.store(&order);
    let _presence = Background::run(store.present("me", Bytes::from("x"), LEASE, CancellationToken::new()));
    let mut watcher = Watcher::new(&store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    let revision = create(&store, "before", "x").await;
    for &member in &order[1..] {
        trio.members[member].freeze();
    }

    for _ in 0..2 {
        let asked = Instant::now();
        let read = store.get("before").await;
        assert!(matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
        assert!(asked.elapsed() < CALL, "a read ended after {:?}", asked.elapsed());
        let asked = Instant::now();
        let written = store.compare_and_swap("before", Expected::Revision(revision), put("y")).await;
        assert!(matches!(written, Err(Error::Unavailable { .. })), "{written:?}");
        assert!(asked.elapsed() < CALL, "a write ended after {:?}", asked.elapsed());
    }
    watcher.until("the loss", |watcher| watcher.view.lost().is_some()).await;
    assert!(watcher.value("before").is_some(), "the last words stand");

    for &member in &order[1..] {
        trio.members[member].thaw();
    }
    watcher.until("the store in sight", |watcher| watcher.view.lost().is_none()).await;
    create(&store, "after", "x").await;
    watcher
        .until("all that there is", |watcher| watcher.value("after").is_some() && watcher.value("me").is_some())
        .await;
    // Of the writes that nobody heard of, at most one was made, and at most once.
    let held = store.get("before").await.expect("readable").expect("there");
    assert!(held.revision == revision || held.value == "y", "{held:?}");
}

/// Its own clients reach it, and it answers them what it knows: an old revision, for all that is asked of it alone.
#[tokio::test]
async fn a_member_that_was_cut_off_and_is_behind_is_never_believed() {
    let trio = Trio::start().await;
    let order = trio.followers_first().await;
    let (behind, other) = (order[0], order[1]);
    let store = Arc::new(trio.store(&order));
    let first = create(&*store, "k", "old").await;
    let mut watcher = Watcher::new(&*store, "");
    watcher.begin().await;
    // Both read and watch at the member that is about to be cut off.
    assert_eq!(store.get("k").await.expect("readable").expect("there").revision, first);
    trio.cut_off(behind).await;
    let elsewhere = trio.store(&[other, order[2]]);
    let second = elsewhere.compare_and_swap("k", Expected::Revision(first), put("new")).await.expect("two of three");

    let asked = Instant::now();
    let held = store.get("k").await.expect("another member answers").expect("there");
    assert_eq!((held.revision, &*held.value), (second, &b"new"[..]));
    assert!(asked.elapsed() < CALL, "answered after {:?}", asked.elapsed());
    let alone = trio.store(&[behind]);
    let asked = Instant::now();
    let read = alone.list("").await;
    assert!(matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
    assert!(asked.elapsed() < CALL, "refused after {:?}", asked.elapsed());

    // The watch stood at the member that hears nothing: it must find out, and go elsewhere.
    let mut told = first;
    let cut = Instant::now();
    while watcher.value("k") != Some(b"new") {
        soon("the change", watcher.step()).await;
        assert!(watcher.view.revision() >= told, "it went back from {told} to {}", watcher.view.revision());
        told = watcher.view.revision();
    }
    assert!(cut.elapsed() < Duration::from_secs(12), "noticed after {:?}", cut.elapsed());

    trio.heal();
    let held = soon("the member to catch up", until_answered(|| alone.get("k"))).await.expect("there");
    assert_eq!(held.revision, second);
}
