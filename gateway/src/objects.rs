//! What nodes tell of objects, for redirects to name. Decided in `core::known`; here is the memory that the threads share.
//!
//! Its size is fixed, and its locks are many and held for a few instructions.

use std::{
    array,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ferry_core::{
    evidence::Told,
    id::NodeId,
    known::{Known, Version},
    object::ObjectKey,
    time::Tick,
};
use twox_hash::XxHash3_64;

/// Objects of one name fall into one part, whatever their query.
const PARTS: usize = 32;
/// Objects in each: 16,384 in all.
const OBJECTS: usize = 512;

/// The memory; one for all who redirect.
#[derive(Debug)]
pub(crate) struct Objects([Mutex<Known>; PARTS]);

impl Default for Objects {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::new(Known::with_room_for(OBJECTS))))
    }
}

impl Objects {
    /// Hears what a node tells of an object.
    pub(crate) fn hear(&self, node: &NodeId, told: &Told, now: Tick) {
        self.part(&told.key).hear(node, &told.key, told.version.clone(), now);
    }

    /// The version that a redirect names.
    pub(crate) fn version(&self, key: &ObjectKey, now: Tick) -> Option<Arc<Version>> {
        self.part(key).version(key, now)
    }

    /// An object may have changed.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.part(key).forget(key);
    }

    /// By the upper bits; `Known` goes by the lower ones.
    fn part(&self, key: &ObjectKey) -> MutexGuard<'_, Known> {
        let part = (XxHash3_64::oneshot(key.path.as_str().as_bytes()) >> 32) as usize % PARTS;
        // Whatever a panic left half done is forgotten in a minute.
        self.0[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
