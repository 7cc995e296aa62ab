//! What goes wrong with a disk, and what a client is told of it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http::StatusCode;
use rustix::io::Errno;

use super::{calls::NoOutcome, resolve::Failure};
use crate::answer::Answer;

/// What network file systems, FUSE and pulled plugs say while the other side is not there.
const AWAY: &[Errno] = &[
    Errno::STALE,
    Errno::NOTCONN,
    Errno::TIMEDOUT,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::CONNREFUSED,
    Errno::CONNRESET,
    Errno::CONNABORTED,
    Errno::SHUTDOWN,
    Errno::NODEV,
    Errno::NOMEDIUM,
    Errno::REMOTEIO,
];

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
    /// Its calls are all under way, or one of them did not come back in time.
    #[error("the disk did not answer in time")]
    Busy,
    /// This process has no descriptor or no memory left for it.
    #[error("this process can open no more files")]
    Exhausted(#[source] io::Error),
    /// The file system is not there now: its server or its medium is away.
    #[error("the file system is away")]
    Away(#[source] io::Error),
    /// The medium or the file system is broken. Trying again will not help.
    #[error("the disk failed")]
    Io(#[source] io::Error),
}

impl DiskError {
    /// What a client is told.
    #[must_use]
    pub fn answer(&self) -> Answer {
        /// A disk that is away or busy may be back by then.
        const AGAIN: Duration = Duration::from_secs(5);
        match self {
            Self::NotFound => Answer::text(StatusCode::NOT_FOUND, "not found"),
            Self::Forbidden => Answer::text(StatusCode::FORBIDDEN, "forbidden"),
            Self::Busy | Self::Exhausted(_) | Self::Away(_) => {
                Answer::unavailable("the storage does not answer", AGAIN)
            }
            Self::Io(_) => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the storage failed"),
        }
    }

    /// The kind of failure as a metric's label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::Exhausted(_) => "exhausted",
            Self::Away(_) => "away",
            Self::Io(_) => "io",
        }
    }
}

impl From<Failure> for DiskError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Directory | Failure::NotAFile => Self::NotFound,
            // Only a walk through memory ends so, and then another follows.
            Failure::Beyond => Self::Busy,
            Failure::System(errno) => match errno {
                // XDEV and LOOP: the path leads out of the root or over a symbolic link.
                Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::XDEV | Errno::NXIO => {
                    Self::NotFound
                }
                Errno::ACCESS | Errno::PERM => Self::Forbidden,
                // It would ask for another try, but under O_NONBLOCK it means that another process holds a lease on the file.
                Errno::AGAIN => Self::Busy,
                Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Exhausted(errno.into()),
                other if AWAY.contains(&other) => Self::Away(other.into()),
                other => Self::Io(other.into()),
            },
        }
    }
}

impl From<NoOutcome> for DiskError {
    fn from(why: NoOutcome) -> Self {
        match why {
            NoOutcome::Late(_) | NoOutcome::Hangs => Self::Busy,
            NoOutcome::Broken(broken) => Self::Io(io::Error::other(broken)),
        }
    }
}

/// Whether what the system said speaks against the disk, and not against the request or this process.
pub(super) fn is_the_disk_s(errno: Errno) -> bool {
    matches!(DiskError::from(Failure::System(errno)), DiskError::Away(_) | DiskError::Io(_))
}

/// Whether only a disk says so, and no socket: for a transfer from the one to the other.
pub(super) const fn is_no_socket_s(errno: Errno) -> bool {
    matches!(errno, Errno::IO | Errno::STALE | Errno::UCLEAN | Errno::BADMSG | Errno::NODEV | Errno::REMOTEIO)
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
