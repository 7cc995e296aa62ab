//! Files that the page cache does not hold: somebody else waits for the disk, and the thread's other clients do not.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use ferry_core::object::ObjectPath;
use rustix::fs::{Advice, fadvise};
use tempfile::TempDir;

use super::*;
use crate::disk::{Disk, Settings};

/// A folder on a disk: what lies in memory is never cold.
fn folder() -> TempDir {
    let program = std::env::current_exe().expect("this test");
    TempDir::new_in(program.parent().expect("a folder")).expect("a folder beside this test")
}

/// Brings a file onto the disk, and out of the page cache.
fn cool(path: &Path) {
    let file = File::options().write(true).open(path).expect("our own file");
    file.sync_all().expect("a disk that works");
    fadvise(&file, 0, None, Advice::DontNeed).expect("a file system that takes advice");
}

/// How much of a file of a folder the page cache holds, and its length.
async fn held(folder: &Path, name: &str) -> (u64, u64) {
    let disk = Disk::open_root(folder).expect("a good root");
    let path = ObjectPath::from_decoded(name).expect("a path");
    let file = disk.open(&path).await.expect("a file");
    (file.resident(0, file.length()), file.length())
}

/// A site on a disk with a cold file of that length; `None` where no file can be cold, or none be seen to be warm: on a tmpfs, and on file
/// systems that read nothing without waiting.
#[expect(clippy::print_stderr, reason = "whoever reads the log of the tests should know what was not tested")]
async fn site_with_cold(setup: Setup, length: usize) -> Option<(Site, PathBuf, Vec<u8>)> {
    let (site, content) = (setup.start_in(folder()), pattern(length));
    // Another one is looked at: to be asked, the kernel begins to read.
    let control = site.file("control", &content);
    let whole = length as u64;
    let warm = held(site.folder(), "control").await == (whole, whole);
    cool(&control);
    if !warm || held(site.folder(), "control").await != (0, whole) {
        eprintln!("skipped: on this file system no file is known to be cold");
        return None;
    }
    let path = site.file("cold", &content);
    cool(&path);
    Some((site, path, content))
}

#[tokio::test]
async fn cold_files_arrive_whole() {
    for length in [1_000, 60_000, 5_000_001] {
        for setup in [Setup::default(), Setup::buffered(50_000), Setup::tls()] {
            let Some((site, path, content)) = site_with_cold(setup, length).await else { return };
            let mut wire = site.connect().await;
            assert!(wire.get("/cold", "").await.body == content, "{length}");
            assert_eq!(held(site.folder(), "cold").await, (length as u64, length as u64), "it is warm now");
            cool(&path);
            let part = wire.get("/cold", &format!("Range: bytes={}-,3-7\r\n", length / 2)).await;
            assert!(part.body.windows(500).any(|piece| piece == &content[length - 500..]), "{length}");
            assert_eq!(site.ended().await, (2, 0));
        }
    }
}

#[tokio::test]
async fn while_the_disk_is_waited_for_others_are_served() {
    for setup in [Setup::default(), Setup::buffered(50_000), Setup::tls()] {
        // Nobody may wait for this disk: if the file went out all the same, the thread itself waited.
        let settings = Settings { calls_at_once: 0, patience: Duration::from_millis(50), ..setup.settings };
        let Some((site, path, content)) = site_with_cold(Setup { settings, ..setup }, 5_000_001).await else { return };
        // What cannot be begun is refused; so its beginning is there.
        assert_eq!(site.connect().await.get("/cold", "").await.status, 503);
        File::open(path).expect("our own file").read_exact(&mut [0; 4096]).expect("a disk that works");
        site.file("hot", b"hot");
        let (mut cold, mut hot) = (site.connect().await, site.connect().await);
        cold.send("GET /cold HTTP/1.1\r\nHost: x\r\n\r\n").await;
        while site.transfers.under_way() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hot.get("/hot", "").await.body, b"hot");
        assert_eq!(site.transfers.under_way(), 1, "the cold one waits");
        assert!(cold.rest().await.len() < content.len(), "patience has its end");
        assert_eq!(site.ended().await, (1, 1), "the hot one, and the one that ended short");
    }
}
