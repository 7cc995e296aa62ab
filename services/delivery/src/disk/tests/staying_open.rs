//! Files that stay open between requests, and what they must notice (invariant D5, SEMANTICS.md 20).

use std::{io::Write as _, path::Path, time::SystemTime};

use tokio::time::advance;

use super::{cache::WALK_HOLDS, lookup::TICK, open_file::Identity, *};

/// Waits until nobody has touched a file for a tick: what was changed just now is not kept open.
async fn let_settle(file: &Path) {
    let stat = rustix::fs::stat(file).expect("it is there");
    let age = || Identity::of(&stat).changed_apart(SystemTime::now());
    until("the file's last change is a tick old", || age() >= TICK + Duration::from_millis(10)).await;
}

/// Waits for a level on the wall clock, which a test cannot move.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "in vain: {what}");
        task::yield_now().await;
    }
}

/// A world whose files are old enough to be kept open.
async fn settled() -> World {
    let world = World::new();
    let_settle(&world.root.join("top.txt")).await;
    world
}

async fn open(disk: &Disk, name: &str) -> Arc<OpenFile> {
    disk.open(&path(name)).await.expect("it is there")
}

#[tokio::test]
async fn a_file_that_is_asked_for_again_is_the_same_one() {
    let world = settled().await;
    let disk = world.disk(Resolver::default());
    let (first, second) = (open(&disk, "top.txt").await, open(&disk, "top.txt").await);
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(disk.open_files(), 1);
    let never = world.disk_with(Resolver::default(), Settings { open_files: 0, ..Settings::default() });
    assert!(!Arc::ptr_eq(&open(&never, "top.txt").await, &open(&never, "top.txt").await));
    assert_eq!(never.open_files(), 0);
}

#[tokio::test]
async fn whatever_happens_to_a_file_shows_at_once() {
    type Change = fn(&Path);
    let changes: [(&str, Change, Result<&str, &str>); 8] = [
        ("replaced by rename", replace, Ok("new")),
        ("written over in place", |file| fs::write(file, "neu").expect("our own file"), Ok("neu")),
        ("made longer", append, Ok("top-top")),
        ("truncated", truncate, Ok("t")),
        ("deleted", |file| fs::remove_file(file).expect("our own file"), Err("not_found")),
        ("renamed away", |file| fs::rename(file, file.with_extension("away")).expect("a rename"), Err("not_found")),
        ("given a second name, and robbed of the first", rename_by_links, Err("not_found")),
        ("replaced by a symbolic link to itself", replace_by_link, Err("not_found")),
    ];
    for stepwise in [false, true] {
        for (what, change, expected) in changes {
            let world = settled().await;
            let resolver = if stepwise { Resolver::stepwise(Symlinks::Off) } else { Resolver::default() };
            let disk = world.disk(resolver);
            assert_eq!(content(&disk, "top.txt").await.as_deref(), Ok("top"));
            assert_eq!(disk.open_files(), 1, "it stays open");
            change(&world.root.join("top.txt"));
            assert_eq!(content(&disk, "top.txt").await.as_deref(), expected.as_ref().copied(), "{what}");
        }
    }
}

fn replace(file: &Path) {
    fs::write(file.with_extension("new"), "new").expect("a file");
    fs::rename(file.with_extension("new"), file).expect("a rename");
}

fn append(file: &Path) {
    let mut file = fs::File::options().append(true).open(file).expect("our own file");
    file.write_all(b"-top").expect("room on the disk");
}

fn truncate(file: &Path) {
    fs::File::options().write(true).open(file).and_then(|file| file.set_len(1)).expect("our own file");
}

fn rename_by_links(file: &Path) {
    fs::hard_link(file, file.with_extension("link")).expect("a link");
    fs::remove_file(file).expect("our own file");
}

fn replace_by_link(file: &Path) {
    fs::rename(file, file.with_extension("real")).expect("a rename");
    unix::symlink("top.real", file).expect("a link");
}

