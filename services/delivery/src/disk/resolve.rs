//! From a path to an open regular file, with no way out of the root (promise P8).
//!
//! openat2 lets the kernel hold the walk below the root and off symbolic links, without a race. Where a sandbox or an old kernel
//! has no openat2, the walk goes [`stepwise`]; both ways give the same answers.
//!
//! Symbolic links are refused, or followed as long as they stay below the root: a link whose target is an absolute path never does, wherever
//! it leads. The links of `/proc` that are no paths are refused always.

mod stepwise;

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

/// What every walk obeys: stay below the root, and off /proc's magic links.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// A walk through what the kernel has in memory, and over no mount point, behind which every call might hang.
const IN_MEMORY: ResolveFlags = ResolveFlags::CACHED.union(ResolveFlags::NO_XDEV);

/// Only looks: opens no device and wakes no writer of a FIFO.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Reads. NONBLOCK, since what was a file a moment ago may be a FIFO now.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// How often a walk that the kernel gave up because of a rename elsewhere (EAGAIN) is begun anew.
const TRIES: usize = 4;

/// What is done with symbolic links below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// They do not exist.
    #[default]
    Off,
    /// They are followed, but not out of the root.
    BeneathRoot,
}

/// How far a walk may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To the disk: it may block.
    Disk,
    /// Through what the kernel has in memory. It never blocks, on a local file system.
    Memory,
}

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

/// A regular file that a path led to.
#[derive(Debug)]
pub struct Found<T> {
    /// What was wanted of it.
    pub it: T,
    /// Its attributes.
    pub stat: Stat,
    /// Whether a symbolic link was followed on the way. It may lead elsewhere the next time, which the file does not show.
    pub by_link: bool,
}

/// Finds files; remembers what the kernel lets it use.
#[derive(Debug, Default)]
pub struct Resolver {
    symlinks: Symlinks,
    /// There is no openat2.
    stepwise: AtomicBool,
    /// openat2 knows no RESOLVE_CACHED (Linux before 5.12).
    blocking: AtomicBool,
}

/// Opens what is at the end of a path, with these flags.
type Walk<'a> = &'a dyn Fn(OFlags) -> Result<OwnedFd, Failure>;

/// Whether one walk follows symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Refused,
    Followed,
}

impl Resolver {
    /// A resolver that does this with symbolic links.
    #[must_use]
    pub fn new(symlinks: Symlinks) -> Self {
        Self { symlinks, ..Self::default() }
    }

    /// One that behaves as if there were no openat2.
    #[cfg(test)]
    pub fn stepwise(symlinks: Symlinks) -> Self {
        Self { symlinks, stepwise: AtomicBool::new(true), ..Self::default() }
    }

    /// Opens the regular file at `path`, which is relative and has no empty or dot segment, for reading.
    ///
    /// With a reach of memory only, [`Failure::Beyond`] means that the same with a reach to the disk is to decide.
    pub fn open(&self, root: BorrowedFd<'_>, path: &str, reach: Reach) -> Result<Found<OwnedFd>, Failure> {
        self.resolve(root, path, reach, look_then_read)
    }

    /// Looks which regular file is at `path`, without opening it for reading. What may be read must be asked of [`Resolver::open`].
    pub fn look(&self, root: BorrowedFd<'_>, path: &str, reach: Reach) -> Result<Found<()>, Failure> {
        self.resolve(root, path, reach, |walk| Ok(((), regular(&walk(LOOK)?)?)))
    }

    fn resolve<T>(
        &self,
        root: BorrowedFd<'_>,
        path: &str,
        reach: Reach,
        act: impl Fn(Walk<'_>) -> Result<(T, Stat), Failure>,
    ) -> Result<Found<T>, Failure> {
        // A way without links is tried first, so that it is known of each file whether there is one.
        let found = |by_link| move |(it, stat)| Found { it, stat, by_link };
        match self.walk(root, path, reach, Links::Refused, &act) {
            Err(Failure::System(Errno::LOOP) | Failure::NotAFile) if self.symlinks == Symlinks::BeneathRoot => {
                self.walk(root, path, reach, Links::Followed, &act).map(found(true))
            }
            done => done.map(found(false)),
        }
    }

    fn walk<T>(
        &self,
        root: BorrowedFd<'_>,
        path: &str,
        reach: Reach,
        links: Links,
        act: &impl Fn(Walk<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.stepwise.load(Relaxed) || (reach == Reach::Memory && self.blocking.load(Relaxed)) {
            return if reach == Reach::Memory { Err(Failure::Beyond) } else { stepwise::walk(root, path, links, act) };
        }
        let done = act(&|flags| walk_at_once(root, path, flags, reach, links));
        match (reach, done) {
            // ENOSYS is an old kernel, EPERM a sandbox's answer; the file system itself says EACCES.
            (Reach::Disk, Err(Failure::System(Errno::NOSYS | Errno::PERM))) => {
                self.stepwise.store(true, Relaxed);
                stepwise::walk(root, path, links, act)
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

fn walk_at_once(
    root: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    reach: Reach,
    links: Links,
) -> Result<OwnedFd, Failure> {
    let (flags, how) = match links {
        Links::Refused => (flags | OFlags::NOFOLLOW, BENEATH | ResolveFlags::NO_SYMLINKS),
        Links::Followed => (flags, BENEATH),
    };
    let (how, mut tries) = match reach {
        Reach::Disk => (how, 1..TRIES),
        // EAGAIN means that memory does not do.
        Reach::Memory => (how | IN_MEMORY, 0..0),
    };
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), how) {
            Err(Errno::AGAIN) if tries.next().is_some() => {}
            Err(Errno::INTR) => {}
            done => return done.map_err(Failure::System),
        }
    }
}

/// Opens for reading only what a look showed to be a regular file, and makes sure that it still is one.
fn look_then_read(open: Walk<'_>) -> Result<(OwnedFd, Stat), Failure> {
    regular(&open(LOOK)?)?;
    let file = open(READ)?;
    let stat = regular(&file)?;
    Ok((file, stat))
}

fn regular(file: &OwnedFd) -> Result<Stat, Failure> {
    let stat = rustix::fs::fstat(file.as_fd()).map_err(Failure::System)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat),
        FileType::Directory => Err(Failure::Directory),
        _ => Err(Failure::NotAFile),
    }
}
