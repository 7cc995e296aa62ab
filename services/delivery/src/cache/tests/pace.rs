//! How what comes is passed on: at once where it is little, together where it is much, and never later than it has to be.

use std::time::Duration;

use super::*;
use crate::answer::Body;

/// The file of an answer that has one.
fn file_of(answer: Answer) -> crate::answer::FileBody {
    match answer.body {
        Body::File(body) => body,
        other => panic!("it comes from a file: {other:?}"),
    }
}

#[tokio::test]
async fn what_came_before_a_pause_is_given_out_whatever_it_is_short_of() {
    for pause in [1, 5_000, 70_000, 300_000, 300_001, 786_432] {
        let world = World::new(3 * MIB).await;
        world.origin.say("cache-control", "max-age=60");
        world.origin.next([Fault::Hang(pause)]);
        let body = file_of(world.begin("a").await);
        let (mut at, mut content) = (0, Vec::new());
        let read = async {
            while at < pause {
                let bytes = body.file.read_at(at, 64 * 1024).await.expect("it is on its way");
                at += bytes.len() as u64;
                content.extend_from_slice(&bytes);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("nothing that is here is held back");
        assert!(at == pause && world.origin.content().has(1, 0, &content), "{pause}");
    }
}

#[tokio::test]
async fn what_comes_in_pieces_is_true_whatever_they_are() {
    for length in [1, 32_768, 32_769, 262_143, 262_144, 262_145, 2_000_003] {
        let world = World::new(length).await;
        world.origin.say("cache-control", "max-age=60");
        world.origin.next([Fault::Slow(Duration::from_millis(2))]);
        assert!(world.get("a").await.is_whole(&world, 1), "{length}");
        world.idle().await;
        let key = world.cache.store().list("", None, 1).await.remove(0).key;
        let proof = world.cache.store().prove(&key).await.expect("a good disk").expect("it is here");
        world.cache.store().settle().await;
        let listed = world.cache.store().prove(&key).await.expect("a good disk").expect("it is here");
        assert_eq!((proof.bad, listed.bad, listed.good), (vec![], vec![], length));
    }
}
