//! The file of an object that is whole: one for all, for as long as it is what its key means.

use std::sync::atomic::AtomicUsize;

use http::HeaderValue;
use tokio::time;

use super::*;
use crate::{
    cache::store::{Reading, faulty::Fault},
    disk::{About, OpenFile},
    semantics::validators::{Etag, Validators},
};

/// What the tests make of a head: its length. `made` counts how often.
fn reading_counted(object: &Object, made: &AtomicUsize) -> Reading<usize> {
    object.reading(|head| {
        made.fetch_add(1, Relaxed);
        head.len()
    })
}

fn reading(object: &Object) -> Reading<usize> {
    reading_counted(object, &AtomicUsize::new(0))
}

fn file_of(object: &Arc<Object>, reading: &Reading<usize>) -> Arc<OpenFile> {
    let about = |head_bytes: &usize| About {
        length: object.length().expect("it is whole"),
        modified: long_ago(),
        validators: Validators::given(Etag::parse(HeaderValue::from_static("\"v1\"")), None),
        content_type: HeaderValue::from(*head_bytes),
    };
    object.whole_file(reading, about).expect("a good disk")
}

fn whole(object: &Arc<Object>) -> Arc<OpenFile> {
    file_of(object, &reading(object))
}

fn is_current(file: &OpenFile) -> bool {
    file.stood_at(time::Instant::now())
}

/// Changes a byte on the disk, behind the store's back, and has the store find out.
async fn damage(world: &World, store: &Store, offset: u64) {
    let path = world.files("data").pop().expect("one object");
    let file = fs::File::options().write(true).open(path).expect("our own file");
    std::os::unix::fs::FileExt::write_all_at(&file, b"!", offset).expect("our own file");
    assert_eq!(store.prove("a").await.expect("readable").expect("it is there").bad.len(), 1);
}

#[tokio::test]
async fn a_head_is_read_once_for_each_edition_and_its_file_is_made_once() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let (object, made) = (stored(&store, "a", &content).await, AtomicUsize::new(0));
    for (edition, head) in [&b"a head"[..], b"another one"].into_iter().enumerate() {
        object.set_head(Bytes::from_static(head), long_ago()).await.expect("a good disk");
        let first = file_of(&object, &reading_counted(&object, &made));
        assert_eq!(first.content_type(), &HeaderValue::from(head.len()));
        let (again, place) = (file_of(&object, &reading_counted(&object, &made)), Arc::as_ptr(&first));
        drop((first, again));
        assert_eq!(Arc::as_ptr(&whole(&object)), place, "the store keeps it open");
        assert_eq!(made.load(Relaxed), edition + 1);
    }
    assert_eq!(*object.reading(Bytes::clone), "another one", "of another type too");
}

#[tokio::test]
async fn a_file_is_not_current_any_more_the_moment_its_object_is_another() {
    for what in ["purged", "purged with others", "replaced", "re-headed", "damaged", "given up", "evicted"] {
        let world = World::new();
        let (content, (store, faults)) = (pattern(3_000), world.open_faulty().await);
        let object = stored(&store, "a", &content).await;
        let file = whole(&object);
        assert!(is_current(&file), "{what}");
        match what {
            "purged" => assert!(store.purge("a").await.expect("a good disk")),
            "purged with others" => assert_eq!(store.purge_below("").await.expect("a good disk"), 1),
            "replaced" => drop(create(&store, "a", 3_000).await),
            "re-headed" => object.set_head(Bytes::from_static(b"newer"), long_ago()).await.expect("a good disk"),
            "damaged" => damage(&world, &store, 5).await,
            "given up" => {
                faults.fail_one_after(0, Fault::Io);
                object.change(|state, _| state.unlisted.length = true);
                object.list().await.expect_err("the disk fails");
            }
            _ => drop(store.inner().index().evict(|_| true).expect("it may go")),
        }
        assert!(!is_current(&file), "{what}");
        assert_eq!(check(&object, &content), if what == "damaged" { 2_000 } else { 3_000 }, "its holders go on");
    }
}

