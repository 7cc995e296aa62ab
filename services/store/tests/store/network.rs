//! What a network does to one who talks to etcd: silence with the connection open, answers that are lost, delays, other addresses.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ferry_store::{Error, Expected, Store};
use tokio_util::sync::CancellationToken;

use crate::{
    proxy::Proxy,
    server::Server,
    support::{Background, Watcher, create, put, soon},
    trio::store_at,
};

/// What the contract calls "a few seconds", for a machine that is busy.
const CALL: Duration = Duration::from_secs(5);
/// Port 1 of loopback: nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn the_next_endpoint_is_asked_at_once_when_nobody_takes_the_connection() {
    let server = Server::start().await;
    let reading = store_at([NOBODY.to_owned(), server.endpoint()]);
    assert_eq!(reading.get("k").await, Ok(None));
    // A write, too: it is certain that it never left.
    let writing = store_at([NOBODY.to_owned(), server.endpoint()]);
    create(&writing, "k", "x").await;
    let nowhere = store_at([NOBODY.to_owned(), NOBODY.to_owned()]);
    let asked = Instant::now();
    let answer = nowhere.get("k").await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    assert!(asked.elapsed() < CALL, "it went round for {:?}", asked.elapsed());
}

#[tokio::test]
async fn a_read_leaves_a_silent_or_slow_endpoint_for_another() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    for trouble in [|proxy: &Proxy| proxy.cut(), |proxy: &Proxy| proxy.delay(Duration::from_secs(10))] {
        let store = store_at([proxy.endpoint(), server.endpoint()]);
        assert_eq!(store.get("k").await, Ok(None), "all is well so far");
        trouble(&proxy);
        let asked = Instant::now();
        assert_eq!(store.get("k").await, Ok(None));
        assert!(asked.elapsed() < CALL, "answered after {:?}", asked.elapsed());
        let asked = Instant::now();
        assert_eq!(store.get("k").await, Ok(None), "it stays with the one that answers");
        assert!(asked.elapsed() < Duration::from_secs(1), "answered after {:?}", asked.elapsed());
        proxy.heal();
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_fails_in_time_and_was_made_once() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let direct = store_at([server.endpoint()]);
    let store = store_at([proxy.endpoint(), server.endpoint()]);
    let first = create(&store, "k", "one").await;
    proxy.hold_answers();
    let asked = Instant::now();
    let answer = store.compare_and_swap("k", Expected::Revision(first), put("two")).await;
    // Neither success, which nobody can know, nor a conflict with the caller's own write.
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    assert!(asked.elapsed() < CALL, "failed after {:?}", asked.elapsed());
    let held = direct.get("k").await.expect("readable").expect("there");
    assert_eq!((&*held.value, held.revision), (&b"two"[..], first + 1));
    assert_eq!(direct.list("").await.expect("readable").revision, first + 1, "it was made once");
    assert_eq!(store.get("k").await.expect("the next endpoint answers"), Some(held), "read back");
}

/// Deletions leave nothing that a later read could find: only a fresh read of everything, which replaces what was known, shows them.
#[tokio::test]
async fn what_was_deleted_and_compacted_while_a_watch_was_cut_off_is_gone_from_it() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let direct = store_at([server.endpoint()]);
    let gone = create(&direct, "nodes/gone", "x").await;
    create(&direct, "nodes/stays", "x").await;
    let mut watcher = Watcher::new(&store_at([proxy.endpoint()]), "nodes/");
    watcher.begin().await;

    proxy.cut();
    direct
        .compare_and_swap("nodes/gone", Expected::Revision(gone), ferry_store::Change::Delete)
        .await
        .expect("as expected");
    let last = create(&direct, "nodes/new", "x").await;
    let compaction = i64::try_from(last).expect("small");
    server.client().await.compact(compaction, None).await.expect("etcd compacts");
    watcher.until("the loss", |watcher| watcher.view.lost().is_some()).await;
    assert!(watcher.value("nodes/gone").is_some(), "the last words stand");
    let resets = watcher.resets;
    proxy.heal();
    watcher.until("a fresh reading", |watcher| watcher.resets > resets).await;
    assert_eq!(watcher.view.lost(), None);
    let held: Vec<_> = watcher.view.entries().keys().collect();
    assert_eq!(held, ["nodes/new", "nodes/stays"]);
    assert!(watcher.view.revision() >= last);
}

