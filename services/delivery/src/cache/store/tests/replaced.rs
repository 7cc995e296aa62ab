//! An object whose name another one has by now: it writes no metadata over the other's.

use super::*;

#[tokio::test]
async fn an_object_that_was_replaced_unseen_leaves_the_metadata_of_the_other_alone() {
    let world = World::new();
    let (content, store) = (pattern(3_000), world.open().await);
    let old = create(&store, "a", 3_000).await;
    // As when it is evicted and made anew before its files went: nobody has told it yet.
    let gone = store.inner().forget(&old);
    let object = stored(&store, "a", &content).await;
    let before = fs::read(&world.files("meta")[0]).expect("readable");
    assert!(old.journal().linked);
    fill(&old, Span::at(0, 2_000), &content).await.expect("its readers get their bytes");
    old.set_head(vec![b'x'; 100_000].into(), long_ago()).await.expect("for its holders");
    assert_eq!(fs::read(&world.files("meta")[0]).expect("readable"), before);
    store.inner().unlink(&gone).expect("a good disk");
    assert_eq!((world.files("meta").len(), world.files("data").len()), (1, 1));
    drop((old, object, store));
    let object = find(&world.open().await, "a").await.expect("the new one");
    assert_eq!(check(&object, &content), 3_000);
}
