//! Removals that are remembered, so that nothing that was said or written before one brings the node back.

use std::collections::{BTreeSet, HashMap};

use crate::id::NodeId;

/// An operator's removal of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Which node.
    pub id: NodeId,
    /// The store's revision of the removal: what was recorded later is another node of that name.
    pub revision: u64,
}

/// How many are remembered; the oldest are forgotten first. Whoever still speaks of a node that was removed so long ago has not read
/// the store for as long.
pub(crate) const MOST: usize = 1024;

/// The removals, by node and by age.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    revisions: HashMap<NodeId, u64>,
    by_age: BTreeSet<(u64, NodeId)>,
}

impl Tombstones {
    pub(crate) fn of(removed: Vec<Tombstone>) -> Self {
        let mut tombstones = Self::default();
        for tombstone in removed {
            let _forgotten = tombstones.bury(tombstone);
        }
        tombstones
    }

    /// Remembers a removal, unless a later one of that node is known; returns whose was forgotten for it.
    pub(crate) fn bury(&mut self, Tombstone { id, revision }: Tombstone) -> Option<NodeId> {
        let known = self.revisions.get(&id).copied();
        if known.is_some_and(|known| known >= revision) {
            return None;
        }
        if let Some(known) = known {
            self.by_age.remove(&(known, id.clone()));
        }
        self.by_age.insert((revision, id.clone()));
        self.revisions.insert(id, revision);
        if self.revisions.len() <= MOST {
            return None;
        }
        let (_, oldest) = self.by_age.pop_first()?;
        self.revisions.remove(&oldest);
        Some(oldest)
    }

    /// The revision at which a node was last removed.
    pub(crate) fn of_node(&self, id: &NodeId) -> Option<u64> {
        self.revisions.get(id).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Tombstone> {
        self.revisions.iter().map(|(id, revision)| Tombstone { id: id.clone(), revision: *revision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tombstone(number: u64) -> Tombstone {
        Tombstone { id: format!("n{number}").parse().expect("valid"), revision: number }
    }

    #[test]
    fn the_oldest_is_forgotten_for_the_newest() {
        let mut tombstones = Tombstones::of((1..=MOST as u64).map(tombstone).collect());
        assert_eq!(tombstones.bury(Tombstone { revision: 5000, ..tombstone(1) }), None, "known, and now the youngest");
        assert_eq!(tombstones.bury(tombstone(6000)), Some(tombstone(2).id));
        assert_eq!(tombstones.of_node(&tombstone(1).id), Some(5000));
        assert_eq!(tombstones.of_node(&tombstone(2).id), None);
        assert_eq!(tombstones.iter().count(), MOST);
    }

    #[test]
    fn an_earlier_removal_of_the_same_node_changes_nothing() {
        let mut tombstones = Tombstones::of(vec![tombstone(9)]);
        tombstones.bury(Tombstone { revision: 3, ..tombstone(9) });
        assert_eq!(tombstones.of_node(&tombstone(9).id), Some(9));
    }
}
