//! What can go wrong, sorted by what the caller can do about it.

use std::path::PathBuf;

use crate::contract::Versioned;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer for now: ask again, with a pause. A change may or may not have been made; read before repeating it.
    #[error("the store is unavailable: {why}")]
    Unavailable {
        /// What was tried, and how it failed.
        why: String,
    },
    /// The key is not as expected; nothing was changed. Decide again from `current`.
    #[error("the record was changed by somebody else{}", match current {
        Some(current) => format!(" (revision {})", current.revision),
        None => String::from(" (it is gone)"),
    })]
    Conflict {
        /// What is there now; `None` if nothing is.
        current: Option<Versioned>,
    },
    /// Credentials, permissions, certificates, or a request that no store takes: an operator must act. Asking again
    /// helps only after that, so ask rarely.
    #[error("the store refuses: {why}")]
    Refused {
        /// One line for the operator.
        why: String,
    },
    /// The file is damaged: it must be restored from a copy, or moved away to begin anew.
    #[error("{} is damaged: {why}; restore it from a copy, or move it away to begin anew", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The file was written by a newer build: only that build, or a later one, can use it.
    #[error("{} has format {found}, and this build knows formats up to {known}: use a newer build", path.display())]
    TooNew {
        /// The store's file.
        path: PathBuf,
        /// The version that the file names.
        found: u64,
        /// The newest version that this build reads.
        known: u64,
    },
}

impl Error {
    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into() }
    }

    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }

    /// Whether the same request may succeed later with nobody's help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Conflict { .. } | Self::Refused { .. } | Self::Corrupt { .. } | Self::TooNew { .. } => false,
        }
    }
}
