use std::os::unix::fs::PermissionsExt as _;

use rand::{SeedableRng as _, rngs::SmallRng};

use super::*;

const NOON: UnixMillis = UnixMillis(1_700_000_000_000);

fn take(storage: &Path, chosen: Option<&str>, wall: UnixMillis) -> Result<Identity, IdentityError> {
    let chosen = chosen.map(|name| name.parse().expect("a name"));
    Identity::take(storage, chosen, wall, &mut SmallRng::seed_from_u64(wall.0))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn a_node_is_the_same_in_its_next_life() {
    let storage = folder();
    let place = storage.path().join("made/if/need/be");
    let first = take(&place, None, NOON).expect("a new node");
    let (id, secret, incarnation) = (first.id.clone(), first.secret, first.incarnation());
    assert_eq!(incarnation, Incarnation(NOON.0));
    drop(first);
    let second = take(&place, None, UnixMillis(NOON.0 + 5000)).expect("the same node");
    assert_eq!((&second.id, second.secret), (&id, secret));
    assert_eq!(second.incarnation(), Incarnation(NOON.0 + 5000));
}

#[test]
fn a_clock_that_was_set_back_makes_no_old_life() {
    let storage = folder();
    drop(take(storage.path(), None, NOON).expect("a new node"));
    for life in 1..=2 {
        let identity = take(storage.path(), None, UnixMillis(1000)).expect("the same node");
        assert_eq!(identity.incarnation(), Incarnation(NOON.0 + life));
    }
}

#[test]
fn an_operator_may_name_the_node() {
    let storage = folder();
    let first = take(storage.path(), Some("rack-1"), NOON).expect("a new node");
    let secret = first.secret;
    assert_eq!(first.id.as_str(), "rack-1");
    drop(first);
    assert_eq!(take(storage.path(), None, NOON).expect("the same node").id.as_str(), "rack-1", "the name is kept");
    let renamed = take(storage.path(), Some("rack-2"), NOON).expect("the same node");
    assert_eq!((renamed.id.as_str(), renamed.secret), ("rack-2", secret));
}

#[test]
fn two_processes_do_not_share_a_storage_path() {
    let storage = folder();
    let first = take(storage.path(), None, NOON).expect("a new node");
    let refused = take(storage.path(), None, NOON).expect_err("it is taken");
    assert!(matches!(refused, IdentityError::Taken(_)), "{refused}");
    assert!(refused.to_string().contains(storage.path().to_str().expect("a plain path")), "{refused}");
    drop(first);
    take(storage.path(), None, NOON).expect("it is free again");
}

#[test]
fn the_secret_is_for_its_owner_alone() {
    let storage = folder();
    let identity = take(storage.path(), None, NOON).expect("a new node");
    let mode = std::fs::metadata(storage.path().join(FILE)).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = format!("{identity:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_damaged_file_is_named_and_left_as_it_is() {
    let storage = folder();
    let path = storage.path().join(FILE);
    drop(take(storage.path(), None, NOON).expect("a new node"));
    let good = std::fs::read_to_string(&path).expect("readable");
    let damaged = [
        String::new(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("node-", "-node "),
        good.replace("\"secret\": \"", "\"secret\": \"zz"),
        good.replace("\"version\"", "\"surprise\": 1, \"version\""),
    ];
    for text in damaged {
        assert_ne!(text, good);
        std::fs::write(&path, &text).expect("writable");
        let refused = take(storage.path(), None, NOON).expect_err("no silent new identity").to_string();
        assert!(refused.contains(path.to_str().expect("a plain path")), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), text, "it was overwritten");
    }
}

#[test]
fn a_storage_path_that_cannot_be_used_is_named() {
    let storage = folder();
    let file = storage.path().join("a-file");
    std::fs::write(&file, "").expect("writable");
    let refused = take(&file, None, NOON).expect_err("a file is no folder").to_string();
    assert!(refused.contains("a-file"), "{refused}");
}

#[test]
fn a_life_that_outlives_a_copy_is_newer_than_it_and_stays_so_over_a_restart() {
    let storage = folder();
    let identity = take(storage.path(), None, NOON).expect("a new node");
    let copy = Incarnation(NOON.0 + 9000);
    assert!(!identity.outlive(Incarnation(NOON.0 - 1), NOON), "it is newer already");
    assert!(identity.outlive(copy, NOON));
    assert_eq!(identity.incarnation(), Incarnation(copy.0 + 1), "newer, whatever its own clock says");
    assert!(!identity.outlive(copy, NOON), "a second coordinator says the same");
    identity.keep().expect("kept");
    drop(identity);
    assert_eq!(take(storage.path(), None, NOON).expect("the same node").incarnation(), Incarnation(copy.0 + 2));
}

#[test]
fn nobody_is_newer_than_the_last_number() {
    let storage = folder();
    let identity = take(storage.path(), None, NOON).expect("a new node");
    assert!(!identity.outlive(Incarnation(u64::MAX), NOON));
    assert_eq!(identity.incarnation(), Incarnation(NOON.0));
}
