use std::{ffi::OsString, time::Duration};

use ferry_core::eviction::First;
use ferry_delivery::disk;
use ferry_runtime::config::{Environment, Refusal, Sources, command};
use tempfile::TempDir;

use super::*;
use crate::config::{SECTIONS, TABLES, backend};

const HTTP: &str = "origin = \"http://origin\"\n";

/// What a file with these lines makes of the cache.
fn told(lines: &str) -> Result<Option<CacheConfig>, Refusal> {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("node.toml");
    std::fs::write(&path, lines).expect("writable");
    let flags: Vec<OsString> = vec!["node".into(), "--config".into(), path.into()];
    let matches = command("node", "Serves bytes", TABLES).try_get_matches_from(flags).expect("flags that exist");
    let sources = Sources::gather("node", TABLES, SECTIONS, &matches, &Environment::default());
    let mut reader = sources.reader();
    let backend = backend::read(&mut reader);
    let disk = disk::config::read(&mut reader);
    let sending = disk.map(|disk| disk.settings.sending);
    let cache = read(&mut reader, backend.as_ref(), Some(Path::new("/var/lib/ferry")), sending);
    reader.conclude(|| Some(cache))
}

/// The cache of a node before an origin, with these lines besides.
fn cache(lines: &str) -> CacheConfig {
    let told = told(&format!("{HTTP}cache = \"/cache\"\n{lines}"));
    told.unwrap_or_else(|refusal| panic!("{refusal}")).expect("a cache")
}

fn faults(lines: &str) -> Vec<String> {
    told(lines).expect_err("it is refused").faults().to_vec()
}

/// The one fault of such a cache.
fn fault(lines: &str) -> String {
    let mut faults = faults(&format!("{HTTP}cache = \"/cache\"\n{lines}"));
    assert_eq!(faults.len(), 1, "{lines}: {faults:#?}");
    faults.remove(0)
}

/// A root that is not everything.
fn root() -> (TempDir, String) {
    let folder = TempDir::new().expect("a temporary folder");
    let line = format!("root = \"{}\"\n", folder.path().display());
    (folder, line)
}

#[test]
fn a_node_with_a_root_and_an_origin_keeps_what_it_fetches() {
    let (_folder, root) = root();
    let both = format!("{HTTP}{root}");
    let cache = told(&both).expect("good").expect("a cache");
    assert_eq!(cache.directory, Path::new("/var/lib/ferry/cache"));
    let named = told(&format!("{both}cache = \"/elsewhere\"\n")).expect("good").expect("a cache");
    assert_eq!(named.directory, Path::new("/elsewhere"));
    assert!(told(&format!("{both}cache = \"off\"\n")).expect("good").is_none());
}

#[test]
fn a_node_before_an_origin_keeps_what_it_fetches_where_it_is_told_to() {
    assert!(told(HTTP).expect("good").is_none());
    assert!(told(&format!("{HTTP}cache = \"off\"\ncache-size = \"1GB\"\n")).expect("switched off").is_none());
    let cache = cache("");
    assert_eq!(cache.directory, Path::new("/cache"));
    let store::Space { bytes, free_low, free_high, admission, pinned } = cache.store.space;
    assert_eq!((bytes, free_low, free_high, pinned.len()), (u64::MAX, 512 << 20, 1 << 30, 0));
    assert_eq!((admission.largest, admission.first), (u64::MAX, First::Admit));
    assert_eq!((cache.fill_ahead, cache.finish), (1 << 30, 64 << 20));
    assert_eq!(cache.stale_patience, Duration::from_secs(2));
    let (store, usual) = (cache.store.scrub_rate, store::Settings::default());
    assert_eq!((store, cache.store.scrub_every), (usual.scrub_rate, usual.scrub_every));
    assert_eq!((cache.store.block_bytes, cache.store.mode), (usual.block_bytes, Mode::ReadWrite));
    assert_eq!(cache.policy, Policy::default());
}

#[test]
fn everything_that_is_said_arrives() {
    let cache = cache(
        "cache-size = \"100GB\"\ncache-read-only = true\ncache-free-low = \"2GB\"\ncache-free-high = \"5GB\"\n\
         cache-largest = \"10%\"\ncache-admit = \"second\"\ncache-pinned = [\"/os/\", \"models/a\"]\ncache-block = \"4MiB\"\n\
         cache-scrub-rate = 0\ncache-scrub-every = \"7days\"\ncache-fill-ahead = \"8MiB\"\ncache-finish = 0\n\
         cache-stale-patience = \"7s\"\ncache-digest = true\ncache-missing = \"3s\"\nsendfile = false\nbuffer-size = \"128KiB\"\n",
    );
    let store::Space { bytes, free_low, free_high, admission, pinned } = cache.store.space.clone();
    assert_eq!((bytes, free_low, free_high), (100_000_000_000, 2_000_000_000, 5_000_000_000));
    assert_eq!((admission.largest, admission.first), (10_000_000_000, First::Pass));
    assert_eq!(pinned, ["os/", "models/a"], "keys have no slash before them");
    let store = cache.store;
    assert_eq!((store.mode, store.block_bytes, store.digest_while_filled), (Mode::ReadOnly, 4 << 20, true));
    assert_eq!((store.scrub_rate, store.scrub_every), (0, Duration::from_secs(7 * 24 * 3600)));
    assert_eq!(store.sending, Sending { sendfile: false, buffer_bytes: 128 << 10 });
    assert_eq!((cache.fill_ahead, cache.finish, cache.stale_patience), (8 << 20, 0, Duration::from_secs(7)));
    assert_eq!(cache.policy.missing, Duration::from_secs(3));
}

