//! Other people's questions to a cache, put to a real node: the npm package http-cache-tests, which knows RFC 9111 and what
//! else caches on the web do. `tests/cache` says how it counts, and why each of the known answers is as it is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::harness::{program::Program, roles::Role, tools::run, until, workshop::Workshop};

/// More than the judge's own limit, so that its word comes first.
const LIMIT: Duration = Duration::from_secs(260);

/// The client PUTs what the origin shall answer through the cache, and the origin reads fields of its own; and it speaks to caches of
/// other makes as their makers do. It counts its requests at the origin, so none is sent again.
const TRANSPARENT: &str = r#"
origin-retries          = 0
cache-set-cookie        = "keep"
cache-surrogate-control = true
cache-post              = true

[[route]]
match           = "/{path*}"
query           = "keep"
methods         = "all"
request-headers = "all"
"#;

/// What a node is known to pass may only grow. The list of known answers has exact ones; these hold whatever is added to it.
const REQUIRED: u32 = 140;
const OPTIMAL: u32 = 80;

/// The package's folder.
fn suite() -> PathBuf {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-peers/cache/node_modules/http-cache-tests");
    let suite = std::env::var_os("FERRY_TEST_CACHE_SUITE").map_or_else(|| installed.into(), PathBuf::from);
    assert!(suite.is_dir(), "no http-cache-tests at {}; ./tests/run installs what the tests need", suite.display());
    suite
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cache").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// The package's origin, and its URL, which is its first line.
async fn origin(workshop: &Workshop, suite: &Path) -> (Program, String) {
    let mut program = Program::new("origin", "node", workshop.path());
    program.arg(script("origin.mjs")).arg(suite).start();
    let url = until("the package's origin to listen", Duration::from_secs(30), async || {
        program.log().split_once('\n').map(|(line, _)| line.to_owned())
    })
    .await;
    assert!(url.starts_with("http://"), "the origin said: {url}");
    (program, url)
}

/// How many questions of that kind were answered well, by the judge's own count.
fn passed(verdict: &str, kind: &str) -> u32 {
    let count = verdict.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(": ")?.split(' ').next());
    let count = count.and_then(|count| count.parse().ok());
    count.unwrap_or_else(|| panic!("the judge does not count what is {kind}:\n{verdict}"))
}

#[tokio::test]
async fn a_node_answers_http_cache_tests_as_known() {
    let (workshop, suite) = (Workshop::open(), suite());
    let (_origin, origin) = origin(&workshop, &suite).await;
    let (kept, config) = (workshop.folder("kept"), workshop.file("node.toml", TRANSPARENT));
    let flags = ["--origin", &origin, "--cache", text(&kept), "--config", text(&config)];
    let mut node = Role::lone_node(&workshop, "cache").flags(&flags).started().listening().await;

    let judge = script("judge.mjs");
    let verdict = run("node", &[text(&judge), text(&suite), &node.url("/")], &[], LIMIT).await.ok().stdout;
    let (required, optimal) = (passed(&verdict, "required"), passed(&verdict, "optimal"));
    assert!(required >= REQUIRED && optimal >= OPTIMAL, "{required} and {optimal} are few:\n{verdict}");
    assert!(node.program.is_running());
}
