//! A real process that is killed in mid-write, again and again, over one directory.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use super::*;

/// Names the directory for the process that is to be killed.
const DIRECTORY: &str = "FERRY_TEST_CACHE";

/// How often it is killed.
const KILLS: usize = 12;

const LENGTH: usize = 3_000_000;

fn victim_settings() -> Settings {
    Settings { block_bytes: 10_000, flush_bytes: 50_000, ..settings() }
}

/// What the object of that key has.
fn content_of(key: usize) -> Bytes {
    pattern(LENGTH + key).slice(key..)
}

#[tokio::test]
async fn a_process_that_is_killed_in_mid_write_leaves_what_is_true() {
    let world = World::new();
    let (mut found, mut bytes) = (0, 0);
    for kill in 0..KILLS {
        let mut victim = victim(&world.directory);
        let lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
        // Each time a little further on.
        let wrote = lines.map_while(Result::ok).filter(|line| line == "wrote").take(1 + 7 * kill).count();
        assert_eq!(wrote, 1 + 7 * kill, "it ended by itself");
        victim.kill().expect("the child is ours");
        victim.wait().expect("a killed child can be waited for");
        let store = world.open_with(victim_settings()).await;
        for key in 0..3 {
            let Some(object) = find(&store, &key.to_string()).await else { continue };
            found += 1;
            bytes += check(&object, &content_of(key));
        }
    }
    assert!(found > 0 && bytes > 0, "nothing was ever kept: {found} objects, {bytes} bytes");
}

/// Not a test: what the test above starts and kills.
#[tokio::test]
#[ignore = "runs only as the child of a test"]
async fn victim_that_fills_until_it_is_killed() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let store = Store::open(directory, victim_settings()).await.expect("a good directory");
    let work = async {
        for round in 0.. {
            let key = round % 3;
            let (object, content) = (create(&store, &key.to_string(), LENGTH).await, content_of(key));
            let mut fill = object.claim(Span::at(0, LENGTH as u64)).expect("nobody has it");
            for chunk in (0..LENGTH).step_by(33_333) {
                let bytes = content.slice(chunk..(chunk + 33_333).min(LENGTH));
                fill.write(&bytes).await.expect("a good disk");
                tell("wrote");
            }
            fill.finish().await.expect("a good disk");
        }
    };
    tokio::join!(work, store.tend());
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn tell(what: &str) {
    println!("\n{what}");
}

fn victim(directory: &Path) -> Child {
    Command::new(env::current_exe().expect("a test knows its binary"))
        .args([
            "--exact",
            "cache::store::tests::killed::victim_that_fills_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can start itself")
}
