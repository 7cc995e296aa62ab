//! What is in the store, by key, and what goes next: about 300 bytes of memory for each object, and its key. Pure but for weak references.
//!
//! The index knows names and sizes; what an object holds is read from the disk when it is first asked for.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    ops::Bound,
    sync::{Arc, Weak},
};

use ferry_core::eviction::{Admission, Arrival, S3Fifo, Token, Verdict};
use twox_hash::XxHash3_64;

use super::{layout::Id, object::Object};

/// All objects that are known of.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<Arc<str>, Entry>,
    queues: S3Fifo<Arc<str>>,
}

/// What is known of an object without looking.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// The object, while anybody holds it.
    pub(super) object: Weak<Object>,
    token: Token,
}

/// An object that comes to be known.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: Arc<str>,
    pub(super) number: u64,
    pub(super) object: Weak<Object>,
    /// What it takes on the disk.
    pub(super) bytes: u64,
    /// How often it was used before.
    pub(super) hits: u64,
    pub(super) pinned: bool,
}

/// An object that is not to be found any more, and whose files may still be there.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    pub(super) id: Id,
    pub(super) key: Arc<str>,
    pub(super) number: u64,
    pub(super) object: Weak<Object>,
    /// What it took.
    pub(super) bytes: u64,
}

impl Index {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The same, for somebody who asks for the object.
    pub(super) fn ask(&mut self, key: &str) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        self.queues.hit(entry.token);
        Some(entry)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What all objects take on the disk.
    pub(super) const fn bytes(&self) -> u64 {
        self.queues.bytes()
    }

    /// What an entry's object takes.
    pub(super) fn bytes_of(&self, entry: &Entry) -> u64 {
        self.queues.bytes_of(entry.token)
    }

    /// Whether an object that is not here is to be kept.
    pub(super) fn judge(&mut self, admission: &Admission, key: &str, bytes: Option<u64>, full: bool) -> Verdict {
        self.queues.judge(admission, fingerprint(key), bytes, full)
    }

    /// Enters an object; returns another one that was there under its key.
    pub(super) fn put(&mut self, known: Known) -> Option<Gone> {
        let Known { key, number, object, bytes, hits, pinned } = known;
        // What is opened again keeps its place in its queue.
        if let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.number == number) {
            entry.object = object;
            return None;
        }
        let old = self.remove(&key);
        let fingerprint = fingerprint(&key);
        let token = self.queues.insert(Arrival { what: Arc::clone(&key), fingerprint, bytes, asked: hits, pinned });
        self.entries.insert(key, Entry { number, object, token });
        old
    }

    /// Takes the object of a key out.
    pub(super) fn remove(&mut self, key: &str) -> Option<Gone> {
        let (key, entry) = self.entries.remove_entry(key)?;
        let bytes = self.queues.bytes_of(entry.token);
        self.queues.remove(entry.token);
        Some(gone(key, entry, bytes))
    }

    /// Takes this very object out, and no other of its key.
    pub(super) fn remove_numbered(&mut self, key: &str, number: u64) -> Option<Gone> {
        self.entries.get(key).filter(|entry| entry.number == number)?;
        self.remove(key)
    }

    /// Takes out what is to go next, of what may go.
    pub(super) fn evict(&mut self, may_go: impl Fn(&Entry) -> bool) -> Option<Gone> {
        let Self { entries, queues } = self;
        let before = queues.bytes();
        let key = queues.evict(|key| entries.get(key).is_none_or(&may_go))?;
        let bytes = before - queues.bytes();
        let (key, entry) = entries.remove_entry(&key)?;
        Some(gone(key, entry, bytes))
    }

    /// Notes what an object takes.
    pub(super) fn resize(&mut self, key: &str, number: u64, size: impl FnOnce(u64) -> u64) {
        if let Some(entry) = self.entries.get(key).filter(|entry| entry.number == number) {
            let bytes = size(self.queues.bytes_of(entry.token));
            self.queues.resize(entry.token, bytes);
        }
    }

    /// Any key; none, if there are none.
    pub(super) fn at_random(&self) -> Option<Arc<str>> {
        // Keys of a hash map differ by process.
        let drawn = RandomState::new().hash_one(self.len());
        self.entries.keys().nth((drawn % self.len().max(1) as u64) as usize).map(Arc::clone)
    }

    /// The first key, or the one behind `after`.
    pub(super) fn next_after(&self, after: Option<&str>) -> Option<Arc<str>> {
        self.below("", after).next().map(|(key, _)| Arc::clone(key))
    }

    /// The keys that begin so, ascending, behind `after`.
    pub(super) fn below<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Entry)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.entries.range::<str, _>((from, Bound::Unbounded)).take_while(move |(key, _)| key.starts_with(prefix))
    }
}

fn gone(key: Arc<str>, entry: Entry, bytes: u64) -> Gone {
    if let Some(object) = entry.object.upgrade() {
        object.editions.end();
    }
    Gone { id: Id::of(&key), key, number: entry.number, object: entry.object, bytes }
}

fn fingerprint(key: &str) -> u64 {
    XxHash3_64::oneshot(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(key: &str, number: u64, bytes: u64) -> Known {
        Known { key: key.into(), number, object: Weak::new(), bytes, hits: 0, pinned: false }
    }

    fn index(keys: &[&str]) -> Index {
        let mut index = Index::default();
        for (number, key) in (0..).zip(keys) {
            index.put(known(key, number, 10));
        }
        index
    }

    #[test]
    fn keys_are_listed_by_their_beginnings() {
        let index = index(&["a/1", "a/2", "a/3", "a0", "b"]);
        let below = |prefix, after| index.below(prefix, after).map(|(key, _)| &**key).collect::<Vec<_>>();
        assert_eq!(below("a/", None), ["a/1", "a/2", "a/3"]);
        assert_eq!(below("a/", Some("a/1")), ["a/2", "a/3"]);
        assert_eq!(below("a/", Some("a/25")), ["a/3"]);
        assert_eq!(below("a/", Some("A")), ["a/1", "a/2", "a/3"], "a cursor from elsewhere");
        assert_eq!(below("", Some("a0")), ["b"]);
        assert_eq!(below("c", None), [""; 0]);
    }

    #[test]
    fn what_all_take_is_the_sum_of_what_each_takes() {
        let mut index = index(&["a", "b", "c"]);
        index.resize("a", 0, |bytes| bytes + 15);
        index.resize("b", 77, |_| 1000);
        assert_eq!(index.put(known("c", 9, 1)).map(|old| (old.number, old.bytes)), Some((2, 10)));
        assert!(index.put(known("c", 9, 100)).is_none(), "opened again");
        assert!(index.remove_numbered("b", 77).is_none(), "another object has that key now");
        assert!(index.remove_numbered("b", 1).is_some());
        assert_eq!((index.bytes(), index.len()), (26, 2));
    }

    #[test]
    fn what_is_evicted_is_not_found() {
        let mut index = index(&["a", "b", "c"]);
        let gone = index.evict(|entry| entry.number > 0).expect("two may go");
        assert_eq!((&*gone.key, gone.number, gone.bytes), ("b", 1, 10));
        assert_eq!((index.bytes(), index.len(), index.get("b").is_none()), (20, 2, true));
    }
}
