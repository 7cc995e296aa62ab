//! The failing twin of the store's file system: calls that fail, writes that come short, a process that dies between any two calls, and a
//! power cut that takes what was not forced to the disk.
//!
//! A power cut leaves of names what a journalling file system leaves: all changes up to some moment, and none after it; of each write that
//! was not synced, by itself, all, half or nothing. Stricter orders hold on some file systems; the store relies on none.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

/// What goes wrong with the store's files; the handle that commands it.
#[derive(Debug)]
pub struct Faults(Twin);

/// What a call is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO: the medium is broken.
    Io,
    /// ENOSPC: no room is left.
    Full,
}

/// The store's end.
#[derive(Clone)]
pub(super) struct Twin {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    /// How many calls were made.
    calls: usize,
    /// The fault, and the first call that it strikes.
    fault: Option<(usize, Fault)>,
    /// Whether the fault strikes once.
    once: bool,
    /// From which call on nothing reaches the disk; the one before it, if it writes, writes half.
    dies_at: Option<usize>,
    /// How many bytes one call writes at most.
    shortest: Option<usize>,
    /// How many bytes the file system says are free.
    free: Option<u64>,
    /// Where names are kept that were taken away.
    shadows: PathBuf,
    names: Vec<Change>,
    writes: Vec<Write>,
}

/// A change of names that is not on the disk for good.
enum Change {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, shadow: Option<PathBuf> },
    Removed { path: PathBuf, shadow: Option<PathBuf> },
}

/// A write that is not on the disk for good.
struct Write {
    file: File,
    inode: u64,
    offset: u64,
    length: u64,
}

impl Faults {
    /// `shadows` is an empty directory on the same file system.
    pub(super) fn new(shadows: PathBuf) -> (Self, Twin) {
        let twin = Twin { plan: Arc::new(Mutex::new(Plan { shadows, ..Plan::default() })) };
        (Self(twin.clone()), twin)
    }

    /// How many calls were made so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.locked().calls
    }

    /// Every call fails once so many more were made, until [`Self::heal`].
    pub fn fail_after(&self, calls: usize, fault: Fault) {
        let mut plan = self.0.locked();
        (plan.fault, plan.once) = (Some((plan.calls + calls, fault)), false);
    }

    /// One call fails once so many more were made.
    pub fn fail_one_after(&self, calls: usize, fault: Fault) {
        let mut plan = self.0.locked();
        (plan.fault, plan.once) = (Some((plan.calls + calls, fault)), true);
    }

    /// The process is as good as killed once so many more calls were made: no other reaches the disk. If the last one writes, it is cut
    /// in half.
    pub fn die_after(&self, calls: usize) {
        let mut plan = self.0.locked();
        plan.dies_at = Some(plan.calls + calls);
    }

    /// No call writes more than so many bytes.
    pub fn write_at_most(&self, bytes: usize) {
        self.0.locked().shortest = Some(bytes.max(1));
    }

    /// The file system says that it has so many bytes free.
    pub fn set_free(&self, bytes: u64) {
        self.0.locked().free = Some(bytes);
    }

    /// All is well again; the dead stay dead.
    pub fn heal(&self) {
        let mut plan = self.0.locked();
        (plan.fault, plan.shortest) = (None, None);
    }

    /// Takes from the disk what a power cut now might take; `draw(n)` gives a number below `n`.
    pub fn cut_power(&self, mut draw: impl FnMut(usize) -> usize) -> io::Result<()> {
        let mut plan = self.0.locked();
        plan.dies_at = Some(plan.calls);
        let kept = draw(plan.names.len() + 1);
        for change in plan.names.drain(..).skip(kept).collect::<Vec<_>>().into_iter().rev() {
            change.undo()?;
        }
        for write in plan.writes.drain(..).collect::<Vec<_>>().into_iter().rev() {
            match draw(3) {
                0 => {}
                1 => write.lose(write.length)?,
                _ => write.lose(write.length / 2)?,
            }
        }
        Ok(())
    }
}