#[tokio::test]
async fn what_was_read_before_a_change_makes_no_file_for_others() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let object = stored(&store, "a", &content).await;
    let old = reading(&object);
    object.set_head(Bytes::from_static(b"another"), long_ago()).await.expect("a good disk");
    let late = file_of(&object, &old);
    assert!(!is_current(&late) && late.content_type() == "6");
    let present = whole(&object);
    assert!(is_current(&present) && present.content_type() == "7");
    drop((late, file_of(&object, &old)));
    assert!(Arc::ptr_eq(&present, &whole(&object)), "the late ones took no place");
}

#[tokio::test]
async fn a_file_that_is_being_sent_keeps_its_object_from_eviction_and_one_that_is_kept_does_not() {
    let world = World::new();
    let store = world.open().await;
    for (key, sent) in [("sent", true), ("kept", false), ("sent and let go of", true)] {
        let object = stored(&store, key, &pattern(3_000)).await;
        // Nothing of it waits to be listed.
        store.settle().await;
        let file = whole(&object);
        let number = object.number;
        if key == "sent and let go of" {
            store.inner().let_go(number);
        }
        let held = sent.then_some(file);
        drop(object);
        let evicted = store.inner().index().evict(|entry| !store.inner().is_in_use(entry));
        assert_eq!(evicted.map(|gone| gone.number), (!sent).then_some(number), "{key}");
        if let Some(file) = held {
            assert!(Arc::ptr_eq(&file, &whole(&find(&store, key).await.expect("it is there"))), "{key}");
            store.purge(key).await.expect("a good disk");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_of_a_damaged_block_until_it_was_brought_anew() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let object = stored(&store, "a", &content).await;
    let file = whole(&object);
    damage(&world, &store, 1_500).await;
    assert_eq!((file.resident(0, 3_000), file.resident(1_000, 2_000)), (1_000, 0));
    assert!(file.read_at_once(1_000, 10).expect("readable").is_none());
    assert!(!is_current(&whole(&object)), "nor is it given to others meanwhile");
    assert_eq!(file.read_at(0, 3_000).await.expect("what is there"), content[..1_000]);
    let failed = [file.read_at(1_000, 10).await.map(drop), file.fetch(1_999, 9).await.map(drop)];
    assert!(failed.iter().all(Result::is_err), "{failed:?}");
    fill(&object, Span::at(1_000, 1_000), &content).await.expect("a good disk");
    assert_eq!(file.read_at(1_000, 3_000).await.expect("it is there again"), content[1_000..]);
    // What was kept in memory of it may be what was damaged.
    assert!(object.is_whole() && !is_current(&file) && is_current(&whole(&object)));
}

#[tokio::test]
async fn what_was_purged_is_kept_open_by_its_holders_only() {
    let world = World::new();
    let store = world.open().await;
    let object = stored(&store, "a", &pattern(3_000)).await;
    let read = reading(&object);
    store.purge("a").await.expect("a good disk");
    store.settle().await;
    let file = file_of(&object, &read);
    // As when it is purged while its file is made.
    store.inner().keep_file(&object, &file);
    let gone = Arc::downgrade(&object);
    drop(object);
    assert!(gone.upgrade().is_some(), "it is being sent");
    drop(file);
    assert!(gone.upgrade().is_none(), "its room on the disk is given back");
}

#[tokio::test]
async fn no_file_holds_a_store_open() {
    let world = World::new();
    let store = world.open().await;
    let object = stored(&store, "a", &pattern(3_000)).await;
    let (file, inner) = (whole(&object), Arc::downgrade(store.inner()));
    drop((object, store));
    assert!(inner.upgrade().is_some(), "it is being sent");
    drop(file);
    assert!(inner.upgrade().is_none());
}
