use std::{
    fs, io,
    os::unix::{fs as unix, fs::PermissionsExt as _},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use http::StatusCode;
use rustix::fs::{FileType, mknodat};
use tempfile::TempDir;

use super::*;

mod hashed;
mod links;
mod staying_open;
mod trouble;

/// A root with a secret beside it, and everything in it that must not be served.
struct World {
    _folder: TempDir,
    root: PathBuf,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).expect("folders");
        for (name, content) in
            [("top.txt", "top"), ("a/b/deep.txt", "deep"), ("empty", ""), (".hidden", "h"), ("a/index.html", "index")]
        {
            fs::write(root.join(name), content).expect("a file");
        }
        fs::create_dir(root.join(".git")).expect("a folder");
        fs::write(root.join(".git/config"), "git").expect("a file");
        fs::write(folder.path().join("secret"), "secret").expect("a file");
        for (target, name) in [
            ("../secret", "up"),
            ("/etc/passwd", "absolute"),
            ("top.txt", "inside"),
            ("..", "parent"),
            ("a", "folder-link"),
            ("/proc/self/root", "magic"),
            ("loop", "loop"),
        ] {
            unix::symlink(target, root.join(name)).expect("a link");
        }
        mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a FIFO");
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).expect("a socket");
        Self { _folder: folder, root }
    }

    fn disk(&self, resolver: Resolver) -> Disk {
        self.disk_with(resolver, Settings::default())
    }

    fn disk_with(&self, resolver: Resolver, settings: Settings) -> Disk {
        let mut disk = Disk::open_root_with(&self.root, settings).expect("a good root");
        Arc::get_mut(&mut disk.inner).expect("the only handle").resolver = resolver;
        disk
    }

    /// The root as if it lay on a file system whose calls may hang.
    fn remote_disk(&self) -> Disk {
        let mut disk = self.disk(Resolver::default());
        Arc::get_mut(&mut disk.inner).expect("the only handle").nature = Nature::Remote;
        disk
    }
}

fn path(text: &str) -> ObjectPath {
    ObjectPath::from_decoded(text).expect("a good path")
}

async fn content(disk: &Disk, name: &str) -> Result<String, &'static str> {
    let file = disk.open(&path(name)).await.map_err(|error| error.kind())?;
    let bytes = file.read_at(0, 1024).await.expect("the file can be read");
    assert_eq!(bytes.len() as u64, file.length());
    Ok(String::from_utf8(bytes.to_vec()).expect("text"))
}

#[tokio::test]
async fn only_regular_files_below_the_root_are_opened_either_way() {
    let world = World::new();
    let long = "x".repeat(256);
    let deep = vec!["d"; 3000].join("/");
    for disk in [world.disk(Resolver::default()), world.disk(Resolver::stepwise(Symlinks::Off))] {
        for (name, expected) in [
            ("top.txt", Ok("top")),
            ("a/b/deep.txt", Ok("deep")),
            ("empty", Ok("")),
            ("a", Err("not_found")),
            ("a/b", Err("not_found")),
            ("none", Err("not_found")),
            ("none/none", Err("not_found")),
            ("top.txt/x", Err("not_found")),
            ("up", Err("not_found")),
            ("absolute", Err("not_found")),
            ("inside", Err("not_found")),
            ("parent/secret", Err("not_found")),
            ("parent/root/top.txt", Err("not_found")),
            ("folder-link/b/deep.txt", Err("not_found")),
            ("magic/etc/passwd", Err("not_found")),
            ("loop", Err("not_found")),
            ("loop/x", Err("not_found")),
            ("fifo", Err("not_found")),
            ("socket", Err("not_found")),
            (".hidden", Err("not_found")),
            (".git/config", Err("not_found")),
            (&long, Err("not_found")),
            (&deep, Err("not_found")),
        ] {
            let got = content(&disk, name).await;
            assert_eq!(got.as_deref(), expected.as_ref().copied(), "{name:.40}");
        }
    }
}

#[tokio::test]
async fn a_fifo_is_never_opened_for_reading() {
    let world = World::new();
    // A writer of a FIFO is let in by the kernel as soon as somebody opens it for reading.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    for disk in [world.disk(Resolver::default()), world.disk(Resolver::stepwise(Symlinks::Off))] {
        let (stop, fifo) = (Arc::new(AtomicBool::new(false)), world.root.join("fifo"));
        let watching = Arc::clone(&stop);
        let watcher = thread::spawn(move || {
            let mut seen = false;
            while !watching.load(Relaxed) {
                seen |= rustix::fs::open(&fifo, flags, Mode::empty()).is_ok();
            }
            seen
        });
        for _ in 0..300 {
            assert!(matches!(disk.open(&path("fifo")).await, Err(DiskError::NotFound)));
        }
        stop.store(true, Relaxed);
        assert!(!watcher.join().expect("the watcher ends"), "somebody opened the FIFO for reading");
    }
}

