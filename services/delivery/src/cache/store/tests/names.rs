//! Which objects there are, and whose directory it is.

use super::*;

#[tokio::test]
async fn what_was_purged_is_not_found_and_its_readers_go_on() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let object = stored(&store, "a", &content).await;
    assert!(store.purge("a").await.expect("a good disk"));
    assert!(find(&store, "a").await.is_none());
    assert!(!store.purge("a").await.expect("a good disk"), "once");
    assert_eq!((world.files("meta").len(), world.files("data").len()), (0, 0));
    assert_eq!(check(&object, &content), 3_000);
    drop((object, store));
    assert!(find(&world.open().await, "a").await.is_none());
}

#[tokio::test]
async fn a_fill_that_goes_on_after_a_purge_leaves_nothing() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let object = create(&store, "a", 3_000).await;
    let mut fill = object.claim(Span::at(0, 3_000)).expect("nobody has it");
    fill.write(&content.slice(..2_000)).await.expect("a good disk");
    store.purge("a").await.expect("a good disk");
    fill.write(&content.slice(2_000..)).await.expect("its reader gets its bytes");
    fill.finish().await.expect("a good disk");
    store.settle().await;
    assert_eq!(check(&object, &content), 3_000);
    assert!(world.files("meta").is_empty() && world.files("data").is_empty());
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
}

#[tokio::test]
async fn a_prefix_is_purged_and_nothing_else() {
    let world = World::new();
    let (content, store) = (pattern(100), world.open().await);
    for key in ["video/1", "video/2", "video2", "audio"] {
        stored(&store, key, &content).await;
    }
    drop(store);
    let store = world.open().await;
    assert_eq!(store.purge_below("video/").await.expect("a good disk"), 2);
    let listed = store.list("", None, 9).await;
    assert_eq!(listed.iter().map(|listed| &*listed.key).collect::<Vec<_>>(), ["audio", "video2"]);
    assert!(find(&store, "video/1").await.is_none() && find(&store, "video2").await.is_some());
    assert_eq!(store.purge_below("").await.expect("a good disk"), 2);
    assert_eq!(store.usage().objects, 0);
}

#[tokio::test]
async fn objects_are_listed_page_by_page() {
    let world = World::new();
    let store = world.open().await;
    for key in ["b/3", "b/1", "c", "b/2", "a"] {
        create(&store, key, 10).await;
    }
    let mut keys: Vec<Arc<str>> = Vec::new();
    while let page @ [_, ..] = &store.list("b/", keys.last().map(|key| &**key), 2).await[..] {
        keys.extend(page.iter().map(|listed| Arc::clone(&listed.key)));
    }
    assert_eq!(keys, ["b/1".into(), "b/2".into(), "b/3".into()] as [Arc<str>; 3]);
}

#[tokio::test]
async fn a_new_object_takes_the_place_of_the_old_one_and_they_never_mix() {
    let world = World::new();
    let (old_content, content, store) = (pattern(3_000), pattern(9_000).slice(6_000..), world.open().await);
    let old = create(&store, "a", 3_000).await;
    let mut old_fill = old.claim(Span::at(0, 3_000)).expect("nobody has it");
    old_fill.write(&old_content.slice(..1_500)).await.expect("a good disk");
    let object = create(&store, "a", 3_000).await;
    fill(&object, Span::at(0, 2_000), &content).await.expect("a good disk");
    // The old one goes on for its readers.
    old_fill.write(&old_content.slice(1_500..)).await.expect("a good disk");
    old_fill.finish().await.expect("a good disk");
    assert_eq!((check(&old, &old_content), check(&object, &content)), (3_000, 2_000));
    drop((old, object, store));
    let object = find(&world.open().await, "a").await.expect("the new one");
    assert_eq!((object.bytes_here(), check(&object, &content)), (2_000, 2_000));
    assert_eq!(world.files("data").len(), 1);
}

#[tokio::test]
async fn an_object_is_one_however_many_look_for_it() {
    let world = World::new();
    let (content, store) = (pattern(1_000), world.open().await);
    stored(&store, "a", &content).await;
    drop(store);
    let store = world.open().await;
    let found = futures_util::future::join_all((0..8).map(|_| find(&store, "a"))).await;
    let found: Vec<_> = found.into_iter().map(|object| object.expect("it was stored")).collect();
    assert!(found.iter().all(|object| Arc::ptr_eq(object, &found[0])));
}

#[tokio::test]
async fn an_object_is_found_before_stock_is_taken() {
    let world = World::new();
    let (content, store) = (pattern(1_000), world.open().await);
    stored(&store, "a", &content).await;
    drop(store);
    let store = world.open().await;
    // As if the threads that take stock had not come so far.
    store.inner().stocked.send_replace(false);
    store.inner().index().remove("a");
    assert!(find(&store, "b").await.is_none());
    assert_eq!(find(&store, "a").await.map(|object| check(&object, &content)), Some(1_000));
    store.inner().let_go(find(&store, "a").await.expect("found").number);
    store.inner().index().remove("a");
    assert!(store.purge("a").await.expect("a good disk"));
    assert!(find(&store, "a").await.is_none() && world.files("meta").is_empty());
}

