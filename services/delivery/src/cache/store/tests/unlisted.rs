//! An object that is not on any list yet: it has bytes, and no metadata that name them.

use super::{faulty::Fault, *};

fn traces(world: &World) -> [usize; 3] {
    ["meta", "data", "new"].map(|ending| world.files(ending).len())
}

#[tokio::test]
async fn a_new_object_is_one_file_until_it_is_listed() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let object = create(&store, "a", 3_000).await;
    let mut fill = object.claim(Span::at(0, 3_000)).expect("nobody has it");
    fill.write(&content).await.expect("a good disk");
    assert_eq!(traces(&world), [0, 1, 0], "nobody waits for more before the first byte is sent");
    fill.leave().await;
    store.settle().await;
    assert_eq!(traces(&world), [1, 1, 0]);
    drop((object, store));
    let object = find(&world.open().await, "a").await.expect("it was listed");
    assert_eq!(check(&object, &content), 3_000);
}

#[tokio::test]
async fn an_object_of_no_bytes_is_listed_too() {
    let world = World::new();
    let store = world.open().await;
    drop(create(&store, "a", 0).await);
    store.settle().await;
    drop(store);
    assert!(find(&world.open().await, "a").await.is_some_and(|object| object.is_whole()));
}

#[tokio::test]
async fn what_was_never_listed_leaves_nothing() {
    let world = World::new();
    let store = world.open().await;
    let object = create(&store, "a", 3_000).await;
    let mut fill = object.claim(Span::at(0, 3_000)).expect("nobody has it");
    fill.write(&pattern(2_500)).await.expect("a good disk");
    drop((fill, object, store));
    assert!(find(&world.open().await, "a").await.is_none());
    assert_eq!(traces(&world), [0, 0, 0]);
}

#[tokio::test]
async fn what_an_object_took_the_place_of_does_not_come_back_before_it_is_listed() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    stored(&store, "a", &content).await;
    stored(&store, "b", &content).await;
    drop(store);
    let store = world.open().await;
    // One that is known of, and one that is not: the threads that take stock have not come so far.
    let found = find(&store, "a").await.expect("it was stored");
    store.inner().stocked.send_replace(false);
    store.inner().index().remove("b");
    drop((create(&store, "a", 3_000).await, create(&store, "b", 3_000).await));
    assert_eq!(check(&found, &content), 3_000, "who has it goes on");
    drop((found, store));
    let store = world.open().await;
    assert!(find(&store, "a").await.is_none() && find(&store, "b").await.is_none());
    assert_eq!(traces(&world), [0, 0, 0]);
}

#[tokio::test]
async fn an_object_whose_metadata_cannot_be_made_is_given_up() {
    let content = pattern(3_000);
    for call in 0..3 {
        let world = World::new();
        let (store, faults) = world.open_faulty().await;
        let object = create(&store, "a", 3_000).await;
        let mut fill = object.claim(Span::at(0, 3_000)).expect("nobody has it");
        fill.write(&content).await.expect("a good disk");
        faults.fail_one_after(call, Fault::Full);
        fill.finish().await.expect_err("it cannot be listed");
        faults.heal();
        assert!(object.is_lost() && find(&store, "a").await.is_none(), "{call}");
        assert_eq!(traces(&world), [0, 0, 0], "{call}");
        assert_eq!(check(&object, &content), 3_000, "who has it goes on");
    }
}

#[tokio::test]
async fn a_head_is_kept_and_a_block_proved_of_an_object_that_was_not_listed() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    for key in ["a", "b"] {
        let object = create(&store, key, 3_000).await;
        let mut fill = object.claim(Span::at(0, 3_000)).expect("nobody has it");
        fill.write(&content).await.expect("a good disk");
    }
    let object = find(&store, "a").await.expect("it was made");
    object.set_head(b"another head".to_vec().into(), long_ago()).await.expect("a good disk");
    assert_eq!(store.prove("b").await.expect("a good disk").expect("there is one").bad, []);
    drop((object, store));
    let store = world.open().await;
    assert_eq!(find(&store, "a").await.expect("it was named").head(), "another head");
    assert!(find(&store, "b").await.is_some());
}
