//! A file that one process holds for as long as it lives, so that no second one uses what lies beside it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// The lock, held. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct StorageLock(#[expect(dead_code, reason = "an open file that is locked does its work by being open")] File);

/// Why it is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process holds {}", .0.display())]
    Taken(PathBuf),
    /// The file cannot be made or locked.
    #[error("could not {step} {}", .path.display())]
    Unusable {
        /// What was tried.
        step: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
}

impl StorageLock {
    /// Takes the lock in that file, which is made if need be, and never removed: whoever removes a lock may remove another's.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |step, cause| LockError::Unusable { step, path: path.to_owned(), cause };
        let file = File::options().create(true).append(true).open(path).map_err(|cause| failed("open", cause))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(Errno::WOULDBLOCK) => Err(LockError::Taken(path.to_owned())),
            Err(errno) => Err(failed("lock", errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let held = StorageLock::take(&path).expect("nobody has it");
        let refused = StorageLock::take(&path).expect_err("it is held");
        assert!(matches!(refused, LockError::Taken(_)), "{refused}");
        drop(held);
        StorageLock::take(&path).expect("it was given back");
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_fault_that_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = StorageLock::take(&folder.path().join("none/lock")).expect_err("no such folder");
        assert!(matches!(refused, LockError::Unusable { step: "open", .. }), "{refused}");
    }
}
