//! Limits, eviction and admission.

use ferry_core::eviction::{Admission, First};

use super::*;
use crate::cache::store::faulty::Fault;

/// What an object of 10,000 bytes takes.
const TAKES: u64 = 10_000 + 2 * 4096;

/// Room for ten of them, and for an empty one.
const LIMIT: u64 = 10 * TAKES + 2 * 4096;

/// Room for ten objects of 10,000 bytes, and free space as the twin says.
fn ten() -> Settings {
    let admission = Admission { largest: 50_000, first: First::Admit };
    let space = Space { free_low: 0, free_high: 0, admission, ..Space::of(LIMIT) };
    Settings { space, ..settings() }
}

async fn ask(store: &Store, key: &str) -> bool {
    if find(store, key).await.is_some() {
        return true;
    }
    let content = pattern(10_000);
    if let Some(object) = store.create(key, new(Some(10_000))).await.expect("a good disk") {
        fill(&object, Span::at(0, 10_000), &content).await.expect("there is room");
    }
    false
}

#[tokio::test]
async fn the_limit_is_never_passed_and_a_scan_pushes_out_nothing_that_is_asked_for() {
    let world = World::new();
    let store = world.open_with(ten()).await;
    for key in ["a", "b", "c", "a", "b", "c"] {
        ask(&store, key).await;
    }
    for number in 0..40 {
        ask(&store, &format!("scan/{number}")).await;
        assert!(store.usage().bytes <= LIMIT, "{:?}", store.usage());
        assert!(ask(&store, ["a", "b", "c"][number % 3]).await, "{number}");
    }
    assert!(store.usage().evicted >= 30);
    let (files, objects) = (world.files("data").len(), store.usage().objects);
    assert_eq!((files, world.files("meta").len()), (objects, objects));
}

#[tokio::test]
async fn an_object_in_use_is_not_evicted_and_a_fill_without_room_passes() {
    let world = World::new();
    let store = world.open_with(ten()).await;
    let mut held = Vec::new();
    for number in 0..10 {
        ask(&store, &number.to_string()).await;
        held.push(find(&store, &number.to_string()).await.expect("it fits"));
    }
    let object = create(&store, "late", 10_000).await;
    let filled = fill(&object, Span::at(0, 10_000), &pattern(10_000)).await;
    assert!(matches!(filled, Err(FillError::Full)), "{filled:?}");
    assert!(object.is_lost() && find(&store, "late").await.is_none());
    for (number, object) in held.iter().enumerate() {
        assert!(Arc::ptr_eq(object, &find(&store, &number.to_string()).await.expect("it is in use")));
    }
    drop(held);
    assert!(!ask(&store, "later").await && ask(&store, "later").await);
}

#[tokio::test]
async fn empty_objects_take_room_too() {
    let world = World::new();
    let store = world.open_with(ten()).await;
    let mut held = Vec::new();
    while let Some(object) = store.create(&held.len().to_string(), new(None)).await.expect("a good disk") {
        held.push(object);
        assert!(store.usage().bytes <= LIMIT, "{:?}", store.usage());
    }
    assert_eq!((held.len() as u64, store.usage().objects), (LIMIT / 8192, held.len()));
    store.settle().await;
    assert_eq!((world.files("meta").len(), world.files("data").len()), (held.len(), held.len()));
    held.clear();
    assert!(store.create("later", new(None)).await.expect("a good disk").is_some());
}

#[tokio::test]
async fn what_is_pinned_stays_until_it_is_purged() {
    let world = World::new();
    let space = Space { pinned: vec!["os/".to_owned()], ..ten().space };
    let store = world.open_with(Settings { space, ..ten() }).await;
    ask(&store, "os/1").await;
    for number in 0..30 {
        ask(&store, &number.to_string()).await;
    }
    assert!(find(&store, "os/1").await.is_some());
    assert_eq!(store.purge_below("os/").await.expect("a good disk"), 1);
    assert!(find(&store, "os/1").await.is_none());
}

