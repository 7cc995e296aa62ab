//! One suite for every provider: the contract of `Store`, sentence by sentence.

use std::time::Duration;

use bytes::Bytes;
use ferry_store::{Change, Error, Expected, Listing, MAX_KEY_BYTES, MAX_VALUE_BYTES, WatchEvent};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::{
    providers,
    support::{Background, Shared, Watcher, create, put, soon},
};

macro_rules! on_every_provider {
    ($($case:ident)*) => {
        on_every_provider!(@ embedded: $($case)*);
        on_every_provider!(@ etcd: $($case)*);
        on_every_provider!(@ faulty_without_faults: $($case)*);
        on_every_provider!(@ faulty_with_breaking_watches: $($case)*);
    };
    (@ $provider:ident: $($case:ident)*) => {
        mod $provider {
            $(
                #[tokio::test]
                async fn $case() {
                    let provider = super::providers::$provider().await;
                    super::$case(provider.store()).await;
                }
            )*
        }
    };
}

on_every_provider! {
    what_is_put_is_read_back
    a_swap_happens_only_as_expected
    revisions_grow_store_wide
    of_many_swaps_at_one_revision_one_wins
    what_no_store_could_hold_is_refused
    a_listing_is_one_prefix_in_order
    a_watch_tells_the_whole_and_then_every_change
    a_watch_tells_only_its_prefix
    watchers_do_not_disturb_each_other
    a_watcher_that_stayed_away_catches_up
    a_cancelled_wait_loses_no_event
    a_presence_stands_until_it_is_withdrawn
    a_presence_that_is_dropped_is_gone_within_its_lease
    a_presence_outlives_its_lease_while_it_is_kept
}

async fn what_is_put_is_read_back(store: Shared) {
    assert_eq!(store.get("nodes/a").await, Ok(None));
    let every_byte: Bytes = (0..=255).collect();
    for (key, value) in [("nodes/a", every_byte), ("nodes/empty", Bytes::new()), ("größe/会", Bytes::from("x"))] {
        let made = store.compare_and_swap(key, Expected::Absent, Change::Put(value.clone())).await;
        let held = store.get(key).await.expect("readable").expect("there");
        assert_eq!((held.value, Ok(held.revision)), (value, made), "{key}");
    }
}

async fn a_swap_happens_only_as_expected(store: Shared) {
    let first = create(&*store, "k", "one").await;
    let held = store.get("k").await.expect("readable");
    let swap = |expected, change| store.compare_and_swap("k", expected, change);
    for wrong in [Expected::Absent, Expected::Revision(first + 1), Expected::Revision(0), Expected::Revision(u64::MAX)]
    {
        assert_eq!(swap(wrong, put("two")).await, Err(Error::Conflict { current: held.clone() }), "{wrong:?}");
        assert_eq!(swap(wrong, Change::Delete).await, Err(Error::Conflict { current: held.clone() }), "{wrong:?}");
    }
    assert_eq!(store.get("k").await, Ok(held), "a conflict changes nothing");
    let second = swap(Expected::Revision(first), put("two")).await.expect("as expected");
    let third = swap(Expected::Revision(second), Change::Delete).await.expect("as expected");
    assert!(first < second && second < third);
    assert_eq!(store.get("k").await, Ok(None));
    for wrong in [Expected::Revision(second), Expected::Revision(third), Expected::Revision(0)] {
        assert_eq!(swap(wrong, put("three")).await, Err(Error::Conflict { current: None }), "{wrong:?}");
    }
    assert!(swap(Expected::Absent, Change::Delete).await.is_ok(), "removing what is absent succeeds");
    assert!(create(&*store, "k", "four").await > third, "a key that returns has a new revision");
}

async fn revisions_grow_store_wide(store: Shared) {
    let mut last = store.list("").await.expect("readable").revision;
    for number in 0..20 {
        let revision = create(&*store, &format!("nodes/{number}"), "x").await;
        assert!(revision > last, "{revision} follows {last}");
        last = revision;
        assert!(store.list("elsewhere/").await.expect("readable").revision >= last);
    }
}

