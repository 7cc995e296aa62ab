//! Files that stay open between requests, so that a file that is asked for again costs one `fstat` and no walk.
//!
//! The cache only remembers; whether what it remembers still stands is for [`super::Disk`] to ask, on each request:
//! - a file on a local file system is given out only after an `fstat` of its descriptor showed the same file, unchanged and with a name, so that a file
//!   that was replaced, written to, renamed, deleted or given other permissions is seen at once (invariant D5);
//! - its path is walked again once the last walk is [`WALK_HOLDS`] old, since a directory above it may have been replaced; and each time
//!   on overlayfs, and where a symbolic link led to it;
//! - on a remote file system nothing is asked on a runtime's thread, which might hang: what was opened is given out for as long as [`WALK_HOLDS`],
//!   then opened anew by a helper thread.
//!
//! A file that nobody asked for during [`IDLE`] is let go. What was not found is not remembered.

use std::{cell::RefCell, hash::RandomState, sync::Arc, time::Duration};

use ferry_core::object::ObjectPath;
use quick_cache::{UnitWeighter, sync};
use rustix::process::{Resource, getrlimit};
use tokio::time::Instant;

use super::OpenFile;

/// How long a path that was walked is taken to lead to the same file.
pub(super) const WALK_HOLDS: Duration = Duration::from_secs(1);

/// How long a file stays open that nobody asks for. Longer than [`WALK_HOLDS`], so that the last walk shows the last request.
const IDLE: Duration = Duration::from_secs(10);

/// How much of the descriptors that this process may have is for files that nobody is reading: the clients need the rest.
const SHARE: u64 = 4;

/// Open files by the path that led to them; bounded, and shared by all threads.
pub(super) struct OpenFiles {
    held: Option<sync::Cache<ObjectPath, Held, UnitWeighter, RandomState>>,
}

/// A file, and when the walk began that found it.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) file: Arc<OpenFile>,
    pub(super) walked: Instant,
    /// Whether the walk followed a symbolic link.
    pub(super) by_link: bool,
}

impl OpenFiles {
    /// A cache of at most so many files, and never more than its share of what the system lets this process open; of none with 0.
    pub(super) fn new(most: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |limit| limit / SHARE);
        let most = most.min(usize::try_from(limit).unwrap_or(usize::MAX));
        let cache = |most| {
            sync::Cache::with(most, most as u64, UnitWeighter, RandomState::new(), sync::DefaultLifecycle::default())
        };
        Self { held: (most > 0).then(|| cache(most)) }
    }

    pub(super) fn get(&self, path: &ObjectPath) -> Option<Held> {
        self.held.as_ref()?.get(path)
    }

    pub(super) fn put(&self, path: ObjectPath, held: Held) {
        if let Some(cache) = &self.held {
            cache.insert(path, held);
        }
    }

    /// Lets go of this file, if the path has not led to another one since.
    pub(super) fn forget(&self, path: &ObjectPath, stale: &Arc<OpenFile>) {
        if let Some(cache) = &self.held {
            cache.remove_if(path, |held| Arc::ptr_eq(&held.file, stale));
        }
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        if let Some(cache) = &self.held {
            cache.clear();
        }
    }

    /// Lets go of what nobody asked for lately. Closing files takes its time: for a helper thread.
    pub(super) fn sweep(&self, now: Instant) {
        let Some(cache) = &self.held else { return };
        // They are closed when no lock of the cache is held any more.
        let idle = RefCell::new(Vec::new());
        cache.retain(|_, held| {
            let stays = now.saturating_duration_since(held.walked) < IDLE;
            if !stays {
                idle.borrow_mut().push(Arc::clone(&held.file));
            }
            stays
        });
    }

    /// How many there may be.
    #[cfg(test)]
    pub(super) fn most(&self) -> u64 {
        self.held.as_ref().map_or(0, sync::Cache::capacity)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.held.as_ref().map_or(0, sync::Cache::len)
    }
}
