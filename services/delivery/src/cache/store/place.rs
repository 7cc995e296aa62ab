//! Whether the directory of a store is where it was, and what is done if it is not.
//!
//! People clear a cache with `rm -rf` while its node runs, file systems are unmounted, rights are taken away. Whatever it is, clients are served: what is
//! open goes on, and the rest passes by. A directory that is gone, or was emptied, is made anew on the file system where it was, and what it held is
//! forgotten. Where another file system shows in its place, nothing is written: it was unmounted, and comes back.
//!
//! Whether a directory is ours is told by its lock, which this process holds as long as the store is open.

use std::{
    collections::BTreeSet,
    fmt, io,
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
};

use super::{
    error::OpenError,
    index::Gone,
    inner::Inner,
    layout::{self, Kind, LOCK},
    stock,
};

/// How many objects are forgotten while the index is locked.
const AT_ONCE: usize = 1000;

/// Where the directory of a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it was.
    Here,
    /// Nowhere.
    Gone,
    /// Perhaps where it was: another file system shows there.
    Covered,
    /// Where it was, but this process may not look.
    Unreadable,
    /// Something else has its name: another process's directory, or none of ours.
    Taken,
}

/// What tells one file from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// What a look at a directory finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Ours,
    /// No lock of ours, on our file system: it may be made anew.
    Vacant,
    Covered,
    Unreadable,
}

impl Inner {
    /// Looks where the directory is, and makes it anew where it may. Blocks.
    pub(super) fn look(self: &Arc<Self>) -> io::Result<Place> {
        let _turn = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.files.identity_of(&*self.lock())?;
        let lock = self.files.identity(Path::new(LOCK));
        let place = match judge(held, lock, || self.device_above()) {
            Found::Ours => Place::Here,
            Found::Vacant => self.take_again(),
            Found::Covered => Place::Covered,
            Found::Unreadable => Place::Unreadable,
        };
        let before = std::mem::replace(&mut *self.place(), place);
        if before != place {
            let root = self.files.root().display();
            match place {
                Place::Here => tracing::info!(%root, "the directory of the cache is back"),
                away => tracing::warn!(%root, "the cache has no directory: {away}"),
            }
        }
        Ok(place)
    }

    /// The file system on which the directory would be made.
    fn device_above(&self) -> Option<u64> {
        self.files.root().ancestors().find_map(|above| self.files.identity(above).ok()).map(|above| above.device)
    }

    /// Takes the directory as at the start, and forgets all that was in the one before. Nobody makes or opens an object meanwhile.
    fn take_again(self: &Arc<Self>) -> Place {
        let _shelves: Vec<_> = self.all_shelves();
        let lock = match layout::take_again(self.files.root(), self.settings.mode) {
            Ok(lock) => lock,
            Err(OpenError::Taken { .. } | OpenError::Foreign { .. } | OpenError::TooNew { .. }) => return Place::Taken,
            Err(OpenError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Place::Gone,
            Err(OpenError::Io { .. }) => return Place::Unreadable,
        };
        *self.lock() = lock;
        self.stocked.send_replace(false);
        let forgotten = self.forget_all();
        self.remade.fetch_add(1, Relaxed);
        let root = self.files.root().display();
        tracing::warn!(%root, objects = forgotten, "the directory of the cache was gone, with all that was in it");
        stock::take(self);
        Place::Here
    }

    /// Forgets every object; who holds one goes on with it. Returns how many there were.
    fn forget_all(&self) -> usize {
        let mut forgotten = 0;
        loop {
            let gone: Vec<Gone> = {
                let mut index = self.index();
                let keys: BTreeSet<_> = index.below("", None).take(AT_ONCE).map(|(key, _)| Arc::clone(key)).collect();
                keys.iter().filter_map(|key| index.remove(key)).collect()
            };
            if gone.is_empty() {
                return forgotten;
            }
            forgotten += gone.len();
            for gone in gone {
                self.cut_loose(&gone);
                // It may have been made in the new directory already, before anybody had looked.
                if self.is_of_this_process(gone.number) {
                    self.remove_what_is_of(&gone);
                }
            }
        }
    }

    fn remove_what_is_of(&self, gone: &Gone) {
        let named = self.read(gone.id).ok().flatten().map(|(ledger, _)| ledger.number);
        // What cannot be removed is taken stock of, as a valid object.
        let _ = match named == Some(gone.number) {
            true => self.sweep(gone.id, gone.number),
            false => self.files.remove(&gone.id.name(Kind::Data(gone.number))),
        };
    }
}

/// What is to be thought of a directory in which this lock was found, where `held` is ours; `above` is the file system of what there is of its path.
fn judge(held: Identity, lock: io::Result<Identity>, above: impl FnOnce() -> Option<u64>) -> Found {
    match lock {
        Ok(lock) if lock == held => Found::Ours,
        Ok(lock) if lock.device != held.device => Found::Covered,
        Ok(_) => Found::Vacant,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => match above() {
            Some(device) if device == held.device => Found::Vacant,
            Some(_) => Found::Covered,
            None => Found::Unreadable,
        },
        Err(_) => Found::Unreadable,
    }
}

impl Place {
    /// Whether there is nothing to say.
    #[must_use]
    pub const fn is_here(self) -> bool {
        matches!(self, Self::Here)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here => "its directory is there",
            Self::Gone => "its directory is gone",
            Self::Covered => "another file system is where its directory was",
            Self::Unreadable => "its directory cannot be read",
            Self::Taken => "something else is where its directory was",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_anew_on_its_own_file_system_only() {
        let at = |device, inode| Identity { device, inode };
        let held = at(1, 7);
        let missing = || Err(io::ErrorKind::NotFound.into());
        for (lock, above, expected) in [
            (Ok(held), None, Found::Ours),
            (Ok(at(1, 8)), None, Found::Vacant),
            (Ok(at(2, 7)), None, Found::Covered),
            (missing(), Some(1), Found::Vacant),
            (missing(), Some(2), Found::Covered),
            (missing(), None, Found::Unreadable),
            (Err(io::ErrorKind::PermissionDenied.into()), Some(1), Found::Unreadable),
            (Err(io::ErrorKind::NotADirectory.into()), Some(1), Found::Vacant),
        ] {
            let what = format!("{lock:?} below {above:?}");
            assert_eq!(judge(held, lock, || above), expected, "{what}");
        }
    }
}
