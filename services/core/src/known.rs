//! What nodes tell of the objects that they serve: length, strong validator, digest. A gateway names it on its redirects.
//!
//! Nothing is named of which two nodes said different things a moment ago: a client that is sent to a node with another version than the
//! redirect names is sent on by that node, and must not be sent in circles. What nobody has said for [`MEMORY`] is forgotten: so long, at
//! most, an old version is named after an object has changed.
//!
//! Bounded: a set of [`WAYS`] slots for each hash, of which the one that was heard of longest ago gives way. Pure, as all of core.

mod validator;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use twox_hash::XxHash3_64;

pub use self::validator::{InvalidValidator, Validator};
use crate::{id::NodeId, object::ObjectKey, time::Tick};

/// How long a node's word counts. Nodes say it again in a quarter of that, as long as clients ask for the object.
pub const MEMORY: Duration = Duration::from_secs(60);
/// Objects whose hashes fall together and that are known at one time.
const WAYS: usize = 4;
/// Nodes whose words on one object are kept apart; of more, the earliest word is forgotten.
const TELLERS: usize = 4;

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its strong validator.
    pub validator: Validator,
    /// Its bytes.
    pub length: u64,
    /// The SHA-256 of all of them, where somebody knows it.
    pub sha256: Option<[u8; 32]>,
}

impl Version {
    /// Octets of [`Self::repr_digest`].
    pub const REPR_DIGEST: usize = "sha-256=::".len() + 44;

    /// The value of the field `Repr-Digest` (RFC 9530 section 3), if the digest is known. Allocates nothing.
    #[must_use]
    pub fn repr_digest(&self) -> Option<[u8; Self::REPR_DIGEST]> {
        let mut value = *b"sha-256=:............................................:";
        let room = &mut value["sha-256=:".len()..Self::REPR_DIGEST - 1];
        STANDARD.encode_slice(self.sha256?, room).ok()?;
        Some(value)
    }

    /// Whether the other one can be the same version: nothing of it speaks against that.
    fn agrees(&self, other: &Self) -> bool {
        let digests = self.sha256.zip(other.sha256);
        self.validator == other.validator && self.length == other.length && digests.is_none_or(|(one, two)| one == two)
    }
}

/// A word of one node.
#[derive(Debug, Clone)]
struct Told {
    node: u64,
    at: Tick,
    version: Arc<Version>,
}

#[derive(Debug, Clone)]
struct Entry {
    key: ObjectKey,
    /// The last word is the first one here.
    told: Vec<Told>,
}

impl Entry {
    fn heard(&self) -> Option<Tick> {
        self.told.first().map(|told| told.at)
    }
}

/// What is known of some objects. Whoever shares it among threads puts it behind a lock, or several of them behind one each.
#[derive(Debug)]
pub struct Known {
    sets: Vec<[Option<Entry>; WAYS]>,
}

impl Known {
    /// Room for about so many objects.
    #[must_use]
    pub fn with_room_for(objects: usize) -> Self {
        let empty = || std::array::from_fn(|_| None);
        Self { sets: (0..objects.div_ceil(WAYS).max(1)).map(|_| empty()).collect() }
    }

    /// Takes a node's word on an object. Its earlier word on the same object no longer counts.
    pub fn hear(&mut self, node: &NodeId, key: &ObjectKey, version: Version, now: Tick) {
        let node = XxHash3_64::oneshot(node.as_str().as_bytes());
        let set = self.set_mut(key);
        let at = set.iter().position(|entry| entry.as_ref().is_some_and(|entry| entry.key == *key));
        let slot = match at {
            Some(at) => &mut set[at],
            // An empty one is the earliest.
            None => match set.iter_mut().min_by_key(|entry| entry.as_ref().and_then(Entry::heard)) {
                Some(earliest) => {
                    *earliest = None;
                    earliest
                }
                None => return,
            },
        };
        let entry = slot.get_or_insert_with(|| Entry { key: key.clone(), told: Vec::new() });
        entry.told.retain(|told| told.node != node && now.since(told.at) < MEMORY);
        entry.told.truncate(TELLERS - 1);
        // A node that has not read all of it yet does not make the others' digest doubtful.
        let known = entry.told.iter().map(|told| &told.version).find(|known| known.agrees(&version));
        let version = match known {
            Some(known) if known.sha256.is_some() || version.sha256.is_none() => Arc::clone(known),
            _ => Arc::new(version),
        };
        entry.told.insert(0, Told { node, at: now, version });
    }

    /// The version that everybody tells of; `None` if nobody does, or if they differ. Allocates nothing.
    #[must_use]
    pub fn version(&self, key: &ObjectKey, now: Tick) -> Option<Arc<Version>> {
        let entry = self.sets[self.place(key)].iter().flatten().find(|entry| entry.key == *key)?;
        let mut told = entry.told.iter().filter(|told| now.since(told.at) < MEMORY).map(|told| &told.version);
        let last = told.next()?;
        let mut named = last;
        for version in told {
            if !version.agrees(last) || !version.agrees(named) {
                return None;
            }
            if named.sha256.is_none() {
                named = version;
            }
        }
        Some(Arc::clone(named))
    }

    /// Forgets what is known of an object, of which it is known that it changes.
    pub fn forget(&mut self, key: &ObjectKey) {
        for entry in self.set_mut(key) {
            entry.take_if(|entry| entry.key == *key);
        }
    }

    fn place(&self, key: &ObjectKey) -> usize {
        let query = key.query.as_deref().map_or(0, |query| XxHash3_64::oneshot(query.as_bytes()));
        let hash = XxHash3_64::oneshot_with_seed(query, key.path.as_str().as_bytes());
        (hash % self.sets.len() as u64) as usize
    }

    fn set_mut(&mut self, key: &ObjectKey) -> &mut [Option<Entry>; WAYS] {
        let place = self.place(key);
        &mut self.sets[place]
    }
}

#[cfg(test)]
mod tests;
