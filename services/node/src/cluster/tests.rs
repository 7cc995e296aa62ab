use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use ferry_core::{ring::Key, time::UnixMillis};

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn ring(kid: &str, revision: u64) -> KeyRing {
    let current = Key::new(kid.parse().expect("a name"), vec![7; 32]).expect("long enough");
    KeyRing { previous: None, current, next: None, revision }
}

fn peer(id: &str) -> Peer {
    Peer { id: id.parse().expect("a name"), url: format!("http://{id}:7000") }
}

fn word(guarded: Option<bool>) -> Facts {
    Facts { guarded, ..Facts::default() }
}

#[test]
fn the_ring_of_the_highest_revision_wins_whoever_brings_it() {
    let cluster = Cluster::new();
    let (one, other) = (cluster.open(), cluster.open());
    cluster.hear(one, Facts { ring: Some(ring("new", 8)), ..Facts::default() });
    cluster.hear(other, Facts { ring: Some(ring("old", 7)), ..Facts::default() });
    assert_eq!(cluster.facts().ring.as_ref().map(|ring| ring.revision), Some(8));
    cluster.hear(other, Facts::default());
    assert!(cluster.facts().ring.is_some(), "a coordinator that has not read its store takes nothing away");
}

#[test]
fn the_guard_is_put_up_by_one_word_and_taken_down_by_all() {
    let cluster = Cluster::new();
    let (one, other) = (cluster.open(), cluster.open());
    let guarded = || cluster.facts().guarded;
    cluster.hear(one, word(None));
    assert_eq!(guarded(), None);
    cluster.hear(one, word(Some(false)));
    assert_eq!(guarded(), Some(false));
    cluster.hear(other, word(Some(true)));
    assert_eq!(guarded(), Some(true), "one gateway has something to guard");
    cluster.hear(other, word(None));
    assert_eq!(guarded(), Some(true), "a restarted coordinator does not know yet");
    cluster.close(other);
    assert_eq!(guarded(), Some(true), "a lost stream says nothing");
    cluster.hear(one, word(Some(false)));
    assert_eq!(guarded(), Some(false), "all that are left say so");
}

#[test]
fn the_coordinators_are_those_that_any_of_them_names() {
    let cluster = Cluster::new();
    let discovered = cluster.discovered();
    let (one, other) = (cluster.open(), cluster.open());
    let named = |names: &[&str]| Facts { coordinators: names.iter().map(|name| peer(name)).collect(), ..word(None) };
    cluster.hear(one, named(&["c1", "c2"]));
    cluster.hear(other, named(&["c2", "c3"]));
    assert_eq!(*discovered.borrow(), [peer("c1"), peer("c2"), peer("c3")]);
    cluster.close(one);
    cluster.close(other);
    assert_eq!(discovered.borrow().len(), 3, "with all of them gone, the last words stand");
}

#[tokio::test]
async fn what_was_known_is_known_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cluster");
    let (clock, tasks) = (Clock::fixed(UnixMillis(1_700_000_000_000)), Tasks::new());
    let before = Cluster::new();
    before.keep(path.clone(), &clock, &tasks);
    let facts = Facts { ring: Some(ring("n1", 3)), guarded: Some(true), coordinators: vec![peer("c1")] };
    before.note_clock(-7_200_000);
    before.hear(before.open(), facts.clone());
    tasks.finish(LIMIT).await.expect("what was learnt is written before the end");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds a key");

    let (clock, tasks) = (Clock::fixed(UnixMillis(1_700_000_000_000)), Tasks::new());
    let after = Cluster::new();
    after.keep(path, &clock, &tasks);
    assert_eq!(*after.facts(), facts);
    assert_eq!(*after.discovered().borrow(), [peer("c1")]);
    assert_eq!(clock.offset_millis(), -7_200_000);
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_no_reason_not_to_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cluster");
    let newer = prost::Message::encode_to_vec(&v1::SavedCluster { version: 2, ..v1::SavedCluster::default() });
    for bytes in [&[0x0a, 0xff, 0x01][..], &[], &newer] {
        std::fs::write(&path, bytes).expect("writable");
        let (clock, tasks) = (Clock::fixed(UnixMillis(0)), Tasks::new());
        let cluster = Cluster::new();
        cluster.keep(path.clone(), &clock, &tasks);
        assert_eq!(*cluster.facts(), Facts::default());
    }
}