#[tokio::test]
async fn what_belongs_to_nothing_is_deleted_and_what_is_not_ours_stays() {
    let world = World::new();
    let (content, store) = (pattern(1_000), world.open().await);
    stored(&store, "a", &content).await;
    drop(store);
    let meta = world.files("meta").remove(0);
    let stem = meta.with_extension("");
    let beside = |ending: &str| PathBuf::from(format!("{}.{ending}", stem.display()));
    for ending in ["0000000000000001.data", "0000000000000002.new", "bak"] {
        fs::write(beside(ending), "x").expect("a file");
    }
    fs::create_dir_all(world.directory.join("00")).expect("a folder");
    fs::write(world.directory.join("00/00000000000000000000000000000000.meta"), "torn").expect("a file");
    fs::write(world.directory.join("00/00000000000000000000000000000000.0000000000000003.data"), "x").expect("a file");
    let store = world.open().await;
    assert_eq!(world.files("meta"), [meta]);
    assert_eq!((world.files("data").len(), world.files("new").len(), world.files("bak").len()), (1, 0, 1));
    assert_eq!(
        store.usage(),
        Usage { objects: 1, bytes: 1_000 + 2 * 4096, written: 0, evicted: 0, damaged: 0, remade: 0, stocked: true }
    );
    assert_eq!(find(&store, "a").await.map(|object| check(&object, &content)), Some(1_000));
}

#[tokio::test]
async fn a_directory_has_one_store() {
    let world = World::new();
    let store = world.open().await;
    let other = Store::open(&world.directory, settings()).await;
    assert!(matches!(other, Err(OpenError::Taken { .. })), "{other:?}");
    let object = create(&store, "a", 10).await;
    drop(store);
    let still = Store::open(&world.directory, settings()).await;
    assert!(matches!(still, Err(OpenError::Taken { .. })), "an object is held that may write");
    drop(object);
    world.open().await;
}

#[tokio::test]
async fn what_is_no_store_is_not_touched() {
    let world = World::new();
    fs::create_dir(&world.directory).expect("a folder");
    fs::write(world.directory.join("thesis.txt"), "years of work").expect("a file");
    let refused = Store::open(&world.directory, settings()).await;
    assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(&world.directory).expect("there").count(), 1);
    fs::remove_file(world.directory.join("thesis.txt")).expect("our own file");
    drop(world.open().await);
    for (mark, too_new) in [("ferry cache 2\n", true), ("something else", false)] {
        fs::write(world.directory.join("format"), mark).expect("our own file");
        let refused = Store::open(&world.directory, settings()).await.expect_err("not ours");
        assert_eq!(matches!(refused, OpenError::TooNew { found: 2, known: 1, .. }), too_new, "{refused}");
    }
}

#[tokio::test]
async fn a_store_that_is_only_read_stays_as_it_is() {
    let world = World::new();
    let read_only = Settings { mode: Mode::ReadOnly, ..settings() };
    assert!(Store::open(&world.directory, read_only.clone()).await.is_err(), "there is nothing to read");
    assert!(!world.directory.exists());
    let (content, store) = (pattern(2_500), world.open().await);
    let object = create(&store, "a", 2_500).await;
    fill(&object, Span::at(0, 1_000), &content).await.expect("a good disk");
    drop((object, store));
    fs::create_dir_all(world.directory.join("00")).expect("a folder");
    fs::write(world.directory.join("00/00000000000000000000000000000000.0000000000000003.data"), "x").expect("a file");
    let before = fs::read(&world.files("meta")[0]).expect("readable");

    let (one, two) = (world.open_with(read_only.clone()).await, world.open_with(read_only).await);
    let object = find(&one, "a").await.expect("it was stored");
    assert_eq!(check(&object, &content), 1_000);
    assert!(object.claim(Span::at(0, 2_500)).is_none());
    object.used(long_ago());
    object.set_head(Bytes::from_static(b"x"), long_ago()).await.expect("in memory");
    assert!(matches!(two.create("b", new(None)).await, Err(StoreError::ReadOnly)));
    assert!(matches!(two.purge("a").await, Err(StoreError::ReadOnly)));
    one.settle().await;
    assert_eq!(fs::read(&world.files("meta")[0]).expect("readable"), before);
    assert_eq!(world.files("data").len(), 2);
}

#[tokio::test]
async fn keys_and_heads_have_their_limits() {
    let world = World::new();
    let store = world.open().await;
    let long = "x".repeat(MAX_KEY_BYTES);
    create(&store, &long, 10).await;
    assert!(find(&store, &long).await.is_some());
    assert!(matches!(store.create(&format!("{long}x"), new(None)).await, Err(StoreError::TooLong)));
    let head = Bytes::from(vec![0; MAX_HEAD_BYTES + 1]);
    assert!(matches!(store.create("a", NewObject { head: head.clone(), ..new(None) }).await, Err(StoreError::TooLong)));
    let object = create(&store, "a", 10).await;
    assert!(matches!(object.set_head(head, long_ago()).await, Err(StoreError::TooLong)));
}
