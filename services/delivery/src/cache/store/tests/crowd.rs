//! Everything at once, on several threads: what is found is true, nobody waits for ever, and what is left agrees with the index.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferry_core::eviction::{Admission, First};

use super::*;

const KEYS: u64 = 12;
const TASKS: u64 = 8;
const TURNS: u64 = 150;

/// The content of a key: the same in all its objects.
fn content_of(all: &Bytes, key: u64) -> Bytes {
    let at = 400 * key as usize;
    all.slice(at..at + 3_000 + at)
}

async fn turn(store: &Store, all: &Bytes, draw: u64) {
    let (key, what, at) = (draw % KEYS, (draw >> 8) % 10, (draw >> 16) % 6_000);
    let (name, content) = (key.to_string(), content_of(all, key));
    let length = content.len() as u64;
    match what {
        0 => drop(store.purge(&name).await.expect("a good disk")),
        1 => drop(store.create(&name, new(Some(length))).await.expect("a good disk")),
        2 => drop(store.prove(&name).await.expect("a good disk")),
        3 => store.settle().await,
        4 => store.keep_within().await.expect("a good disk"),
        _ => {
            let found = store.find(&name).await.expect("a good disk");
            let object = match found {
                Some(object) => object,
                None => match store.create(&name, new(Some(length))).await.expect("a good disk") {
                    Some(object) => object,
                    None => return,
                },
            };
            object.used(long_ago());
            // There may be no room while all others are in use.
            match fill(&object, Span::at(at, 2_500), &content).await {
                Ok(()) | Err(FillError::Full | FillError::Lost) => {}
                Err(error) => panic!("{error}"),
            }
            hold_against(&object, &content);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_finds_what_is_true() {
    let world = World::new();
    let admission = Admission { largest: u64::MAX, first: First::PassWhenFull };
    let space = Space { free_low: 0, free_high: 0, admission, ..Space::of(60_000) };
    let store = world.open_with(Settings { space, open_objects: 4, flush_bytes: 1_500, ..settings() }).await;
    let (all, turns) = (pattern(20_000), Arc::new(AtomicU64::new(0)));
    let crowd = (0..TASKS).map(|_| {
        let (store, all, turns) = (store.clone(), all.clone(), Arc::clone(&turns));
        #[expect(clippy::disallowed_methods, reason = "the test waits for them")]
        tokio::spawn(async move {
            for _ in 0..TURNS {
                let number = turns.fetch_add(1, Relaxed);
                // SplitMix64's last steps: numbers without an order.
                let mixed = (number ^ (number >> 30)).wrapping_add(0x9e37_79b9).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                turn(&store, &all, mixed ^ (mixed >> 29)).await;
            }
        })
    });
    let crowd = futures_util::future::try_join_all(crowd);
    tokio::time::timeout(Duration::from_secs(60), crowd).await.expect("nobody waits for ever").expect("nobody panics");
    store.settle().await;
    let usage = store.usage();
    assert!(usage.bytes <= 60_000 && usage.damaged == 0, "{usage:?}");
    assert!(usage.evicted > 0, "{usage:?}");
    drop(store);
    let store = loop {
        // What helper threads were about to list holds the directory a little longer.
        match Store::open(&world.directory, settings()).await {
            Ok(store) => break store,
            Err(OpenError::Taken { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    store.stocked().await;
    let files = ["meta", "data", "new"].map(|ending| world.files(ending).len());
    assert_eq!(files, [store.usage().objects, store.usage().objects, 0]);
    for key in 0..KEYS {
        if let Some(object) = find(&store, &key.to_string()).await {
            check(&object, &content_of(&all, key));
        }
    }
}
