//! What goes wrong with a disk, and what a client is told of it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http::StatusCode;
use rustix::io::Errno;

use super::resolve;
use crate::answer::Answer;

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
            // Only a walk through memory ends so, and then another follows.
            Failure::Beyond => Self::Busy,
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

impl RootError {
    pub(super) fn new(path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::NOENT => Self::Missing(path),
            Errno::NOTDIR => Self::NotADirectory(path),
            Errno::ACCESS | Errno::PERM => Self::Unreadable(path),
            other => Self::Other { path, cause: other.into() },
        }
    }
}