#[tokio::test]
async fn no_race_of_links_leads_out_of_the_root() {
    let world = World::new();
    let outside = world.root.with_file_name("outside");
    fs::create_dir(&outside).expect("a folder");
    fs::write(outside.join("file"), "outside").expect("a file");
    fs::create_dir(world.root.join("real")).expect("a folder");
    fs::write(world.root.join("real/file"), "inside").expect("a file");
    unix::symlink(&outside, world.root.join("link")).expect("a link");
    let stop = Arc::new(AtomicBool::new(false));
    let (swapping, root) = (Arc::clone(&stop), world.root.clone());
    let swapper = thread::spawn(move || {
        let (real, link) = (root.join("real"), root.join("link"));
        while !swapping.load(Relaxed) {
            rustix::fs::renameat_with(CWD, &real, CWD, &link, rustix::fs::RenameFlags::EXCHANGE).expect("a swap");
        }
    });
    let mut inside = 0;
    for disk in [world.disk(Resolver::default()), world.disk(Resolver::stepwise(Symlinks::Off))] {
        for _ in 0..2000 {
            match content(&disk, "real/file").await {
                Ok(text) => {
                    assert_eq!(text, "inside", "the path left its root");
                    inside += 1;
                }
                Err(kind) => assert_eq!(kind, "not_found"),
            }
        }
    }
    stop.store(true, Relaxed);
    swapper.join().expect("the swapper ends");
    assert!(inside > 0, "the race never let the real folder be seen");
}

#[tokio::test]
async fn dotfiles_are_served_where_that_is_asked_for() {
    let world = World::new();
    let settings = Settings { dotfiles: Dotfiles::Served, ..Settings::default() };
    for resolver in [Resolver::default(), Resolver::stepwise(Symlinks::Off)] {
        let disk = world.disk_with(resolver, settings.clone());
        assert_eq!(content(&disk, ".git/config").await.as_deref(), Ok("git"));
    }
}

#[test]
fn a_root_that_cannot_be_served_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let (missing, file) = (folder.path().join("missing"), folder.path().join("file"));
    fs::write(&file, "").expect("a file");
    assert!(matches!(Disk::open_root(&missing), Err(RootError::Missing(path)) if path == missing));
    assert!(matches!(Disk::open_root(&file), Err(RootError::NotADirectory(path)) if path == file));
    let message = Disk::open_root(&missing).expect_err("missing").to_string();
    assert!(message.contains(missing.to_str().expect("text")), "{message}");
    for (errno, expected) in [(Errno::ACCESS, "is not readable"), (Errno::IO, "cannot be opened")] {
        assert!(RootError::new(&file, errno).to_string().contains(expected));
    }
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_forbidden() {
    let world = World::new();
    let file = world.root.join("top.txt");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("our own file");
    if fs::File::open(&file).is_ok() {
        // Permissions do not stop root: then only the mapping can be checked.
        let denied = DiskError::from(resolve::Failure::System(Errno::ACCESS));
        assert_eq!(denied.answer().status, StatusCode::FORBIDDEN);
        return;
    }
    for disk in [world.disk(Resolver::default()), world.disk(Resolver::stepwise(Symlinks::Off))] {
        assert_eq!(content(&disk, "top.txt").await, Err("forbidden"));
    }
}

#[test]
fn what_the_system_says_becomes_an_answer() {
    for (errno, kind, status) in [
        (Errno::NOENT, "not_found", 404),
        (Errno::NOTDIR, "not_found", 404),
        (Errno::NAMETOOLONG, "not_found", 404),
        (Errno::LOOP, "not_found", 404),
        (Errno::XDEV, "not_found", 404),
        (Errno::ACCESS, "forbidden", 403),
        (Errno::IO, "io", 500),
        (Errno::UCLEAN, "io", 500),
        (Errno::STALE, "away", 503),
        (Errno::NOTCONN, "away", 503),
        (Errno::NODEV, "away", 503),
        (Errno::MFILE, "exhausted", 503),
        (Errno::NFILE, "exhausted", 503),
        (Errno::NOMEM, "exhausted", 503),
        (Errno::AGAIN, "busy", 503),
    ] {
        let error = DiskError::from(resolve::Failure::System(errno));
        let answer = error.answer();
        assert_eq!((error.kind(), answer.status.as_u16()), (kind, status), "{errno:?}");
        assert_eq!(answer.headers.contains_key(http::header::RETRY_AFTER), status == 503, "{errno:?}");
    }
}

#[tokio::test]
async fn an_open_file_stays_the_file_that_was_found() {
    let world = World::new();
    let disk = world.disk(Resolver::default());
    let file = disk.open(&path("top.txt")).await.expect("it is there");
    fs::write(world.root.join("new"), "another").expect("a file");
    fs::rename(world.root.join("new"), world.root.join("top.txt")).expect("a rename");
    assert_eq!(file.read_at(0, 100).await.expect("readable"), "top");
    assert_eq!(content(&disk, "top.txt").await.as_deref(), Ok("another"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_keeps_nobody_waiting_for_ever() {
    let world = World::new();
    let disk = world.remote_disk();
    let _hanging = disk.inner.calls.take_all().await;
    assert!(matches!(disk.open(&path("top.txt")).await, Err(DiskError::Busy)));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_keeps_nobody_waiting_for_ever() {
    let world = World::new();
    let disk = world.disk(Resolver::default());
    let file = disk.open(&path("top.txt")).await.expect("it is there");
    let _hanging = disk.inner.calls.take_all().await;
    assert_eq!(file.read_at(0, 100).await.expect("in the page cache"), "top", "memory needs no disk");
    // Nothing is cached behind the end, so a read there has to ask the disk.
    let error = file.read_at(1 << 30, 100).await.expect_err("the disk hangs");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
