//! A directory that leaves while its store is open.

use super::*;
use crate::cache::store::faulty::Fault;

/// Asserts that the store keeps things, for good.
async fn works(world: &World, store: Store) {
    let content = pattern(3_000);
    assert_eq!((store.look().await.expect("it can be looked for"), store.place()), (Place::Here, Place::Here));
    drop(stored(&store, "works", &content).await);
    drop(store);
    let store = world.open().await;
    let object = find(&store, "works").await.expect("it was stored");
    assert_eq!(check(&object, &content), 3_000);
}

#[tokio::test]
async fn a_directory_that_somebody_deleted_is_made_anew() {
    let (world, content) = (World::new(), pattern(3_000));
    let store = world.open().await;
    let held = stored(&store, "held", &content).await;
    drop(stored(&store, "other", &content).await);
    fs::remove_dir_all(&world.directory).expect("our own directory");
    assert_eq!(store.look().await.expect("it can be looked for"), Place::Here);
    store.stocked().await;
    assert_eq!((store.usage().objects, store.usage().remade), (0, 1));
    assert!(find(&store, "held").await.is_none(), "what is found is on the disk");
    assert_eq!(check(&held, &content), 3_000, "who holds it goes on");
    // One process has it, as before.
    assert!(matches!(Store::open(&world.directory, settings()).await, Err(OpenError::Taken { .. })));
    drop(held);
    works(&world, store).await;
}

#[tokio::test]
async fn a_directory_that_somebody_emptied_is_taken_again() {
    let (world, content) = (World::new(), pattern(3_000));
    let store = world.open().await;
    drop(stored(&store, "before", &content).await);
    for entry in fs::read_dir(&world.directory).expect("our own directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("our own");
    }
    // Nobody has looked yet.
    let held = stored(&store, "meanwhile", &content).await;
    assert_eq!(store.look().await.expect("it can be looked for"), Place::Here);
    store.stocked().await;
    assert_eq!((store.usage().objects, world.files("data").len()), (0, 0), "one file is no two objects");
    assert_eq!(check(&held, &content), 3_000);
    drop(held);
    works(&world, store).await;
}

#[tokio::test]
async fn a_directory_that_somebody_else_took_is_left_alone() {
    let world = World::new();
    let store = world.open().await;
    drop(stored(&store, "held", &pattern(3_000)).await);
    let aside = world.directory.with_extension("aside");
    fs::rename(&world.directory, &aside).expect("our own directory");
    fs::create_dir(&world.directory).expect("a folder");
    let theirs = world.directory.join("theirs.txt");
    fs::write(&theirs, "text").expect("writable");
    assert_eq!(store.look().await.expect("it can be looked for"), Place::Taken);
    assert!(store.create("a", new(Some(10))).await.expect("no fault").is_none(), "it passes by");
    // What is in the directory that went away would be back with it.
    for purged in [store.purge("held").await.map(|_| 0), store.purge_below("").await] {
        assert!(matches!(purged, Err(StoreError::Away(Place::Taken))), "{purged:?}");
    }
    assert_eq!(fs::read_dir(&world.directory).expect("a folder").count(), 1);
    // And back.
    fs::remove_file(theirs).and_then(|()| fs::remove_dir(&world.directory)).expect("our own");
    fs::rename(aside, &world.directory).expect("our own directory");
    assert_eq!(store.look().await.expect("it can be looked for"), Place::Here);
    assert_eq!(store.usage().remade, 0);
    works(&world, store).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_keeps_what_it_has() {
    let (world, content) = (World::new(), pattern(3_000));
    let (store, faults) = world.open_faulty().await;
    drop(stored(&store, "a", &content).await);
    faults.fail_after(0, Fault::Io);
    assert_eq!(store.look().await.expect("it can be looked for"), Place::Unreadable);
    assert!(store.create("b", new(Some(10))).await.expect("no fault").is_none(), "it passes by");
    faults.heal();
    assert_eq!(store.look().await.expect("it can be looked for"), Place::Here);
    let object = find(&store, "a").await.expect("it is there as before");
    assert_eq!((check(&object, &content), store.usage().remade), (3_000, 0));
}
