//! What is in the store, by key: about 200 bytes of memory for each object, and its key. Pure but for weak references.
//!
//! The index knows names; what an object holds is read from the disk when it is first asked for.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Weak},
};

use super::{layout::Id, object::Object};

/// All objects that are known of.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<Arc<str>, Entry>,
    /// What they take on the disk, all together.
    bytes: u64,
}

/// What is known of an object without looking.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// What it takes on the disk.
    pub(super) bytes: u64,
    /// The object, while anybody holds it.
    pub(super) object: Weak<Object>,
}

/// An object that is not to be found any more, and whose files may still be there.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    pub(super) id: Id,
    pub(super) key: Arc<str>,
    pub(super) number: u64,
    pub(super) object: Weak<Object>,
}

impl Index {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Enters an object; returns the one that was there under its key.
    pub(super) fn put(&mut self, key: Arc<str>, entry: Entry) -> Option<Gone> {
        let old = self.remove(&key);
        self.bytes += entry.bytes;
        self.entries.insert(key, entry);
        old
    }

    /// Takes the object of a key out.
    pub(super) fn remove(&mut self, key: &str) -> Option<Gone> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.bytes -= entry.bytes;
        Some(Gone { id: Id::of(&key), key, number: entry.number, object: entry.object })
    }

    /// Takes this very object out, and no other of its key.
    pub(super) fn remove_numbered(&mut self, key: &str, number: u64) -> Option<Gone> {
        self.entries.get(key).filter(|entry| entry.number == number)?;
        self.remove(key)
    }

    /// Notes what an object takes.
    pub(super) fn update(&mut self, key: &str, number: u64, bytes: u64) {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.number == number) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn index(keys: &[&str]) -> Index {
        let mut index = Index::default();
        for (number, key) in (0..).zip(keys) {
            index.put((*key).into(), Entry { number, bytes: 10, object: Weak::new() });
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
        index.update("a", 0, 25);
        index.update("b", 77, 1000);
        assert_eq!(
            index.put("c".into(), Entry { number: 9, bytes: 1, object: Weak::new() }).map(|old| old.number),
            Some(2)
        );
        assert!(index.remove_numbered("b", 77).is_none(), "another object has that key now");
        assert!(index.remove_numbered("b", 1).is_some());
        assert_eq!((index.bytes(), index.len()), (26, 2));
    }
}