#[tokio::test]
async fn permissions_that_were_taken_away_are_asked_for_again() {
    let world = settled().await;
    let disk = world.disk(Resolver::default());
    let (file, before) = (world.root.join("top.txt"), open(&disk, "top.txt").await);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("our own file");
    match disk.open(&path("top.txt")).await {
        // Permissions do not stop root; but it too has to open the file anew.
        Ok(after) => assert!(!Arc::ptr_eq(&before, &after), "nobody asked for permission"),
        Err(error) => assert_eq!(error.kind(), "forbidden"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_replaced_is_noticed_within_a_second() {
    let world = settled().await;
    let (folder, old) = (world.root.join("a"), world.root.join("old"));
    for (disk, nature) in [(world.disk(Resolver::default()), "local"), (world.remote_disk(), "remote")] {
        assert_eq!(content(&disk, "a/b/deep.txt").await.as_deref(), Ok("deep"));
        assert_eq!(disk.open_files(), 1, "it stays open");
        fs::rename(&folder, &old).expect("a rename");
        fs::create_dir_all(folder.join("b")).expect("folders");
        fs::write(folder.join("b/deep.txt"), "other").expect("a file");
        advance(WALK_HOLDS).await;
        assert_eq!(content(&disk, "a/b/deep.txt").await.as_deref(), Ok("other"), "{nature}");
        fs::remove_dir_all(&folder).expect("our own folder");
        fs::rename(&old, &folder).expect("a rename");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_walked_again_keeps_the_file_that_it_leads_to() {
    let world = settled().await;
    let disk = world.disk(Resolver::default());
    let first = open(&disk, "top.txt").await;
    advance(WALK_HOLDS).await;
    assert!(Arc::ptr_eq(&first, &open(&disk, "top.txt").await));
}

#[tokio::test(start_paused = true)]
async fn a_remote_disk_is_asked_nothing_for_a_second() {
    let world = settled().await;
    let disk = world.remote_disk();
    let first = open(&disk, "top.txt").await;
    fs::remove_file(world.root.join("top.txt")).expect("our own file");
    let hanging = disk.inner.calls.take_all().await;
    assert!(Arc::ptr_eq(&first, &open(&disk, "top.txt").await), "no call is needed");
    drop(hanging);
    advance(WALK_HOLDS).await;
    assert_eq!(content(&disk, "top.txt").await, Err("not_found"));
}

#[tokio::test]
async fn on_overlayfs_the_path_is_walked_each_time() {
    let world = settled().await;
    let mut disk = world.disk(Resolver::default());
    Arc::get_mut(&mut disk.inner).expect("the only handle").nature = Nature::Layered;
    assert_eq!(content(&disk, "a/b/deep.txt").await.as_deref(), Ok("deep"));
    assert_eq!(disk.open_files(), 1, "it stays open");
    // The file itself does not show that it is somewhere else now.
    fs::rename(world.root.join("a"), world.root.join("old")).expect("a rename");
    assert_eq!(content(&disk, "a/b/deep.txt").await, Err("not_found"));
}

#[tokio::test]
async fn a_link_that_is_turned_to_another_file_shows_at_once() {
    let world = settled().await;
    let disk = world.disk(Resolver::new(Symlinks::BeneathRoot));
    let current = world.root.join("current");
    unix::symlink("top.txt", &current).expect("a link");
    assert_eq!(content(&disk, "current").await.as_deref(), Ok("top"));
    assert_eq!(disk.open_files(), 1, "it stays open");
    unix::symlink("a/b/deep.txt", current.with_extension("new")).expect("a link");
    fs::rename(current.with_extension("new"), &current).expect("a rename");
    assert_eq!(content(&disk, "current").await.as_deref(), Ok("deep"));
}

#[tokio::test]
async fn what_was_changed_a_moment_ago_is_not_kept_open() {
    let world = World::new();
    let disk = world.disk(Resolver::default());
    fs::write(world.root.join("top.txt"), "new").expect("our own file");
    assert_eq!(content(&disk, "top.txt").await.as_deref(), Ok("new"));
    assert_eq!(disk.open_files(), 0, "its next change may leave no trace");
}

#[tokio::test]
async fn what_is_not_there_is_looked_for_each_time() {
    let world = World::new();
    let disk = world.disk(Resolver::default());
    assert_eq!(content(&disk, "new.txt").await, Err("not_found"));
    fs::write(world.root.join("new.txt"), "new").expect("a file");
    assert_eq!(content(&disk, "new.txt").await.as_deref(), Ok("new"));
}

#[tokio::test]
async fn a_weak_tag_turns_strong_when_the_file_has_settled() {
    let world = settled().await;
    let file = world.root.join("top.txt");
    let modified = SystemTime::now();
    fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(modified)).expect("our own file");
    let_settle(&file).await;
    let disk = world.disk(Resolver::default());
    let young = open(&disk, "top.txt").await;
    assert_eq!(disk.open_files(), 1, "it stays open");
    until("two seconds since the modification", || SystemTime::now() > modified + Duration::from_secs(2)).await;
    let old = open(&disk, "top.txt").await;
    let [weak, strong] = [&young, &old].map(|file| {
        let etag = file.validators().etag.as_ref().expect("each file has one");
        etag.value().to_str().expect("ASCII").to_owned()
    });
    assert_eq!(weak, format!("W/{strong}"));
    assert!(Arc::ptr_eq(&young.file, &old.file), "it is the same descriptor");
    assert!(Arc::ptr_eq(&old, &open(&disk, "top.txt").await), "what became better is kept");
}

#[tokio::test]
async fn no_more_files_stay_open_than_may() {
    const MOST: usize = 16;
    let world = World::new();
    for number in 0..10 * MOST {
        fs::write(world.root.join(format!("{number}.txt")), "x").expect("a file");
    }
    let_settle(&world.root.join(format!("{}.txt", 10 * MOST - 1))).await;
    let disk = world.disk_with(Resolver::default(), Settings { open_files: MOST, ..Settings::default() });
    for number in 0..10 * MOST {
        open(&disk, &format!("{number}.txt")).await;
        assert!(disk.open_files() <= MOST);
    }
    assert!(disk.open_files() > 0, "some do");
}

#[test]
fn clients_are_left_most_of_the_descriptors() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.expect("a limit");
    assert!(OpenFiles::new(usize::MAX).most() <= limit / 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_nobody_asks_for_is_let_go() {
    let world = settled().await;
    let disk = world.disk(Resolver::default());
    let unasked = Arc::downgrade(&open(&disk, "a/b/deep.txt").await);
    let ask = async {
        for _ in 0..40 {
            open(&disk, "top.txt").await;
            time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = disk.tend() => {}
        () = ask => {}
    }
    assert_eq!(disk.open_files(), 1);
    assert!(unasked.upgrade().is_none(), "its descriptor is closed");
}