/// etcd is restored from a backup, or an address leads to another cluster: what it says is older than what is known.
#[tokio::test]
async fn a_store_that_went_back_is_not_believed() {
    let (server, restored) = (Server::start().await, Server::start().await);
    let proxy = Proxy::start(server.port()).await;
    let store = store_at([proxy.endpoint()]);
    let mut revision = create(&store, "k", "0").await;
    for number in 1..5 {
        let swapped = store.compare_and_swap("k", Expected::Revision(revision), put(&number.to_string())).await;
        revision = swapped.expect("nobody else changes it");
    }
    let mut watcher = Watcher::new(&store, "");
    watcher.begin().await;
    proxy.lead_to(restored.port());
    let answer = store.list("").await;
    assert!(matches!(&answer, Err(Error::Unavailable { why }) if why.contains("behind")), "{answer:?}");
    watcher
        .until("the watch to say so", |watcher| watcher.losses.iter().any(|why| why.to_string().contains("behind")))
        .await;
    assert!(watcher.value("k").is_some() && watcher.view.revision() >= revision, "the last words stand");
    proxy.lead_to(server.port());
    watcher.until("the store in sight", |watcher| watcher.view.lost().is_none()).await;
    assert_eq!(store.get("k").await.expect("readable").expect("there").revision, revision);
}

/// The holder slept, or its network did: etcd has forgotten the lease when it returns.
#[tokio::test]
async fn a_presence_whose_holder_was_away_beyond_its_lease_returns_under_a_new_one() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = store_at([proxy.endpoint()]);
    let ttl = Duration::from_secs(2);
    let _presence = Background::run(store.present("me", Bytes::from("x"), ttl, CancellationToken::new()));
    let mut client = server.client().await;
    let mut lease = async || Some(client.get("/ferry/v1/me", None).await.expect("readable").kvs().first()?.lease());
    let first = soon("the presence", until_some(&mut lease)).await;
    proxy.cut();
    soon("its end", async { while lease().await.is_some() {} }).await;
    proxy.heal();
    let healed = Instant::now();
    let second = soon("its return", until_some(&mut lease)).await;
    assert_ne!(first, second);
    assert!(healed.elapsed() < CALL, "it returned after {:?}", healed.elapsed());
}

async fn until_some<T>(look: &mut impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A slow disk or a machine that swaps: every call takes long, and none fails.
#[tokio::test]
async fn an_etcd_that_hangs_now_and_then_is_slow_and_nothing_worse() {
    const HANGS: usize = 6;
    let server = Server::start().await;
    let store = store_at([server.endpoint()]);
    let mut watcher = Watcher::new(&store, "");
    watcher.begin().await;
    let hanging = async {
        for _ in 0..HANGS {
            server.freeze();
            tokio::time::sleep(Duration::from_millis(300)).await; // the hang itself
            server.thaw();
            store.get("k").await.expect("it answers between two hangs");
        }
    };
    let writing = async {
        let mut revision = create(&store, "k", "0").await;
        for number in 1..50 {
            let swapped = store.compare_and_swap("k", Expected::Revision(revision), put(&number.to_string())).await;
            revision = swapped.expect("late, and made");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        revision
    };
    let ((), last) = tokio::join!(hanging, writing);
    watcher.until("all of it", |watcher| watcher.view.revision() >= last).await;
    assert_eq!((watcher.resets, watcher.losses.len()), (1, 0), "{:?}", watcher.losses);
}
