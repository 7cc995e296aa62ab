//! A process that dies between any two calls, and a power cut at any of them: what is found afterwards is true.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;

/// What each key of the story below may hold; a key's second object has other bytes.
fn contents() -> [(&'static str, Vec<Bytes>); 3] {
    let all = pattern(40_000);
    [
        ("a", vec![all.slice(..5_300), all.slice(10_000..14_100)]),
        ("b", vec![all.slice(20_000..23_000)]),
        ("c", vec![all.slice(30_000..30_010)]),
    ]
}

/// Everything that a store does to its directory. Ends early when nothing reaches the disk any more.
async fn story(store: &Store) -> Result<(), Box<dyn std::error::Error>> {
    let [(_, a), (_, b), (_, c)] = contents();
    let create = async |key, number: usize, content: &Bytes| {
        let validator = Some(Validator { octets: vec![b'0' + number as u8].into(), strong: true });
        let created = store.create(key, NewObject { validator, ..new(Some(content.len() as u64)) }).await;
        created.map(|object| object.expect("there is room"))
    };
    let first = create("a", 0, &a[0]).await?;
    fill(&first, Span::at(2_000, 2_500), &a[0]).await?;
    let object = create("b", 0, &b[0]).await?;
    fill(&object, Span::at(0, 1_500), &b[0]).await?;
    fill(&first, Span::at(0, 5_300), &a[0]).await?;
    object.set_head(vec![b'h'; 70_000].into(), long_ago()).await?;
    fill(&object, Span::at(0, 3_000), &b[0]).await?;
    store.purge("b").await?;
    let second = create("a", 1, &a[1]).await?;
    fill(&second, Span::at(0, 2_000), &a[1]).await?;
    let last = create("c", 0, &c[0]).await?;
    fill(&last, Span::at(0, 10), &c[0]).await?;
    fill(&second, Span::at(0, 4_100), &a[1]).await?;
    store.settle().await;
    Ok(())
}

/// Opens the directory as the next process would, and holds what it finds against what was sent.
async fn inspect(world: &World, when: &str) -> usize {
    let (store, _faults) = world.open_faulty().await;
    let mut found = 0;
    for (key, contents) in contents() {
        let Some(object) = find(&store, key).await else { continue };
        found += 1;
        let version = usize::from(object.validator().expect("each has one").octets[0] - b'0');
        assert_eq!(object.length(), Some(contents[version].len() as u64), "{when}: {key}");
        assert!(object.head() == "a head" || object.head() == vec![b'h'; 70_000], "{when}: {key}");
        check(&object, &contents[version]);
        // And it can be completed.
        fill(&object, Span::at(0, u64::MAX), &contents[version]).await.expect("a good disk");
        assert_eq!(check(&object, &contents[version]), contents[version].len() as u64, "{when}: {key}");
    }
    let traces = ["meta", "data", "new"].map(|ending| world.files(ending).len());
    assert_eq!(traces, [found, found, 0], "{when}: nothing is left that belongs to nothing");
    found
}

/// How many calls the whole story makes.
async fn length_of_the_story() -> usize {
    let world = World::new();
    let (store, faults) = world.open_faulty().await;
    let before = faults.calls();
    story(&store).await.expect("a good disk");
    drop(store);
    assert_eq!(inspect(&world, "at the end").await, 2);
    faults.calls() - before
}

#[tokio::test]
async fn a_process_that_dies_between_any_two_calls_leaves_what_is_true() {
    let calls = length_of_the_story().await;
    assert!(calls > 60, "{calls}");
    for call in 0..calls {
        let world = World::new();
        let (store, faults) = world.open_faulty().await;
        faults.die_after(call);
        story(&store).await.expect_err("it dies on the way");
        drop(store);
        inspect(&world, &format!("killed at call {call}")).await;
    }
}

#[tokio::test]
async fn a_power_cut_at_any_call_leaves_what_is_true() {
    let calls = length_of_the_story().await;
    for call in 0..=calls {
        for seed in 0..4 {
            let world = World::new();
            let (store, faults) = world.open_faulty().await;
            faults.die_after(call);
            let _ = story(&store).await;
            let state = AtomicUsize::new(seed * 1_000 + call);
            // Numbers that look random are random enough, and the same each time.
            faults
                .cut_power(|below| {
                    let next = state
                        .load(Relaxed)
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    state.store(next, Relaxed);
                    (next >> 33) % below
                })
                .expect("our own files");
            drop(store);
            inspect(&world, &format!("cut off at call {call}, seed {seed}")).await;
        }
    }
}

#[tokio::test]
async fn what_was_purged_does_not_come_back_after_a_power_cut() {
    let world = World::new();
    let (content, store) = (pattern(2_000), world.open().await);
    for key in ["a", "b/1", "b/2"] {
        stored(&store, key, &content).await;
    }
    drop(store);
    // What is there by now is there for good.
    let (store, faults) = world.open_faulty().await;
    store.purge("a").await.expect("a good disk");
    store.purge_below("b/").await.expect("a good disk");
    // Of what happened to names since, as little is kept as may be.
    faults.cut_power(|_| 0).expect("our own files");
    drop(store);
    let store = world.open().await;
    for key in ["a", "b/1", "b/2"] {
        assert!(find(&store, key).await.is_none(), "{key}");
    }
}

#[tokio::test]
async fn metadata_that_are_written_anew_are_not_lost_with_the_power() {
    let world = World::new();
    let (content, store) = (pattern(1_000), world.open().await);
    drop((stored(&store, "a", &content).await, store));
    let (store, faults) = world.open_faulty().await;
    let object = find(&store, "a").await.expect("it was stored");
    for _ in 0..2 {
        object.set_head(vec![b'h'; 60_000].into(), long_ago()).await.expect("a good disk");
    }
    object.compact().expect("a good disk");
    // The names are kept, and of the bytes as little as may be.
    let mut first = true;
    faults.cut_power(|below| if std::mem::take(&mut first) { below - 1 } else { 1 }).expect("our own files");
    drop((object, store));
    let object = find(&world.open().await, "a").await.expect("it was stored");
    assert_eq!((object.head().len(), check(&object, &content)), (60_000, 1_000));
}

#[tokio::test]
async fn a_record_behind_a_torn_one_never_comes_back() {
    let world = World::new();
    let (content, store) = (pattern(2_000), world.open().await);
    let object = create(&store, "a", 2_000).await;
    store.settle().await;
    drop((object, store));
    // Two records of the same length, of which a power cut took the first.
    let meta = world.files("meta").remove(0);
    let mut octets = fs::read(&meta).expect("readable");
    let (number, end) = (record::number_of(&octets).expect("a header"), octets.len());
    for block in 0..2 {
        record::Record::Blocks { first: block, checksums: vec![1] }.append(number, 0, &mut octets);
    }
    let second = end + (octets.len() - end) / 2;
    octets[end..second].fill(0);
    fs::write(&meta, octets).expect("our own file");

    let store = world.open().await;
    let object = find(&store, "a").await.expect("it was stored");
    fill(&object, Span::at(0, 1_000), &content).await.expect("a good disk");
    drop((object, store));
    let object = find(&world.open().await, "a").await.expect("it was stored");
    assert_eq!(check(&object, &content), 1_000);
}
