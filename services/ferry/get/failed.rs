//! Why a download came to nothing, and the exit codes that say so.

use std::{io, path::PathBuf, time::Duration};

use http::StatusCode;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("could not write {path}")]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("could not write to standard output")]
    Pipe(#[source] io::Error),
    #[error("{0} is there already: name another file with -o")]
    Exists(PathBuf),
    #[error("{0} is being downloaded by another process")]
    Busy(PathBuf),
    #[error("no byte came for {} s; the last that was heard: {last}", waited.as_secs())]
    GaveUp { waited: Duration, last: String },
    #[error("refused with {status} by {by}")]
    Refused { status: StatusCode, by: String },
    #[error("the file changed while it was downloaded, and what was passed on already cannot be taken back")]
    Changed,
    #[error("the file changes faster than it can be downloaded")]
    Unsteady,
    #[error("what came does not have the digest that was announced (SHA-256), twice")]
    Digest,
}

impl Failed {
    /// The exit codes of wget where it has one for the case, and 9 for what arrived and was wrong.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Write { .. } | Self::Pipe(_) | Self::Exists(_) | Self::Busy(_) => 3,
            Self::GaveUp { .. } => 4,
            Self::Refused { .. } => 8,
            Self::Changed | Self::Unsteady | Self::Digest => 9,
        }
    }
}