impl Change {
    fn undo(self) -> io::Result<()> {
        match self {
            Self::Created(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Self::Renamed { from, to, shadow } => {
                fs::rename(&to, from)?;
                shadow.map_or(Ok(()), |shadow| fs::rename(shadow, to))
            }
            Self::Removed { path, shadow } => shadow.map_or(Ok(()), |shadow| fs::rename(shadow, path)),
        }
    }

    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Created(path) | Self::Renamed { to: path, .. } | Self::Removed { path, .. } => path.parent(),
        }
    }
}

impl Write {
    /// The last so many bytes did not get to the disk: the file ends before them, or has zeros there.
    fn lose(&self, bytes: u64) -> io::Result<()> {
        let (from, end) = (self.offset + self.length - bytes, self.offset + self.length);
        if self.file.metadata()?.len() <= end {
            return self.file.set_len(from);
        }
        self.file.write_all_at(&vec![0; usize::try_from(bytes).map_err(io::Error::other)?], from)
    }
}

impl Twin {
    fn locked(&self) -> MutexGuard<'_, Plan> {
        // Whatever panics under it is a test, which ends.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and fails it as planned.
    pub(super) fn strike(&self) -> io::Result<()> {
        self.locked().strike()
    }

    /// The same for a write; returns how many bytes it may write.
    pub(super) fn admit(&self, file: &impl AsFd, length: usize, offset: u64) -> io::Result<usize> {
        let mut plan = self.locked();
        plan.strike()?;
        let torn = plan.dies_at == Some(plan.calls);
        let most = if torn { length.div_ceil(2) } else { length };
        let most = plan.shortest.map_or(most, |shortest| most.min(shortest));
        let file = File::from(file.as_fd().try_clone_to_owned()?);
        let inode = file.metadata()?.ino();
        plan.writes.push(Write { file, inode, offset, length: most as u64 });
        Ok(most)
    }

    pub(super) fn free(&self) -> Option<u64> {
        self.locked().free
    }

    pub(super) fn created(&self, path: PathBuf) {
        self.locked().names.push(Change::Created(path));
    }

    /// Keeps what has this name under another one; `None` if nothing has.
    pub(super) fn shadow(&self, path: &Path) -> Option<PathBuf> {
        let plan = self.locked();
        let shadow = plan.shadows.join(plan.calls.to_string());
        fs::hard_link(path, &shadow).ok().map(|()| shadow)
    }

    pub(super) fn renamed(&self, from: PathBuf, to: PathBuf, shadow: Option<PathBuf>) {
        self.locked().names.push(Change::Renamed { from, to, shadow });
    }

    pub(super) fn removed(&self, path: PathBuf, shadow: Option<PathBuf>) {
        self.locked().names.push(Change::Removed { path, shadow });
    }

    pub(super) fn synced(&self, file: &impl AsFd) {
        let Ok(stat) = rustix::fs::fstat(file) else { return };
        self.locked().writes.retain(|write| write.inode != stat.st_ino);
    }

    /// A directory is forced to the disk with all that its file system did before: up to the last change in it.
    pub(super) fn synced_names(&self, directory: &Path) {
        let names = &mut self.locked().names;
        let last = names.iter().rposition(|change| change.directory() == Some(directory));
        names.drain(..last.map_or(0, |last| last + 1));
    }
}

impl Plan {
    fn strike(&mut self) -> io::Result<()> {
        if self.dies_at.is_some_and(|at| self.calls >= at) {
            return Err(io::Error::other("the process is dead"));
        }
        self.calls += 1;
        match self.fault {
            Some((from, fault)) if self.calls > from => {
                if self.once {
                    self.fault = None;
                }
                Err(match fault {
                    Fault::Io => Errno::IO.into(),
                    Fault::Full => Errno::NOSPC.into(),
                })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.locked();
        let files: BTreeSet<u64> = plan.writes.iter().map(|write| write.inode).collect();
        f.debug_struct("Twin").field("calls", &plan.calls).field("unsynced", &files).finish_non_exhaustive()
    }
}
