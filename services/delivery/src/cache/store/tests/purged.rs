//! Many objects purged at once, and what is left of them.

use super::*;
use crate::cache::store::faulty::Fault;

/// More than are purged one by one.
const MANY: usize = 150;

fn content() -> Bytes {
    pattern(1_500)
}

/// Opens a directory with many objects below `many/` and one beside them, which are there for good.
async fn many(world: &World) -> (Store, Faults) {
    let store = world.open().await;
    for number in 0..MANY {
        drop(stored(&store, &format!("many/{number}"), &content()).await);
    }
    drop(stored(&store, "other", &content()).await);
    drop(store);
    world.open_faulty().await
}

/// Files in the directory that are no object's.
fn notes(world: &World) -> usize {
    let entries = fs::read_dir(&world.directory).expect("the directory").map(|entry| entry.expect("an entry"));
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("purged.")).count()
}

/// Opens the directory, which helper threads are about to let go of.
async fn reopened(world: &World) -> Store {
    let open = async {
        loop {
            match Store::open(&world.directory, settings()).await {
                Ok(store) => break store,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    let store = tokio::time::timeout(Duration::from_secs(60), open).await.expect("nobody holds it any more");
    store.stocked().await;
    store
}

async fn until(world: &World, is_so: impl Fn(&World) -> bool) {
    let come = async {
        while !is_so(world) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), come).await.expect("it comes to be");
}

/// Opens the directory as the next process would; returns how many of the many are found, and asserts that they are true.
async fn found(world: &World) -> usize {
    let store = reopened(world).await;
    let listed = store.list("many/", None, MANY + 1).await;
    for listed in &listed {
        let object = find(&store, &listed.key).await.expect("it is listed");
        assert_eq!(check(&object, &content()), 1_500, "{}", listed.key);
    }
    assert!(find(&store, "other").await.is_some());
    assert_eq!((world.files("meta").len(), world.files("data").len()), (listed.len() + 1, listed.len() + 1));
    assert_eq!(notes(world), 0, "what was deleted needs no note");
    listed.len()
}

#[tokio::test]
async fn many_objects_leave_at_once_and_their_files_after_them() {
    let world = World::new();
    let (store, _faults) = many(&world).await;
    let held = find(&store, "many/7").await.expect("it was stored");
    assert_eq!(store.purge_below("many/").await.expect("a good disk"), MANY as u64);
    assert_eq!((store.usage().objects, find(&store, "many/7").await.is_none()), (1, true));
    assert_eq!(check(&held, &content()), 1_500, "who holds one goes on");
    until(&world, |world| world.files("data").len() == 1 && world.files("meta").len() == 1 && notes(world) == 0).await;
    assert_eq!(store.purge_below("many/").await.expect("a good disk"), 0);
    drop((held, store));
    assert_eq!(found(&world).await, 0);
}

#[tokio::test]
async fn the_answer_does_not_wait_for_the_files() {
    let world = World::new();
    let (store, faults) = many(&world).await;
    // What the answer needs, and nothing after it: a look where the directory is, and the file that names them is made, written and forced to the disk with
    // its name.
    faults.die_after(5);
    assert_eq!(store.purge_below("many/").await.expect("that is enough"), MANY as u64);
    drop(store);
    assert!(world.files("data").len() >= MANY, "they are there");
    assert_eq!(found(&world).await, 0, "and are nobody's");
}

#[tokio::test]
async fn what_was_purged_in_bulk_does_not_come_back_after_a_power_cut() {
    for kept in [0, 1, usize::MAX] {
        let world = World::new();
        let (store, faults) = many(&world).await;
        store.purge_below("many/").await.expect("a good disk");
        // A new one takes the place of one of them.
        let again = stored(&store, "many/3", &content()).await;
        store.settle().await;
        faults.cut_power(|below| kept.min(below - 1)).expect("our own files");
        drop((again, store));
        let store = reopened(&world).await;
        let listed = store.list("many/", None, MANY).await;
        assert!(listed.iter().all(|listed| &*listed.key == "many/3"), "{listed:?}");
        drop(store);
        assert!(found(&world).await <= 1);
    }
}

#[tokio::test]
async fn a_process_that_dies_in_the_middle_of_a_purge_leaves_what_is_true() {
    for call in [0, 1, 2, 3, 4, 5, 10, 100, 200, 299, 300, 301, 400, 500] {
        let world = World::new();
        let (store, faults) = many(&world).await;
        faults.die_after(call);
        let purged = store.purge_below("many/").await;
        drop(store);
        let left = found(&world).await;
        assert!(left == 0 || purged.is_err(), "{left} after {call} calls, and {purged:?}");
    }
}

#[tokio::test]
async fn without_room_for_the_note_the_files_go_before_the_answer() {
    let world = World::new();
    let (store, faults) = many(&world).await;
    faults.fail_one_after(1, Fault::Full);
    assert_eq!(store.purge_below("many/").await.expect("unlinking takes no room"), MANY as u64);
    assert_eq!((world.files("data").len(), notes(&world)), (1, 0));
    drop(store);
    assert_eq!(found(&world).await, 0);
}
