//! Files below one root.
//!
//! Whatever a path says, what is opened is a regular file below the root (invariant D3, promise P8): [`resolve`] walks, [`open_file`]
//! holds what was found, [`cache`] keeps it open. Calls that may block run off the runtime's threads, and a disk that hangs holds
//! back at most [`Settings::calls_at_once`] of them.
//!
//! Invariant D5: a file that was opened earlier answers a request only if its name still led to it, and nothing about it had changed, at the request
//! (on a local file system) or within the second before it (on any other). A directory above it may have been replaced within that
//! second.

mod cache;
mod descriptor;
mod error;
mod filesystem;
pub mod open_file;
mod reading;
pub mod resolve;

use std::{
    fmt, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use ferry_core::object::ObjectPath;
use rustix::fs::{CWD, Mode, OFlags, Stat};
use rustix::io::Errno;
use tokio::{
    sync::Semaphore,
    task,
    time::{self, Instant},
};

pub use error::{DiskError, RootError};
pub use open_file::{OpenFile, Sending};

use crate::semantics::content_type;
use cache::{Held, OpenFiles, WALK_HOLDS};
use descriptor::{Closer, Descriptor};
use filesystem::Nature;
use open_file::Identity;
use resolve::{Failure, Reach, Resolver};

/// A change that follows another within this time may leave no trace in the file's times, which the kernel stamps by its tick: what was
/// changed so lately is opened again for the next request.
const TICK: Duration = Duration::from_millis(100);

/// How often files that nobody asks for are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// A root directory, open for as long as this lives.
#[derive(Clone)]
pub struct Disk {
    inner: Arc<Inner>,
}

struct Inner {
    root: OwnedFd,
    path: PathBuf,
    settings: Settings,
    resolver: Resolver,
    nature: Nature,
    calls: Arc<Semaphore>,
    files: OpenFiles,
    closer: Arc<Closer>,
}

/// How a root is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether a path with a segment that begins with a dot is served.
    pub dotfiles: Dotfiles,
    /// The file that stands for its directory, such as `index.html`; with none, a directory is not found.
    pub index: Option<String>,
    /// How many blocking calls of this root may run at once.
    pub calls_at_once: usize,
    /// How long one opening or one reading may take, its wait for a turn included.
    pub patience: Duration,
    /// How the bytes of its files are sent.
    pub sending: Sending,
    /// How many files may stay open between requests, if the system lets this process open so many; none with 0.
    pub open_files: usize,
}

/// What is done with names that begin with a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dotfiles {
    /// They do not exist.
    Hidden,
    /// They are files like others.
    Served,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dotfiles: Dotfiles::Hidden,
            index: None,
            calls_at_once: 64,
            patience: Duration::from_secs(15),
            sending: Sending::default(),
            open_files: 10_000,
        }
    }
}

impl Disk {
    /// Opens a root with the default settings.
    pub fn open_root(path: impl AsRef<Path>) -> Result<Self, RootError> {
        Self::open_root_with(path, Settings::default())
    }

    /// Opens a root. The path itself may lead over symbolic links: the operator named it.
    pub fn open_root_with(path: impl AsRef<Path>, settings: Settings) -> Result<Self, RootError> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| RootError::new(path, errno))?;
        let calls = Arc::new(Semaphore::new(settings.calls_at_once));
        let files = OpenFiles::new(settings.open_files);
        let inner = Inner {
            nature: Nature::of(&root),
            root,
            path: path.to_owned(),
            settings,
            resolver: Resolver::default(),
            calls,
            files,
            closer: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the root was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Opens the file of that path for reading, and takes its length and modification time; gives out one that is open already
    /// where that is as good (invariant D5).
    ///
    /// Waits for nothing where the kernel has in memory what it takes. Cancelling leaves a call that waits for the disk to end by itself;
    /// it counts among the calls under way until it has.
    pub async fn open(&self, path: &ObjectPath) -> Result<Arc<OpenFile>, DiskError> {
        let now = Instant::now();
        if let Some(file) = self.inner.still_open(path, now) {
            return Ok(file);
        }
        let hidden = self.inner.settings.dotfiles == Dotfiles::Hidden;
        if hidden && path.as_str().split('/').any(|part| part.starts_with('.')) {
            return Err(DiskError::NotFound);
        }
        if self.inner.nature != Nature::Remote {
            match self.inner.find(path, Reach::Memory, now) {
                Err(Failure::Beyond) => {}
                done => return done.map_err(DiskError::from),
            }
        }
        self.open_from_disk(path, now).await
    }

    async fn open_from_disk(&self, path: &ObjectPath, now: Instant) -> Result<Arc<OpenFile>, DiskError> {
        let (inner, path) = (Arc::clone(&self.inner), path.clone());
        let work = async {
            let turn = Arc::clone(&inner.calls).acquire_owned().await.map_err(|_| DiskError::Busy)?;
            let opened = task::spawn_blocking(move || {
                let opened = inner.find_with_care(&path, now);
                drop(turn);
                opened.map_err(DiskError::from)
            });
            opened.await.unwrap_or_else(|broken| Err(DiskError::Io(io::Error::other(broken))))
        };
        time::timeout(self.inner.settings.patience, work).await.unwrap_or(Err(DiskError::Busy))
    }

    /// Lets go, from time to time, of files that nobody asks for any more: a deleted one would keep its space. Runs until it is
    /// dropped.
    pub async fn tend(&self) {
        loop {
            time::sleep(SWEEP_EVERY).await;
            let inner = Arc::clone(&self.inner);
            // Should it fail, the next one is due soon.
            let _ = task::spawn_blocking(move || inner.files.sweep(Instant::now())).await;
        }
    }

    /// How many files are open between requests.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.inner.files.len()
    }
}