#[tokio::test]
async fn what_is_too_large_or_asked_for_once_passes_as_configured() {
    let world = World::new();
    let admission = Admission { largest: 20_000, first: First::Pass };
    let space = Space { admission, pinned: vec!["os/".to_owned()], ..ten().space };
    let store = world.open_with(Settings { space, ..ten() }).await;
    let kept = async |key: &str, length| store.create(key, new(Some(length))).await.expect("a good disk").is_some();
    assert!(!kept("a", 20_001).await && !kept("a", 20_001).await, "too large");
    assert!(!kept("b", 20_000).await, "the first time");
    assert!(kept("b", 20_000).await, "the second time");
    assert!(kept("os/1", 90_000).await, "an operator wants it");
}

#[tokio::test]
async fn objects_go_where_the_disk_gets_full_by_others() {
    let world = World::new();
    let space = Space { free_low: 1_000, free_high: 1_000 + 3 * TAKES, ..ten().space };
    let opened = Store::open_faulty(&world.directory, Settings { space, ..ten() }, &world.shadows).await;
    let (store, faults) = opened.expect("a good directory");
    store.stocked().await;
    faults.set_free(1_000);
    for number in 0..8 {
        ask(&store, &number.to_string()).await;
    }
    store.keep_within().await.expect("a good disk");
    assert_eq!(store.usage().objects, 8, "enough is free");
    faults.set_free(999);
    let held = find(&store, "7").await;
    store.keep_within().await.expect("a good disk");
    assert_eq!(store.usage().objects, 4);
    // It stays as it is, whatever goes: what little is left on the disk is for others.
    assert!(store.create("new", new(None)).await.expect("a good disk").is_none());
    store.keep_within().await.expect("a good disk");
    let object = held.expect("it was there");
    assert_eq!((store.usage().objects, check(&object, &pattern(10_000))), (1, 10_000), "but not what is in use");
    faults.set_free(1_000);
    store.keep_within().await.expect("a good disk");
    assert!(store.create("new", new(None)).await.expect("a good disk").is_some());
}

#[tokio::test]
async fn what_others_reserve_is_given_back() {
    let world = World::new();
    let store = world.open_with(ten()).await;
    let object = create(&store, "a", 40_000).await;
    let mut fill = object.claim(Span::at(0, 40_000)).expect("nobody has it");
    fill.write(&pattern(5_000)).await.expect("there is room");
    assert!(store.usage().bytes > 40_000, "for what is to come");
    drop(fill);
    assert_eq!(store.usage().bytes, 5_000 + 2 * 4096);
}

#[tokio::test]
async fn a_disk_that_refuses_to_delete_makes_no_room() {
    let world = World::new();
    let opened = Store::open_faulty(&world.directory, ten(), &world.shadows).await;
    let (store, faults) = opened.expect("a good directory");
    store.stocked().await;
    for number in 0..10 {
        ask(&store, &number.to_string()).await;
    }
    let object = create(&store, "late", 10_000).await;
    faults.fail_after(0, Fault::Io);
    let filled = fill(&object, Span::at(0, 10_000), &pattern(10_000)).await;
    assert!(matches!(filled, Err(FillError::Disk(_))), "{filled:?}");
    faults.heal();
    assert!(!ask(&store, "later").await && ask(&store, "later").await);
}

#[tokio::test]
async fn a_lower_limit_is_kept_after_a_restart_and_old_favourites_stay() {
    let world = World::new();
    let store = world.open_with(ten()).await;
    for number in 0..10 {
        ask(&store, &number.to_string()).await;
    }
    for key in ["3", "8"] {
        let object = find(&store, key).await.expect("it fits");
        (0..3).for_each(|_| object.used(long_ago()));
        store.settle().await;
    }
    drop(store);
    let space = Space { bytes: 4 * TAKES, ..ten().space };
    let store = world.open_with(Settings { space, ..ten() }).await;
    store.keep_within().await.expect("a good disk");
    assert!((2..=4).contains(&store.usage().objects), "{:?}", store.usage());
    assert!(find(&store, "3").await.is_some() && find(&store, "8").await.is_some());
}
