//! What a watch has told so far, put together.

use std::collections::BTreeMap;

use crate::{contract::Versioned, error::Error, watch::WatchEvent};

/// The state that a watch's events describe. Pure: the caller polls the watch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    entries: BTreeMap<String, Versioned>,
    revision: u64,
    read: bool,
    lost: Option<Error>,
}

impl View {
    /// Takes in one event.
    pub fn apply(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset(listing) => {
                *self = Self { entries: listing.entries, revision: listing.revision, read: true, lost: None };
            }
            WatchEvent::Put(key, versioned) => {
                self.revision = self.revision.max(versioned.revision);
                self.entries.insert(key, versioned);
            }
            WatchEvent::Delete(key, revision) => {
                self.revision = self.revision.max(revision);
                self.entries.remove(&key);
            }
            WatchEvent::Lost(why) => self.lost = Some(why),
        }
    }

    /// All keys and what they held when last heard.
    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<String, Versioned> {
        &self.entries
    }

    /// The highest revision heard of since the last reset.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the store was read at least once: an empty view is a fact only after that.
    #[must_use]
    pub const fn was_read(&self) -> bool {
        self.read
    }

    /// Why the view may be out of date; `None` while the store is in sight.
    #[must_use]
    pub const fn lost(&self) -> Option<&Error> {
        self.lost.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Listing;

    fn versioned(revision: u64) -> Versioned {
        Versioned { value: bytes::Bytes::from_static(b"v"), revision }
    }

    #[test]
    fn a_reset_replaces_everything_and_ends_the_doubt() {
        let mut view = View::default();
        assert!(!view.was_read());
        view.apply(WatchEvent::Put("a".into(), versioned(7)));
        view.apply(WatchEvent::Lost(Error::unavailable("test")));
        assert!(view.lost().is_some() && view.entries().contains_key("a"), "a lost view keeps its last words");
        view.apply(WatchEvent::Reset(Listing { entries: [("b".into(), versioned(5))].into(), revision: 6 }));
        assert_eq!((view.lost(), view.was_read(), view.revision()), (None, true, 6));
        assert_eq!(view.entries().keys().collect::<Vec<_>>(), ["b"]);
        view.apply(WatchEvent::Delete("b".into(), 8));
        assert!(view.entries().is_empty() && view.revision() == 8);
    }
}
