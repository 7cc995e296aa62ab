//! What goes wrong with a store, by what can be done about it.

use std::{io, path::PathBuf};

use super::place::Place;

/// Why a directory cannot be a store. Each names the path.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the cache {} is in use by another process", .path.display())]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// It holds something, and that is no store: nothing there is touched.
    #[error("{} is not empty and holds no cache of ferry's", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// A newer ferry wrote it.
    #[error("the cache {} has format {found}, this ferry knows {known}", .path.display())]
    TooNew {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The system refuses.
    #[error("the cache {} cannot be opened", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Why bytes are not kept. In each case the fill is over and the object is gone from the store as a whole; its clients get their bytes
/// all the same, past the cache.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The disk failed, or does not answer.
    #[error("the cache's disk failed")]
    Disk(#[source] io::Error),
    /// There is no room, and nothing may be evicted for it.
    #[error("the cache is full")]
    Full,
    /// What is known of the object does not agree with what came: a length that changed.
    #[error("the object is not what it was said to be")]
    Contradiction,
    /// It was given up before, by another fill.
    #[error("the object was given up")]
    Lost,
}

impl FillError {
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Disk(error),
        }
    }
}

/// Why nothing is changed in a store, or nothing known of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed, or does not answer.
    #[error("the cache's disk failed")]
    Disk(#[from] io::Error),
    /// It is only read.
    #[error("the cache is read-only")]
    ReadOnly,
    /// Its directory is not where it was, and may come back with all that is in it.
    #[error("the cache is away: {0}")]
    Away(Place),
    /// A key or a head that is longer than what is kept.
    #[error("the key or the head is too long")]
    TooLong,
}