#[test]
fn what_one_file_may_take_follows_from_the_size() {
    let largest = |lines: &str| cache(lines).store.space.admission.largest;
    assert_eq!(largest("cache-size = \"1GiB\""), 256 << 20);
    assert_eq!(largest("cache-size = \"1GiB\"\ncache-largest = \"100%\""), 1 << 30);
    assert_eq!(largest("cache-size = \"1GiB\"\ncache-largest = \"1MB\""), 1_000_000);
    assert_eq!(largest("cache-largest = \"1MB\""), 1_000_000);
}

#[test]
fn the_high_watermark_lies_above_the_low_one() {
    let free = |lines: &str| {
        let space = cache(lines).store.space;
        (space.free_low, space.free_high)
    };
    assert_eq!(free("cache-free-low = 100"), (100, 200));
    assert_eq!(free("cache-free-low = 100\ncache-free-high = 100"), (100, 100));
    assert_eq!(free("cache-free-low = 0"), (0, 0));
    assert!(fault("cache-free-high = 100").starts_with("cache-free-high = "), "below the default of the low one");
}

#[test]
fn each_value_that_cannot_stand_is_named() {
    for (lines, name) in [
        ("cache-size = \"large\"", "cache-size"),
        ("cache-size = \"7MiB\"", "cache-size"),
        ("cache-size = \"16MiB\"\ncache-block = \"4MiB\"", "cache-size"),
        ("cache-largest = \"10%\"", "cache-largest"),
        ("cache-largest = 0", "cache-largest"),
        ("cache-size = \"1GB\"\ncache-largest = \"2GB\"", "cache-largest"),
        ("cache-size = \"1GB\"\ncache-largest = \"0%\"", "cache-largest"),
        ("cache-size = \"1GB\"\ncache-largest = \"101%\"", "cache-largest"),
        ("cache-size = \"1GB\"\ncache-largest = \"half\"", "cache-largest"),
        ("cache-free-high = \"plenty\"", "cache-free-high"),
        ("cache-admit = \"third\"", "cache-admit"),
        ("cache-pinned = [\"/\"]", "cache-pinned"),
        ("cache-block = \"1KiB\"", "cache-block"),
        ("cache-block = \"65MiB\"", "cache-block"),
        ("cache-block = 65537", "cache-block"),
        ("cache-scrub-rate = \"slow\"", "cache-scrub-rate"),
        ("cache-scrub-every = \"often\"", "cache-scrub-every"),
        ("cache-fill-ahead = \"1KiB\"", "cache-fill-ahead"),
        ("cache-finish = \"soon\"", "cache-finish"),
        ("cache-read-only = \"perhaps\"", "cache-read-only"),
        ("cache-heuristic = 101", "cache-heuristic"),
    ] {
        let said = fault(lines);
        assert!(said.starts_with(&format!("{name} = ")), "{lines}: {said}");
    }
}

#[test]
fn all_faults_are_reported_together() {
    let lines = "cache-size = 1\ncache-admit = \"third\"\ncache-finish = \"soon\"\ncache-missing = \"never\"\nopen-files = -1\n";
    assert_eq!(faults(&format!("{HTTP}cache = \"/cache\"\n{lines}")).len(), 5);
    assert_eq!(faults(&format!("{HTTP}cache = \"off\"\n{lines}")).len(), 5, "what is off must be sound too");
}

#[test]
fn what_would_be_ignored_is_a_fault() {
    let (_folder, root) = root();
    let said = faults(&format!("{root}cache = \"/cache\"\n"));
    assert!(said.len() == 1 && said[0].starts_with("cache = ") && said[0].contains("filesystem"), "{said:#?}");
    assert!(told(&format!("{root}cache = \"off\"\n")).expect("that is so").is_none());
    for (before, why) in [(root.as_str(), "filesystem"), (HTTP, "no cache")] {
        for line in
            ["cache-size = \"1GB\"", "cache-admit = \"first\"", "cache-digest = false", "cache-missing = \"1s\""]
        {
            let said = faults(&format!("{before}{line}\n"));
            let name = line.split(' ').next().expect("a name");
            assert!(said.len() == 1 && said[0].starts_with(name) && said[0].contains(why), "{line}: {said:#?}");
        }
    }
}

#[test]
fn a_cache_that_would_be_served_as_files_is_refused() {
    let (folder, root) = root();
    let both = format!("{HTTP}{root}");
    let inside = folder.path().join("a/new/cache");
    let link = TempDir::new().expect("a temporary folder");
    std::os::unix::fs::symlink(folder.path(), link.path().join("link")).expect("a link");
    let around = link.path().join("link/cache");
    for below in [folder.path(), &inside, &around] {
        let said = faults(&format!("{both}cache = \"{}\"\n", below.display()));
        assert!(said.len() == 1 && said[0].contains("not below root"), "{said:#?}");
    }
    let beside = folder.path().with_extension("cache");
    assert!(told(&format!("{both}cache = \"{}\"\n", beside.display())).expect("beside it").is_some());
}
