//! A disk that fails or is full.

use super::*;
use crate::cache::store::faulty::Fault;

#[tokio::test]
async fn a_disk_that_fails_in_mid_fill_ends_that_object_alone() {
    for fault in [Fault::Io, Fault::Full] {
        let world = World::new();
        let (content, (store, faults)) = (pattern(5_000), world.open_faulty().await);
        let other = stored(&store, "other", &content).await;
        let object = create(&store, "a", 5_000).await;
        fill(&object, Span::at(0, 2_000), &content).await.expect("a good disk");
        let mut fill = object.claim(Span::at(0, 5_000)).expect("nobody has the rest");
        fill.write(&content.slice(2_000..2_500)).await.expect("a good disk");
        faults.fail_one_after(0, fault);
        let error = fill.write(&content.slice(2_500..3_000)).await.expect_err("the disk fails");
        assert_eq!(matches!(error, FillError::Full), fault == Fault::Full, "{error}");
        assert!(matches!(fill.write(&content.slice(2_500..3_000)).await, Err(FillError::Lost)));
        assert_eq!(object.arrival(4_000).await, Arrival::Lost);
        assert_eq!(check(&object, &content), 2_500, "who holds it keeps what is here");
        assert!(find(&store, "a").await.is_none());
        assert_eq!((world.files("meta").len(), world.files("data").len()), (1, 1));
        drop((fill, object));
        assert_eq!(check(&find(&store, "other").await.expect("it is not concerned"), &content), 5_000);
        drop((other, store));
        let store = world.open().await;
        assert!(find(&store, "a").await.is_none());
        assert_eq!(check(&find(&store, "other").await.expect("it is not concerned"), &content), 5_000);
    }
}

#[tokio::test]
async fn who_waits_for_a_byte_is_told_that_the_object_is_lost() {
    let world = World::new();
    let (store, faults) = world.open_faulty().await;
    let object = create(&store, "a", 5_000).await;
    let mut fill = object.claim(Span::at(0, 5_000)).expect("nobody has it");
    faults.fail_after(0, Fault::Io);
    let bytes = pattern(1_000);
    let (arrival, written) = tokio::join!(object.arrival(3_000), fill.write(&bytes));
    assert!(written.is_err());
    assert_eq!(arrival, Arrival::Lost);
}

#[tokio::test]
async fn bytes_that_cannot_be_forced_to_the_disk_are_not_listed() {
    let world = World::new();
    let (content, (store, faults)) = (pattern(2_000), world.open_faulty().await);
    let object = create(&store, "a", 2_000).await;
    let mut fill = object.claim(Span::at(0, 2_000)).expect("nobody has it");
    fill.write(&content).await.expect("a good disk");
    faults.fail_after(0, Fault::Io);
    assert!(fill.finish().await.is_err());
    faults.heal();
    assert!(find(&store, "a").await.is_none());
    assert_eq!((object.is_whole(), check(&object, &content)), (true, 2_000));
    drop((object, store));
    let again = find(&world.open().await, "a").await;
    assert_eq!(again.map_or(0, |object| object.bytes_here()), 0, "a disk that did not let it be deleted has it empty");
}

#[tokio::test]
async fn writes_that_come_short_are_completed() {
    let world = World::new();
    let (content, (store, faults)) = (pattern(2_345), world.open_faulty().await);
    faults.write_at_most(7);
    stored(&store, "a", &content).await;
    drop(store);
    assert_eq!(check(&find(&world.open().await, "a").await.expect("it was stored"), &content), 2_345);
}

#[tokio::test]
async fn a_store_without_room_makes_no_object_and_leaves_no_trace() {
    let world = World::new();
    let (store, faults) = world.open_faulty().await;
    let calls = {
        let before = faults.calls();
        create(&store, "other", 10).await;
        faults.calls() - before
    };
    assert!(calls >= 3, "{calls}");
    store.settle().await;
    for call in 0..calls {
        faults.fail_one_after(call, Fault::Full);
        assert!(store.create("a", new(Some(10))).await.is_err(), "{call}");
        faults.heal();
        assert!(find(&store, "a").await.is_none());
        let traces = ["meta", "data", "new"].map(|ending| world.files(ending).len());
        assert_eq!(traces, [1, 1, 0], "{call}");
    }
}

#[tokio::test]
async fn a_purge_that_the_disk_refuses_says_so() {
    let world = World::new();
    let (store, faults) = world.open_faulty().await;
    create(&store, "a", 10).await;
    faults.fail_after(0, Fault::Io);
    assert!(matches!(store.purge("a").await, Err(StoreError::Disk(_) | StoreError::Away(_))));
    assert!(!store.health().is_well() || store.calls_under_way() == 0);
}
