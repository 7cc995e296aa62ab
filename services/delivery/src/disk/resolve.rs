//! From a path to an open regular file, with no way out of the root (promise P8).
//!
//! openat2 lets the kernel hold the walk below the root and off symbolic links, without a race. Where a sandbox or an old kernel
//! has no openat2, the walk goes segment by segment, each opened relative to the one before and never over a link; both
//! ways give the same answers.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

/// What every walk obeys: stay below the root; no symbolic link, and none of /proc's magic ones.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Only looks: opens no device and wakes no writer of a FIFO.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Reads. NONBLOCK, since what was a file a moment ago may be a FIFO now.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How often a walk that the kernel gave up because of a rename elsewhere (EAGAIN) is begun anew.
const TRIES: usize = 4;

/// Why there is no file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The path names a directory.
    Directory,
    /// The path names a symbolic link, a FIFO, a socket or a device.
    NotAFile,
    /// What the system said.
    System(Errno),
}

/// Finds files; remembers whether the kernel lets it use openat2.
#[derive(Debug, Default)]
pub struct Resolver {
    stepwise: AtomicBool,
}

impl Resolver {
    /// A resolver that behaves as if there were no openat2.
    #[cfg(test)]
    pub fn stepwise() -> Self {
        Self { stepwise: AtomicBool::new(true) }
    }

    /// Opens the regular file at `path`, which is relative and has no empty or dot segment, for reading.
    pub fn open(&self, root: &OwnedFd, path: &str) -> Result<(OwnedFd, Stat), Failure> {
        if !self.stepwise.load(Relaxed) {
            match open_at_once(root.as_fd(), path) {
                // ENOSYS is an old kernel, EPERM a sandbox's answer; the file system itself says EACCES.
                Err(Failure::System(Errno::NOSYS | Errno::PERM)) => self.stepwise.store(true, Relaxed),
                done => return done,
            }
        }
        open_step_by_step(root.as_fd(), path)
    }
}

fn open_at_once(root: BorrowedFd<'_>, path: &str) -> Result<(OwnedFd, Stat), Failure> {
    let walk = |flags| {
        let mut tries = 1..TRIES;
        loop {
            match rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH) {
                Err(Errno::AGAIN) if tries.next().is_some() => {}
                Err(Errno::INTR) => {}
                done => return done.map_err(Failure::System),
            }
        }
    };
    look_then_read(walk)
}

fn open_step_by_step(root: BorrowedFd<'_>, path: &str) -> Result<(OwnedFd, Stat), Failure> {
    let (directories, name) = path.rsplit_once('/').map_or((None, path), |(above, name)| (Some(above), name));
    let mut parent: Option<OwnedFd> = None;
    for segment in directories.into_iter().flat_map(|path| path.split('/')) {
        let above = parent.as_ref().map_or(root, AsFd::as_fd);
        // With PATH, NOFOLLOW opens a link itself, and DIRECTORY then refuses it.
        parent = Some(open_segment(above, segment, LOOK | OFlags::DIRECTORY)?);
    }
    let parent = parent.as_ref().map_or(root, AsFd::as_fd);
    look_then_read(|flags| open_segment(parent, name, flags))
}

fn open_segment(parent: BorrowedFd<'_>, segment: &str, flags: OFlags) -> Result<OwnedFd, Failure> {
    // The types upstream promise this already; P8 must not hang on them alone.
    if matches!(segment, "" | "." | "..") || segment.contains('/') {
        return Err(Failure::System(Errno::XDEV));
    }
    rustix::io::retry_on_intr(|| rustix::fs::openat(parent, segment, flags, Mode::empty())).map_err(Failure::System)
}

/// Opens for reading only what a look showed to be a regular file, and makes sure that it still is one.
fn look_then_read(open: impl Fn(OFlags) -> Result<OwnedFd, Failure>) -> Result<(OwnedFd, Stat), Failure> {
    regular(&open(LOOK)?)?;
    let file = open(READ)?;
    let stat = regular(&file)?;
    Ok((file, stat))
}

fn regular(file: &OwnedFd) -> Result<Stat, Failure> {
    let stat = rustix::fs::fstat(file).map_err(Failure::System)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat),
        FileType::Directory => Err(Failure::Directory),
        _ => Err(Failure::NotAFile),
    }
}
