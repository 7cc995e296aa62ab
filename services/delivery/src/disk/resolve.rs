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

/// A walk through what the kernel has in memory, and over no mount point, behind which every call might hang.
const IN_MEMORY: ResolveFlags = BENEATH.union(ResolveFlags::CACHED).union(ResolveFlags::NO_XDEV);

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
    /// What the kernel has in memory does not decide it.
    Beyond,
}

/// Opens what is at the end of a path, with these flags.
type Walk<'a> = &'a dyn Fn(OFlags) -> Result<OwnedFd, Failure>;

/// How far a walk may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To the disk: it may block.
    Disk,
    /// Through what the kernel has in memory. It never blocks, on a local file system.
    Memory,
}

/// Finds files; remembers what the kernel lets it use.
#[derive(Debug, Default)]
pub struct Resolver {
    /// There is no openat2.
    stepwise: AtomicBool,
    /// openat2 knows no RESOLVE_CACHED (Linux before 5.12).
    blocking: AtomicBool,
}

impl Resolver {
    /// A resolver that behaves as if there were no openat2.
    #[cfg(test)]
    pub fn stepwise() -> Self {
        Self { stepwise: AtomicBool::new(true), ..Self::default() }
    }

    /// Opens the regular file at `path`, which is relative and has no empty or dot segment, for reading.
    ///
    /// With a reach of memory only, [`Failure::Beyond`] means that the same with a reach to the disk is to decide.
    pub fn open(&self, root: &OwnedFd, path: &str, reach: Reach) -> Result<(OwnedFd, Stat), Failure> {
        self.resolve(root, path, reach, look_then_read)
    }

    /// Looks which regular file is at `path`, without opening it for reading. What may be read must be asked of [`Resolver::open`].
    pub fn look(&self, root: &OwnedFd, path: &str, reach: Reach) -> Result<Stat, Failure> {
        self.resolve(root, path, reach, |walk| regular(&walk(LOOK)?))
    }

    fn resolve<T>(
        &self,
        root: &OwnedFd,
        path: &str,
        reach: Reach,
        act: impl Fn(Walk<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let root = root.as_fd();
        if self.stepwise.load(Relaxed) || (reach == Reach::Memory && self.blocking.load(Relaxed)) {
            return if reach == Reach::Memory { Err(Failure::Beyond) } else { step_by_step(root, path, act) };
        }
        let done = act(&|flags| walk_at_once(root, path, flags, reach));
        match (reach, done) {
            // ENOSYS is an old kernel, EPERM a sandbox's answer; the file system itself says EACCES.
            (Reach::Disk, Err(Failure::System(Errno::NOSYS | Errno::PERM))) => {
                self.stepwise.store(true, Relaxed);
                step_by_step(root, path, act)
            }
            (Reach::Memory, Err(Failure::System(errno))) => Err(self.beyond_memory(errno)),
            (_, done) => done,
        }
    }

    /// What a walk through memory is told that says nothing of the file.
    fn beyond_memory(&self, errno: Errno) -> Failure {
        match errno {
            // An unknown flag.
            Errno::INVAL => self.blocking.store(true, Relaxed),
            Errno::NOSYS | Errno::PERM | Errno::AGAIN | Errno::XDEV => {}
            // A walk to the disk is made with more care for the descriptors that are left.
            Errno::MFILE | Errno::NFILE => {}
            other => return Failure::System(other),
        }
        Failure::Beyond
    }
}

fn walk_at_once(root: BorrowedFd<'_>, path: &str, flags: OFlags, reach: Reach) -> Result<OwnedFd, Failure> {
    let (how, mut tries) = match reach {
        Reach::Disk => (BENEATH, 1..TRIES),
        // EAGAIN means that memory does not do.
        Reach::Memory => (IN_MEMORY, 0..0),
    };
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), how) {
            Err(Errno::AGAIN) if tries.next().is_some() => {}
            Err(Errno::INTR) => {}
            done => return done.map_err(Failure::System),
        }
    }
}

fn step_by_step<T>(
    root: BorrowedFd<'_>,
    path: &str,
    act: impl Fn(Walk<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (directories, name) = path.rsplit_once('/').map_or((None, path), |(above, name)| (Some(above), name));
    let mut parent: Option<OwnedFd> = None;
    for segment in directories.into_iter().flat_map(|path| path.split('/')) {
        let above = parent.as_ref().map_or(root, AsFd::as_fd);
        // With PATH, NOFOLLOW opens a link itself, and DIRECTORY then refuses it.
        parent = Some(open_segment(above, segment, LOOK | OFlags::DIRECTORY)?);
    }
    let parent = parent.as_ref().map_or(root, AsFd::as_fd);
    act(&|flags| open_segment(parent, name, flags))
}

fn open_segment(parent: BorrowedFd<'_>, segment: &str, flags: OFlags) -> Result<OwnedFd, Failure> {
    // The types upstream promise this already; P8 must not hang on them alone.
    if matches!(segment, "" | "." | "..") || segment.contains('/') {
        return Err(Failure::System(Errno::XDEV));
    }
    rustix::io::retry_on_intr(|| rustix::fs::openat(parent, segment, flags, Mode::empty())).map_err(Failure::System)
}

/// Opens for reading only what a look showed to be a regular file, and makes sure that it still is one.
fn look_then_read(open: Walk<'_>) -> Result<(OwnedFd, Stat), Failure> {
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