impl Inner {
    /// The file of that path, if it is open and still the one (invariant D5). Never blocks.
    fn still_open(&self, path: &ObjectPath, now: Instant) -> Option<Arc<OpenFile>> {
        let Held { file, walked } = self.files.get(path)?;
        let recent = now.saturating_duration_since(walked) < WALK_HOLDS;
        // Taken first: what time does to validators is true only if the file was looked at later.
        let clock = (!file.validators().are_settled()).then(SystemTime::now);
        let (current, walked) = match (file.nature(), recent) {
            (Nature::Remote, recent) => (recent, walked),
            (Nature::Local, true) => (self.is_unchanged(&file), walked),
            (Nature::Local, false) | (Nature::Layered, _) => (self.leads_to(path, &file), now),
        };
        if !current {
            self.files.forget(path, &file);
            return None;
        }
        let renewed =
            clock.filter(|clock| !file.validators().hold_at(*clock)).map(|clock| Arc::new(file.renewed(clock)));
        let file = renewed.clone().unwrap_or(file);
        if renewed.is_some() || !recent {
            self.files.put(path.clone(), Held { file: Arc::clone(&file), walked });
        }
        Some(file)
    }

    /// Whether nothing about an open file has changed since it was opened, its names included.
    fn is_unchanged(&self, file: &OpenFile) -> bool {
        rustix::fs::fstat(file.as_fd()).is_ok_and(|stat| is_the_same(&stat, file))
    }

    /// Whether the path leads to this very file, unchanged. What it takes to say so is in memory, or the answer is no.
    fn leads_to(&self, path: &ObjectPath, file: &OpenFile) -> bool {
        self.with_index(path, |path| self.resolver.look(&self.root, path, Reach::Memory))
            .is_ok_and(|(stat, _)| is_the_same(&stat, file))
    }

    /// Finds and opens, and keeps what it opened. Blocks on the file system, if its reach is the disk.
    fn find(&self, path: &ObjectPath, reach: Reach, now: Instant) -> Result<Arc<OpenFile>, Failure> {
        // The wall clock of the machine whose clock stamped the file: the two are compared. Taken before the file is looked at, since
        // this thread may be stopped in between.
        let clock = SystemTime::now();
        let ((file, stat), name) = self.with_index(path, |path| self.resolver.open(&self.root, path, reach))?;
        let nature = match (self.nature, reach) {
            // Below a remote root nothing counts as nearer. A walk through memory goes over no mount point.
            (Nature::Remote, _) | (_, Reach::Memory) => self.nature,
            (Nature::Local | Nature::Layered, Reach::Disk) => Nature::of(&file),
        };
        let file = Descriptor::new(file, nature, Arc::clone(&self.closer));
        let kind = content_type::by_name(name.as_deref().unwrap_or_else(|| path.file_name()));
        let file = OpenFile::new(file, &stat, clock, kind, Arc::clone(&self.calls), &self.settings);
        let file = file.map(Arc::new).map_err(|_| Failure::System(Errno::OVERFLOW))?;
        if nature == Nature::Remote || file.identity().changed_apart(clock) >= TICK {
            self.files.put(path.clone(), Held { file: Arc::clone(&file), walked: now });
        }
        Ok(file)
    }

    /// The same, but where no descriptor is left, those that nobody reads from are let go first.
    fn find_with_care(&self, path: &ObjectPath, now: Instant) -> Result<Arc<OpenFile>, Failure> {
        match self.find(path, Reach::Disk, now) {
            Err(Failure::System(Errno::MFILE | Errno::NFILE)) => {
                self.files.clear();
                self.find(path, Reach::Disk, now)
            }
            done => done,
        }
    }

    /// Does this with the path; where that is a directory, with its index file, and returns which that was.
    fn with_index<T>(
        &self,
        path: &ObjectPath,
        act: impl Fn(&str) -> Result<T, Failure>,
    ) -> Result<(T, Option<String>), Failure> {
        match (act(path.as_str()), &self.settings.index) {
            (Err(Failure::Directory), Some(index)) => {
                let done = act(&format!("{path}/{index}"))?;
                Ok((done, Some(index.clone())))
            }
            (done, _) => Ok((done?, None)),
        }
    }
}

/// Whether this is the file as it was opened, and has a name.
fn is_the_same(stat: &Stat, file: &OpenFile) -> bool {
    stat.st_nlink > 0 && Identity::of(stat) == file.identity()
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