async fn of_many_swaps_at_one_revision_one_wins(store: Shared) {
    let mut revision = create(&*store, "counter", "0").await;
    for _ in 0..5 {
        let attempts =
            (0..20).map(|number| {
                let store = &store;
                async move {
                    store.compare_and_swap("counter", Expected::Revision(revision), put(&format!("{number}"))).await
                }
            });
        let outcomes = join_all(attempts).await;
        let won: Vec<u64> = outcomes.iter().filter_map(|outcome| outcome.clone().ok()).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict { .. }))), "{outcomes:?}");
        revision = won[0];
    }
}

async fn what_no_store_could_hold_is_refused(store: Shared) {
    let longest = "k".repeat(MAX_KEY_BYTES);
    create(&*store, &longest, "x").await;
    let largest = Bytes::from(vec![7; MAX_VALUE_BYTES]);
    let swap = |key, value| store.compare_and_swap(key, Expected::Absent, Change::Put(value));
    swap("large", largest.clone()).await.expect("the largest value fits");
    assert_eq!(store.get("large").await.expect("readable").expect("there").value, largest);
    let too_long = "k".repeat(MAX_KEY_BYTES + 1);
    for key in ["", "a\nb", "a\0", &too_long] {
        assert!(matches!(swap(key, Bytes::new()).await, Err(Error::Refused { .. })), "{key:?}");
        assert!(matches!(store.get(key).await, Err(Error::Refused { .. })), "{key:?}");
    }
    let too_large = Bytes::from(vec![7; MAX_VALUE_BYTES + 1]);
    assert!(matches!(swap("larger", too_large).await, Err(Error::Refused { .. })));
}

async fn a_listing_is_one_prefix_in_order(store: Shared) {
    let mut last = 0;
    for key in ["nodes/b", "nodes/a", "nodes0", "node", "rings/user", "nodes/a/b"] {
        last = create(&*store, key, key).await;
    }
    let keys = |listing: &Listing| listing.entries.keys().cloned().collect::<Vec<_>>();
    let nodes = store.list("nodes/").await.expect("readable");
    assert_eq!(keys(&nodes), ["nodes/a", "nodes/a/b", "nodes/b"]);
    assert!(nodes.entries.iter().all(|(key, held)| held.value == key.as_bytes() && held.revision <= nodes.revision));
    assert!(nodes.revision >= last);
    assert_eq!(keys(&store.list("").await.expect("readable")).len(), 6);
    assert_eq!(keys(&store.list("nothing/").await.expect("readable")).len(), 0);
}

async fn a_watch_tells_the_whole_and_then_every_change(store: Shared) {
    let before = create(&*store, "nodes/a", "old").await;
    let mut watcher = Watcher::new(&*store, "nodes/");
    let first = soon("the first event", async {
        loop {
            match watcher.step().await {
                WatchEvent::Lost(_) => {} // the only thing that may come before
                told => break told,
            }
        }
    })
    .await;
    assert!(matches!(&first, WatchEvent::Reset(all) if all.entries["nodes/a"].revision == before), "{first:?}");
    let put_at = store.compare_and_swap("nodes/a", Expected::Revision(before), put("new")).await.expect("unchanged");
    watcher.until("the put", |watcher| watcher.value("nodes/a") == Some(b"new")).await;
    assert_eq!(watcher.view.entries()["nodes/a"].revision, put_at);
    let gone = store.compare_and_swap("nodes/a", Expected::Revision(put_at), Change::Delete).await.expect("unchanged");
    watcher.until("the removal", |watcher| watcher.view.entries().is_empty()).await;
    assert!(watcher.view.revision() >= gone);
}

async fn a_watch_tells_only_its_prefix(store: Shared) {
    let mut watcher = Watcher::new(&*store, "nodes/");
    watcher.begin().await;
    create(&*store, "rings/user", "x").await;
    create(&*store, "nodes", "x").await;
    create(&*store, "nodes/last", "x").await;
    watcher.until("the last change", |watcher| watcher.value("nodes/last").is_some()).await;
    assert_eq!(watcher.view.entries().len(), 1);
}

