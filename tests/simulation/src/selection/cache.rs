//! What a node keeps: the objects that were asked for last, as many as there is room for.

use std::collections::{BTreeMap, HashMap};

/// Least recently used goes first.
#[derive(Debug)]
pub(super) struct Cache {
    room: u64,
    used: u64,
    asked: u64,
    /// When each object was asked for last, and its size.
    objects: HashMap<u32, (u64, u64)>,
    order: BTreeMap<u64, u32>,
}

impl Cache {
    pub(super) fn with_room(room: u64) -> Self {
        Self { room, used: 0, asked: 0, objects: HashMap::new(), order: BTreeMap::new() }
    }

    /// Whether the object was there; now it is, unless it is larger than the cache.
    pub(super) fn ask(&mut self, object: u32, size: u64) -> bool {
        self.asked += 1;
        let known = self.objects.insert(object, (self.asked, size));
        if let Some((before, _)) = known {
            self.order.remove(&before);
        } else {
            self.used += size;
        }
        self.order.insert(self.asked, object);
        while self.used > self.room {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.used -= self.objects.remove(&oldest).map_or(0, |(_, size)| size);
        }
        known.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn what_was_asked_for_last_stays() {
        let mut cache = Cache::with_room(30);
        for (object, size, there) in [(1, 10, false), (2, 10, false), (1, 10, true), (3, 20, false), (1, 10, true)] {
            assert_eq!(cache.ask(object, size), there, "{object}");
        }
        assert!(!cache.ask(2, 10), "the oldest made room");
        assert!(!cache.ask(9, 31) && !cache.ask(9, 31), "too large to be kept");
    }
}
