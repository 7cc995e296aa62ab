//! Blocks that are not what was written.

use std::os::unix::fs::FileExt as _;

use ring::digest;
use tokio::time::timeout;

use super::*;
use crate::cache::store::faulty::Fault;

/// Changes a byte on the disk, behind the store's back.
fn damage(world: &World, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(&world.files("data")[0]).expect("one object");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("readable");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("our own file");
}

fn sha256(content: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, content).as_ref().try_into().expect("SHA-256")
}

#[tokio::test]
async fn a_damaged_block_leaves_the_object_and_is_fetched_anew() {
    let world = World::new();
    let (content, store) = (pattern(4_500), world.open().await);
    let object = stored(&store, "a", &content).await;
    damage(&world, 2_100);
    damage(&world, 4_499);
    let (bad, proof) = (vec![Span::at(2_000, 1_000), Span::at(4_000, 500)], store.prove("a").await.expect("readable"));
    assert_eq!(proof, Some(Proof { good: 3_000, bad: bad.clone() }));
    assert_eq!((store.usage().damaged, object.is_whole(), object.missing(Span::at(0, 9_999))), (2, false, bad));
    assert_eq!((object.present(0, 9_999), check(&object, &content)), (2_000, 3_000));
    drop((object, store));
    let store = world.open().await;
    let object = find(&store, "a").await.expect("the rest of it");
    assert_eq!(check(&object, &content), 3_000, "it does not come back");
    fill(&object, Span::at(0, 4_500), &content).await.expect("a good disk");
    assert_eq!(store.prove("a").await.expect("readable"), Some(Proof { good: 4_500, bad: vec![] }));
    assert_eq!((object.is_whole(), check(&object, &content)), (true, 4_500));
}

#[tokio::test]
async fn what_is_here_as_a_whole_gets_its_digest() {
    let world = World::new();
    let (content, store) = (pattern(3_300), world.open().await);
    let object = create(&store, "a", 3_300).await;
    fill(&object, Span::at(1_000, 2_300), &content).await.expect("a good disk");
    store.prove("a").await.expect("readable");
    assert_eq!(object.digest(), None, "it is not whole");
    fill(&object, Span::at(0, 1_000), &content).await.expect("a good disk");
    store.prove("a").await.expect("readable");
    assert_eq!(object.digest(), Some(sha256(&content)));
    drop((object, store));
    let store = world.open().await;
    let object = find(&store, "a").await.expect("it was stored");
    assert_eq!(object.digest(), Some(sha256(&content)));
    damage(&world, 0);
    store.prove("a").await.expect("readable");
    assert_eq!(object.digest(), None, "it is not whole any more");
}

#[tokio::test]
async fn a_digest_that_is_wanted_at_once_is_computed_while_an_object_is_filled_in_order() {
    let world = World::new();
    let store = world.open_with(Settings { digest_while_filled: true, ..settings() }).await;
    let content = pattern(3_300);
    assert_eq!(stored(&store, "a", &content).await.digest(), Some(sha256(&content)));
    let object = create(&store, "b", 3_300).await;
    fill(&object, Span::at(2_000, 1_300), &content).await.expect("a good disk");
    fill(&object, Span::at(0, 3_300), &content).await.expect("a good disk");
    assert_eq!((object.is_whole(), object.digest()), (true, None), "not in order");
}

#[tokio::test]
async fn a_block_that_cannot_be_read_leaves_too() {
    let world = World::new();
    let (content, (store, faults)) = (pattern(3_000), world.open_faulty().await);
    let object = stored(&store, "a", &content).await;
    let calls = faults.calls();
    store.prove("a").await.expect("readable");
    // Metadata, then one call for each block.
    assert!(faults.calls() >= calls + 4);
    faults.fail_one_after(2, Fault::Io);
    assert!(store.prove("a").await.is_err(), "the disk is told on");
    assert_eq!((store.usage().damaged, object.missing(Span::at(0, 9_999))), (1, vec![Span::at(1_000, 1_000)]));
}

#[tokio::test]
async fn damage_that_cannot_be_noted_ends_the_object() {
    let world = World::new();
    let (store, faults) = world.open_faulty().await;
    let object = stored(&store, "a", &pattern(1_000)).await;
    damage(&world, 5);
    // Metadata, the block, metadata again; then comes the record.
    faults.fail_one_after(3, Fault::Full);
    store.prove("a").await.expect("readable");
    assert!(object.is_lost() && find(&store, "a").await.is_none());
    assert!(world.files("meta").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_scrub_finds_damage_by_itself_and_takes_its_time() {
    let world = World::new();
    let settings = Settings { scrub_rate: 1 << 20, scrub_every: Duration::from_secs(3600), ..settings() };
    let (content, store) = (pattern(3_000), world.open_with(settings).await);
    let object = stored(&store, "a", &content).await;
    damage(&world, 5);
    damage(&world, 2_999);
    // Blocks are small here; a look at each costs 256 KiB.
    assert!(timeout(Duration::from_millis(400), store.scrub()).await.is_err(), "it goes on");
    assert_eq!(object.missing(Span::at(0, 9_999)), [Span::at(0, 1_000)], "not so fast");
    assert!(timeout(Duration::from_secs(60), store.scrub()).await.is_err());
    assert_eq!(store.usage().damaged, 2);
    // The next round is an hour away.
    fill(&object, Span::at(0, 3_000), &content).await.expect("a good disk");
    damage(&world, 5);
    let scrub = store.scrub();
    tokio::pin!(scrub);
    assert!(timeout(Duration::from_secs(3_000), &mut scrub).await.is_err());
    assert_eq!(store.usage().damaged, 3, "the first one is at once");
    fill(&object, Span::at(0, 3_000), &content).await.expect("a good disk");
    damage(&world, 5);
    assert!(timeout(Duration::from_secs(500), &mut scrub).await.is_err());
    assert_eq!(store.usage().damaged, 3);
    assert!(timeout(Duration::from_secs(200), &mut scrub).await.is_err());
    assert_eq!(store.usage().damaged, 4);
}

#[tokio::test]
async fn what_is_written_while_it_is_proved_is_not_condemned() {
    let world = World::new();
    let (content, store) = (pattern(5_000), world.open().await);
    let object = create(&store, "a", 5_000).await;
    let mut fill = object.claim(Span::at(0, 5_000)).expect("nobody has it");
    for chunk in content.chunks(700) {
        fill.write(&Bytes::copy_from_slice(chunk)).await.expect("a good disk");
        object.list().await.expect("a good disk");
        let proof = store.prove("a").await.expect("readable").expect("it is there");
        assert_eq!(proof.bad, []);
    }
    drop(fill);
    assert_eq!((store.usage().damaged, check(&object, &content)), (0, 5_000));
    store.purge("a").await.expect("a good disk");
    assert_eq!(store.prove("a").await.expect("a good disk"), None);
}