async fn watchers_do_not_disturb_each_other(store: Shared) {
    let mut watchers: Vec<Watcher> = (0..5).map(|_| Watcher::new(&*store, "nodes/")).collect();
    for (number, watcher) in watchers.iter_mut().enumerate() {
        watcher.begin().await;
        create(&*store, &format!("nodes/{number}"), "x").await;
    }
    let mut dropped = watchers.split_off(3);
    dropped.clear();
    let all = store.list("nodes/").await.expect("readable");
    for watcher in &mut watchers {
        watcher.until("all five", |watcher| *watcher.view.entries() == all.entries).await;
    }
}

async fn a_watcher_that_stayed_away_catches_up(store: Shared) {
    /// More than any provider keeps for a watcher that does not look.
    const CHANGES: usize = 1500;
    let mut watcher = Watcher::new(&*store, "");
    watcher.begin().await;
    create(&*store, "missed/by/those/who/skip", "x").await;
    let mut revision = create(&*store, "busy", "0").await;
    for number in 1..CHANGES {
        revision = store
            .compare_and_swap("busy", Expected::Revision(revision), put(&format!("{number}")))
            .await
            .expect("nobody else changes it");
    }
    let all = store.list("").await.expect("readable");
    watcher.until("the last change", |watcher| *watcher.view.entries() == all.entries).await;
    assert_eq!(watcher.view.entries()["busy"].revision, revision);
}

async fn a_cancelled_wait_loses_no_event(store: Shared) {
    let mut watcher = Watcher::new(&*store, "");
    watcher.begin().await;
    for number in 0..50 {
        let key = format!("nodes/{number:02}");
        create(&*store, &key, "x").await;
        // Waits that end at any point of the watch's work: here, after one poll.
        for _ in 0..3 {
            tokio::select! {
                biased;
                _ = watcher.step() => {}
                () = tokio::task::yield_now() => {}
            }
        }
    }
    watcher.until("all fifty", |watcher| watcher.view.entries().len() == 50).await;
}

async fn a_presence_stands_until_it_is_withdrawn(store: Shared) {
    let mut watcher = Watcher::new(&*store, "coordinators/");
    watcher.begin().await;
    let stop = CancellationToken::new();
    let ttl = Duration::from_secs(30);
    let presence = Background::run(store.present("coordinators/a", Bytes::from("here"), ttl, stop.clone()));
    watcher.until("the presence", |watcher| watcher.value("coordinators/a") == Some(b"here")).await;
    let standing = store.get("coordinators/a").await.expect("readable").expect("there");
    stop.cancel();
    presence.ended().await;
    assert_eq!(store.get("coordinators/a").await, Ok(None), "gone at once, long before the lease ends");
    watcher.until("the withdrawal", |watcher| watcher.view.entries().is_empty()).await;
    assert!(store.list("").await.expect("readable").revision > standing.revision, "its going is a change, too");
}

async fn a_presence_that_is_dropped_is_gone_within_its_lease(store: Shared) {
    let mut watcher = Watcher::new(&*store, "coordinators/");
    let ttl = Duration::from_secs(2);
    let presence = Background::run(store.present("coordinators/a", Bytes::from("x"), ttl, CancellationToken::new()));
    watcher.until("the presence", |watcher| watcher.value("coordinators/a").is_some()).await;
    drop(presence);
    watcher.until("its end", |watcher| watcher.view.was_read() && watcher.view.entries().is_empty()).await;
    assert_eq!(store.get("coordinators/a").await, Ok(None));
}

async fn a_presence_outlives_its_lease_while_it_is_kept(store: Shared) {
    let ttl = Duration::from_secs(2);
    let _presence = Background::run(store.present("coordinators/a", Bytes::from("x"), ttl, CancellationToken::new()));
    let mut watcher = Watcher::new(&*store, "coordinators/");
    watcher.until("the presence", |watcher| watcher.value("coordinators/a").is_some()).await;
    let since = watcher.view.entries()["coordinators/a"].revision;
    tokio::time::sleep(ttl * 3).await; // three leases: nothing else can show that they were renewed
    let held = store.get("coordinators/a").await.expect("readable").expect("still there");
    assert_eq!(held.revision, since, "kept, not put anew");
}
