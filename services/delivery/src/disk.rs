//! Files below one root.
//!
//! Whatever a path says, what is opened is a regular file below the root (invariant D3, promise P8): [`resolve`] walks, [`open_file`]
//! holds what was found. Calls that may block run off the runtime's threads, and a disk that hangs holds back at most
//! [`Settings::calls_at_once`] of them.

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
use http::StatusCode;
use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use tokio::{sync::Semaphore, task, time};

pub use open_file::{OpenFile, Sending};
use resolve::Resolver;

use crate::answer::Answer;

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
    calls: Arc<Semaphore>,
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
}

/// What is done with names that begin with a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dotfiles {
    /// They do not exist.
    Hidden,
    /// They are files like others.
    Served,
}

/// Why a root cannot be served. Each names the path.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Nothing is there.
    #[error("the root {} does not exist", .0.display())]
    Missing(PathBuf),
    /// It is no directory.
    #[error("the root {} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// This process may not read it.
    #[error("the root {} is not readable by this process", .0.display())]
    Unreadable(PathBuf),
    /// Anything else.
    #[error("the root {} cannot be opened", .path.display())]
    Other {
        /// The root.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Why an object cannot be served from this disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// There is no regular file of that path below the root, or none that is shown.
    #[error("not found")]
    NotFound,
    /// The file is there, and this process may not read it.
    #[error("not readable by this process")]
    Forbidden,
    /// The root has too many calls under way, or one of them does not come back.
    #[error("the disk did not answer in time")]
    Busy,
    /// The disk or its file system failed.
    #[error("the disk failed")]
    Io(#[source] io::Error),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dotfiles: Dotfiles::Hidden,
            index: None,
            calls_at_once: 64,
            patience: Duration::from_secs(15),
            sending: Sending::default(),
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
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| root_error(path, errno))?;
        let calls = Arc::new(Semaphore::new(settings.calls_at_once));
        let resolver = Resolver::default();
        Ok(Self { inner: Arc::new(Inner { root, path: path.to_owned(), settings, resolver, calls }) })
    }

    /// Where the root was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Opens the file of that path for reading, and takes its length and modification time.
    ///
    /// Cancelling leaves the call to end by itself; it counts among the calls under way until it has.
    pub async fn open(&self, path: &ObjectPath) -> Result<Arc<OpenFile>, DiskError> {
        let (inner, path) = (Arc::clone(&self.inner), path.clone());
        if inner.settings.dotfiles == Dotfiles::Hidden && path.as_str().split('/').any(|part| part.starts_with('.')) {
            return Err(DiskError::NotFound);
        }
        let work = async {
            let turn = Arc::clone(&inner.calls).acquire_owned().await.map_err(|_| DiskError::Busy)?;
            let opened = task::spawn_blocking(move || {
                let opened = inner.open(&path);
                drop(turn);
                opened
            });
            opened.await.unwrap_or_else(|broken| Err(DiskError::Io(io::Error::other(broken))))
        };
        time::timeout(self.inner.settings.patience, work).await.unwrap_or(Err(DiskError::Busy))
    }
}

impl Inner {
    /// Blocks on the file system.
    fn open(&self, path: &ObjectPath) -> Result<Arc<OpenFile>, DiskError> {
        let found = self.resolver.open(&self.root, path.as_str());
        let found = match (found, &self.settings.index) {
            (Err(resolve::Failure::Directory), Some(index)) => {
                self.resolver.open(&self.root, &format!("{path}/{index}"))
            }
            (found, _) => found,
        };
        let (file, stat) = found?;
        // The wall clock of the machine whose clock stamped the file: the two are compared.
        let (now, calls) = (SystemTime::now(), Arc::clone(&self.calls));
        OpenFile::new(file, &stat, now, calls, &self.settings).map(Arc::new).map_err(DiskError::Io)
    }
}

impl DiskError {
    /// What a client is told.
    #[must_use]
    pub fn answer(&self) -> Answer {
        /// A disk that fails now may be mounted again or less busy then.
        const AGAIN: Duration = Duration::from_secs(5);
        match self {
            Self::NotFound => Answer::text(StatusCode::NOT_FOUND, "not found"),
            Self::Forbidden => Answer::text(StatusCode::FORBIDDEN, "forbidden"),
            Self::Busy | Self::Io(_) => Answer::unavailable("the storage does not answer", AGAIN),
        }
    }

    /// The kind of failure as a metric's label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::Io(_) => "io",
        }
    }
}

impl From<resolve::Failure> for DiskError {
    fn from(failure: resolve::Failure) -> Self {
        use resolve::Failure;
        match failure {
            Failure::Directory | Failure::NotAFile => Self::NotFound,
            Failure::System(errno) => match errno {
                // XDEV and LOOP: the path leads out of the root or over a symbolic link. AGAIN would ask for another try, but under
                // O_NONBLOCK it means that another process holds a lease on the file.
                Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::XDEV | Errno::NXIO => {
                    Self::NotFound
                }
                Errno::ACCESS | Errno::PERM => Self::Forbidden,
                Errno::AGAIN => Self::Busy,
                other => Self::Io(other.into()),
            },
        }
    }
}

fn root_error(path: &Path, errno: Errno) -> RootError {
    let path = path.to_owned();
    match errno {
        Errno::NOENT => RootError::Missing(path),
        Errno::NOTDIR => RootError::NotADirectory(path),
        Errno::ACCESS | Errno::PERM => RootError::Unreadable(path),
        other => RootError::Other { path, cause: other.into() },
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
