//! What only the file can do: outlive its process, be damaged, and be opened twice.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use ferry_store::{Change, Embedded, Error, Expected, Store};
use redb::{Database, TableDefinition};
use rustix::process::{Resource, Rlimit};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::{Background, Watcher, create, put, soon};

/// Names the file for the test process that is to be killed.
const VICTIMS_FILE: &str = "FERRY_TEST_STORE";

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

async fn open(path: &Path) -> Embedded {
    Embedded::open(path).await.expect("the file opens")
}

#[tokio::test]
async fn records_and_revisions_outlive_the_process_and_presences_do_not() {
    let directory = directory();
    let path = directory.path().join("store");
    let store = open(&path).await;
    let kept = create(&store, "nodes/a", "x").await;
    let ttl = Duration::from_secs(30);
    let presence = Background::run(store.present("me", Bytes::from("here"), ttl, CancellationToken::new()));
    let mut watcher = Watcher::new(&store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    let last = watcher.view.revision();
    // Everything goes at once, as in a process that ends; the file is closed with the last of them.
    drop((watcher, store));
    presence.cut_short().await;

    let store = open(&path).await;
    let all = store.list("").await.expect("readable");
    assert_eq!(all.entries.keys().collect::<Vec<_>>(), ["nodes/a"]);
    assert_eq!(all.entries["nodes/a"].revision, kept);
    assert!(all.revision >= last, "what the presence counted is not counted again");
    assert!(create(&store, "nodes/b", "x").await > last);
}

#[tokio::test]
async fn a_revision_that_only_a_presence_had_is_not_given_out_again_after_a_kill() {
    let directory = directory();
    let path = directory.path().join("store");
    let mut victim = victim("embedded::victim_that_is_present_until_it_is_killed", &path);
    let mut lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
    let seen = lines.find_map(|line| Some(line.ok()?.strip_prefix("present ")?.parse::<u64>().expect("a revision")));
    victim.kill().expect("the child is ours");
    victim.wait().expect("a killed child can be waited for");
    let store = open(&path).await;
    assert!(create(&store, "k", "x").await > seen.expect("the victim was present"));
}

/// Not a test: what the test above starts and kills.
#[tokio::test]
#[ignore = "runs only as the child of a test"]
async fn victim_that_is_present_until_it_is_killed() {
    let Some(path) = env::var_os(VICTIMS_FILE) else { return };
    let store = open(Path::new(&path)).await;
    let ttl = Duration::from_secs(30);
    let _presence = Background::run(store.present("me", Bytes::from("x"), ttl, CancellationToken::new()));
    let mut watcher = Watcher::new(&store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    writeln!(std::io::stdout(), "present {}", watcher.view.revision()).expect("somebody reads");
    tokio::time::sleep(Duration::from_secs(60)).await; // until it is killed
}

fn victim(test: &str, path: &Path) -> Child {
    Command::new(env::current_exe().expect("a test knows its binary"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(VICTIMS_FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can start itself")
}

#[tokio::test]
async fn a_full_disk_fails_writes_and_loses_nothing() {
    let directory = directory();
    // A signal that is ignored stays so in the program that the shell becomes; a limit of its own would kill it otherwise.
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(env::current_exe().expect("a test knows its binary"))
        .args(["--exact", "embedded::child_whose_disk_is_full", "--ignored", "--nocapture"])
        .env(VICTIMS_FILE, directory.path().join("store"))
        .status()
        .expect("a test can start itself");
    assert!(status.success());
}

/// The half of the test above that needs a process of its own: the disk is "full" for all of it.
#[tokio::test]
#[ignore = "runs only as the child of a test"]
async fn child_whose_disk_is_full() {
    let Some(path) = env::var_os(VICTIMS_FILE) else { return };
    let store = open(Path::new(&path)).await;
    let mut watcher = Watcher::new(&store, "");
    watcher.begin().await;
    let length = fs::metadata(&path).expect("there").len();
    let free = rustix::process::getrlimit(Resource::Fsize);
    rustix::process::setrlimit(Resource::Fsize, Rlimit { current: Some(length), ..free })
        .expect("a limit can be lowered");
    let large = "x".repeat(300_000);
    let mut acknowledged = 0_u32;
    let failure = loop {
        let swapped = store.compare_and_swap(&format!("nodes/{acknowledged}"), Expected::Absent, put(&large)).await;
        match swapped {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(failure.is_passing(), "{failure}");
    watcher.until("the loss", |watcher| watcher.view.lost().is_some()).await;
    if let Err(error) = store.list("").await {
        assert!(error.is_passing(), "{error}");
    }

    rustix::process::setrlimit(Resource::Fsize, free).expect("and raised again");
    let all = soon("the return of the store", async {
        loop {
            match store.list("").await {
                Ok(all) => return all,
                Err(error) => assert!(error.is_passing(), "{error}"),
            }
        }
    })
    .await;
    let expected = acknowledged as usize..=acknowledged as usize + 1; // whether the failed one was made, nobody knew
    assert!(expected.contains(&all.entries.len()), "{} of {acknowledged}", all.entries.len());
    assert!(create(&store, "later", "x").await > all.revision);
    watcher.until("the later change", |watcher| watcher.value("later").is_some()).await;
    assert_eq!(watcher.view.entries(), &store.list("").await.expect("readable").entries);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = directory();
    for round in 0..5_u64 {
        let path = directory.path().join(format!("store-{round}"));
        let mut victim = victim("embedded::victim_that_writes_until_it_is_killed", &path);
        let mut lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
        let mut acknowledged = Vec::new();
        let take = |line: String, acknowledged: &mut Vec<String>| {
            acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
        };
        // A different moment in each round, always in the middle of its writing.
        while acknowledged.len() < 20 + 7 * usize::try_from(round).expect("small") {
            take(lines.next().expect("it goes on writing").expect("readable"), &mut acknowledged);
        }
        victim.kill().expect("the child is ours");
        victim.wait().expect("a killed child can be waited for");
        lines.map_while(Result::ok).for_each(|line| take(line, &mut acknowledged));

        let store = open(&path).await;
        let all = store.list("").await.expect("readable");
        for line in &acknowledged {
            let (key, revision) = line.split_once(' ').expect("the victim prints both");
            let held = all.entries.get(key).unwrap_or_else(|| panic!("{key} was acknowledged and is gone"));
            assert_eq!(held.revision.to_string(), revision);
            assert_eq!(held.value, Bytes::from(key.repeat(50)), "{key} is whole");
        }
        assert!(all.entries.len() <= acknowledged.len() + 1, "at most the one write that was under way is new");
    }
}

/// Not a test: what the test above starts and kills.
#[tokio::test]
#[ignore = "runs only as the child of a test"]
async fn victim_that_writes_until_it_is_killed() {
    let Some(path) = env::var_os(VICTIMS_FILE) else { return };
    let store = open(Path::new(&path)).await;
    for number in 0_u32..100_000 {
        let key = format!("nodes/{number}");
        let change = Change::Put(Bytes::from(key.repeat(50)));
        let revision = store.compare_and_swap(&key, Expected::Absent, change).await.expect("a fresh key");
        writeln!(std::io::stdout(), "acknowledged {key} {revision}").expect("somebody reads");
    }
}

#[tokio::test]
async fn a_file_serves_one_store_at_a_time() {
    let directory = directory();
    let path = directory.path().join("store");
    let first = open(&path).await;
    let second = Embedded::open(&path).await.expect_err("the file is taken");
    assert!(matches!(&second, Error::Refused { why } if why.contains("in use by another process")), "{second}");
    drop(first);
    open(&path).await;
}

#[tokio::test]
async fn two_that_create_one_file_at_once_do_not_both_get_it() {
    let directory = directory();
    let path = directory.path().join("store");
    let (one, other) = tokio::join!(Embedded::open(&path), Embedded::open(&path));
    let refused = match (one, other) {
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
        (one, other) => panic!("{one:?} and {other:?}"),
    };
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing unfinished is left");
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_refused_by_name() {
    let directory = directory();
    for path in [directory.path().join("missing/store"), directory.path().to_owned()] {
        let error = Embedded::open(&path).await.expect_err("there is no such place");
        let text = error.to_string();
        assert!(matches!(error, Error::Refused { .. }) && text.contains(&path.display().to_string()), "{text}");
    }
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory();
    let path = directory.path().join("store");
    open(&path).await;
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_newer_format_is_left_to_a_newer_build() {
    let directory = directory();
    let path = directory.path().join("store");
    drop(open(&path).await);
    let database = Database::open(&path).expect("it is a redb file");
    let transaction = database.begin_write().expect("nobody else writes");
    let meta = TableDefinition::<&str, u64>::new("meta");
    transaction.open_table(meta).expect("it is there").insert("format", 2).expect("writable");
    transaction.commit().expect("writable");
    drop(database);
    let error = Embedded::open(&path).await.expect_err("the format is unknown");
    assert_eq!(error, Error::TooNew { path, found: 2, known: 1 });
}

#[tokio::test]
async fn damage_is_told_and_never_believed() {
    let directory = directory();
    let path = directory.path().join("store");
    let store = open(&path).await;
    for number in 0..200 {
        create(&store, &format!("nodes/{number}"), &"x".repeat(300)).await;
    }
    let whole = store.list("").await.expect("readable");
    drop(store);
    let bytes = fs::read(&path).expect("readable");

    let mut told = 0;
    for kind in damages(&bytes) {
        fs::write(&path, kind).expect("writable");
        match Embedded::open(&path).await {
            // What was hit held nothing, or a copy of it was left.
            Ok(store) => assert_eq!(store.list("").await.expect("readable").entries, whole.entries),
            Err(Error::Corrupt { .. } | Error::TooNew { .. }) => told += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(told >= 20, "only {told} damages were noticed");
}

/// Cut short, overwritten, flipped, and something else altogether.
fn damages(whole: &[u8]) -> Vec<Vec<u8>> {
    let mut damages = vec![Vec::new(), b"not a store".to_vec(), vec![0; whole.len()], vec![0xff; 100_000]];
    for part in 1..10 {
        damages.push(whole[..whole.len() * part / 10].to_vec());
    }
    damages.push(whole[..whole.len() - 1].to_vec());
    for at in (0..whole.len()).step_by(whole.len() / 60 + 1).chain([9, 12, 64, 72, 128, 200]) {
        let mut flipped = whole.to_vec();
        flipped[at] ^= 0x55;
        damages.push(flipped);
        let mut wiped = whole.to_vec();
        let end = (at + 4096).min(wiped.len());
        wiped[at..end].fill(0);
        damages.push(wiped);
    }
    damages
}

#[tokio::test]
async fn a_presence_and_a_record_do_not_take_each_others_key() {
    let directory = directory();
    let store = open(&directory.path().join("store")).await;
    let ttl = Duration::from_secs(30);
    let _presence = Background::run(store.present("me", Bytes::from("here"), ttl, CancellationToken::new()));
    let mut watcher = Watcher::new(&store, "");
    watcher.until("the presence", |watcher| watcher.value("me").is_some()).await;
    let revision = watcher.view.entries()["me"].revision;
    let taken = store.compare_and_swap("me", Expected::Revision(revision), put("mine")).await;
    assert!(matches!(taken, Err(Error::Refused { .. })), "{taken:?}");
}
