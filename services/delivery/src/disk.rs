//! Files below one root.
//!
//! Whatever a path says, what is opened is a regular file below the root (invariant D3, promise P8): [`resolve`] walks, [`open_file`]
//! holds what was found, [`cache`] keeps it open. Calls that may block run off the runtime's threads, and a disk that hangs holds
//! back at most [`Settings::calls_at_once`] of them.
//!
//! Invariant D5: a file that was opened earlier answers a request only if its name still led to it, and nothing about it had changed, at the request
//! (on a local file system) or within the second before it (on any other). A directory above it may have been replaced within that
//! second.

pub(crate) mod buffers;
mod cache;
pub(crate) mod calls;
pub mod config;
pub(crate) mod descriptor;
pub(crate) mod digests;
mod error;
pub mod faulty;
pub(crate) mod filesystem;
mod filling;
mod first_read;
pub mod health;
mod lookup;
pub mod open_file;
mod reading;
pub mod resolve;
pub mod settings;

use std::{
    fmt,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ferry_core::object::ObjectPath;
use futures_util::future::join;
use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use tokio::{
    task,
    time::{self, Instant},
};

pub use calls::Time;
pub use error::{DiskError, RootError};
pub use filling::{About, Filling};
pub use health::Health;
pub use open_file::{OpenFile, Sending};
pub use resolve::Symlinks;
pub use settings::{Dotfiles, EtagForm, Settings};

use crate::semantics::{coding::Coding, content_type::ContentTypes};
use buffers::Buffers;
use cache::OpenFiles;
use calls::Calls;
use descriptor::Closer;
use digests::Digests;
use faulty::{Faults, Twin};
use filesystem::Nature;
use resolve::{Failure, Reach, Resolver};

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
    calls: Arc<Calls>,
    files: OpenFiles,
    buffers: Buffers,
    closer: Arc<Closer>,
    /// Where validators are made of them.
    digests: Option<Digests>,
}

impl Disk {
    /// Opens a root with the default settings.
    pub fn open_root(path: impl AsRef<Path>) -> Result<Self, RootError> {
        Self::open_root_with(path, Settings::default())
    }

    /// Opens a root. The path itself may lead over symbolic links: the operator named it.
    pub fn open_root_with(path: impl AsRef<Path>, settings: Settings) -> Result<Self, RootError> {
        Self::of(path.as_ref(), settings, None)
    }

    /// Opens a root that fails on command. Each of its calls is made as if it might hang.
    pub fn open_faulty_root(path: impl AsRef<Path>, settings: Settings) -> Result<(Self, Faults), RootError> {
        let (faults, twin) = Faults::new();
        Ok((Self::of(path.as_ref(), settings, Some(twin))?, faults))
    }

    fn of(path: &Path, settings: Settings, twin: Option<Twin>) -> Result<Self, RootError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| RootError::new(path, errno))?;
        let calls = Calls::new(settings.calls_at_once, settings.patience, twin);
        let inner = Inner {
            nature: if calls.may_be_passed_by() { Nature::of(&root) } else { Nature::Remote },
            root,
            path: path.to_owned(),
            resolver: Resolver::new(settings.symlinks),
            calls: Arc::new(calls),
            files: OpenFiles::new(settings.open_files),
            buffers: Buffers::new(settings.sending.buffer_bytes.max(1)),
            closer: Arc::default(),
            digests: (settings.etag == EtagForm::Digest).then(Digests::new),
            settings,
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

    /// Opens the coded form that lies beside the file of that path, under its name with the coding's suffix.
    pub async fn open_coded(&self, path: &ObjectPath, coding: Coding) -> Result<Arc<OpenFile>, DiskError> {
        let path = ObjectPath::from_decoded(&format!("{path}{}", coding.suffix())).map_err(|_| DiskError::NotFound)?;
        self.open(&path).await
    }

    /// In which codings files may lie beside their plain form, the most welcome first.
    #[must_use]
    pub fn precompressed(&self) -> &[Coding] {
        &self.inner.settings.precompressed
    }

    /// The media types of its files.
    #[must_use]
    pub fn types(&self) -> &ContentTypes {
        &self.inner.settings.types
    }

    /// The file of that path, if it is open already and still the one (invariant D5). Never waits.
    ///
    /// An [`OpenFile`] remembers when that was last so: [`OpenFile::stood_at`].
    #[must_use]
    pub fn at_hand(&self, path: &ObjectPath) -> Option<Arc<OpenFile>> {
        self.inner.still_open(path, Instant::now())
    }

    async fn open_from_disk(&self, path: &ObjectPath, now: Instant) -> Result<Arc<OpenFile>, DiskError> {
        let find = || {
            let (inner, path) = (Arc::clone(&self.inner), path.clone());
            self.inner.calls.make(move || inner.find(&path, Reach::Disk, now))
        };
        let found = match find().await? {
            Err(Failure::System(Errno::MFILE | Errno::NFILE)) => {
                // Those that nobody reads from are closed for this one.
                self.inner.files.clear();
                find().await?
            }
            // What the client of a network file system remembered of the path is no more: it asks its server the next time.
            Err(Failure::System(Errno::STALE)) => find().await?,
            done => done,
        };
        found.map_err(DiskError::from)
    }

    /// Lets go, from time to time, of files that nobody asks for any more: a deleted one would keep its space. Finds out what files hash to, where validators
    /// are made of that. Runs until it is dropped.
    pub async fn tend(&self) {
        match &self.inner.digests {
            Some(digests) => join(self.sweep(), digests.tend()).await,
            None => (self.sweep().await, ()),
        };
    }

    async fn sweep(&self) {
        loop {
            time::sleep(SWEEP_EVERY).await;
            let inner = Arc::clone(&self.inner);
            // Should it fail, the next one is due soon.
            let _ = task::spawn_blocking(move || inner.files.sweep(Instant::now())).await;
        }
    }

    /// Lets go of all files that are open between requests.
    #[cfg(test)]
    pub(crate) fn let_go(&self) {
        self.inner.files.clear();
    }

    /// How many files are open between requests.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.inner.files.len()
    }

    /// How it does, by how its calls go.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.calls.health()
    }

    /// Whether the root is still a directory that anybody could find: one that was deleted stays open, and empty.
    pub(crate) fn has_a_name(&self) -> bool {
        rustix::fs::fstat(&self.inner.root).is_ok_and(|stat| stat.st_nlink > 0)
    }

    /// What its calls that may block took so far.
    #[must_use]
    pub fn time(&self) -> Time {
        self.inner.calls.time()
    }

    /// How many calls are under way that may block.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.inner.calls.under_way()
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
