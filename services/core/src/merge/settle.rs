//! What follows from the words of the live coordinators.

use std::collections::BTreeMap;

use super::{Merge, Peer, combine::combine};
use crate::{
    id::{CoordinatorId, NodeId},
    node::NodeView,
    time::Tick,
};

impl Merge {
    /// Brings the merged words up to date after something was said of `touched`.
    pub(super) fn settle(&mut self, now: Tick, touched: &[NodeId]) {
        let Some(heard) = self.live(now).map(|word| word.heard).max() else {
            // G2: the last words stand.
            self.owed |= !touched.is_empty();
            return;
        };
        let others = self.words.values().any(|word| word.counts != word.is_live(now));
        if others || self.owed {
            self.settle_all(now);
        } else {
            for id in touched {
                self.settle_one(now, id);
            }
        }
        self.last_live = self.last_live.max(Some(heard));
    }

    fn settle_one(&mut self, now: Tick, id: &NodeId) {
        let after = self.merged(now, id);
        let before = match after.clone() {
            Some(view) => self.settled.insert(id.clone(), view),
            None => self.settled.remove(id),
        };
        self.changes.note(id, before.as_ref(), after.as_ref());
    }

    fn settle_all(&mut self, now: Tick) {
        let merged = self.merge_all(now);
        let before = std::mem::replace(&mut self.settled, merged);
        for (id, view) in &self.settled {
            self.changes.note(id, before.get(id), Some(view));
        }
        for (id, view) in before.iter().filter(|(id, _)| !self.settled.contains_key(*id)) {
            self.changes.note(id, Some(view), None);
        }
        let peers = self.peers(now);
        self.changes.lasting |= self.facts.coordinators != peers;
        self.facts.coordinators = peers;
        for word in self.words.values_mut() {
            word.counts = word.is_live(now);
        }
        self.owed = false;
    }

    /// What the live coordinators say of one node together.
    fn merged(&self, now: Tick, id: &NodeId) -> Option<NodeView> {
        let mut views = self.live(now).filter_map(|word| word.nodes.get(id));
        let first = views.next()?.clone();
        let merged = views.fold(first, |merged, view| combine(&merged, view));
        self.stands(id, &merged).then_some(merged)
    }

    /// The same of every node, from nothing.
    pub(super) fn merge_all(&self, now: Tick) -> BTreeMap<NodeId, NodeView> {
        let mut merged: BTreeMap<NodeId, NodeView> = BTreeMap::new();
        for (id, view) in self.live(now).flat_map(|word| &word.nodes) {
            match merged.get_mut(id) {
                None => drop(merged.insert(id.clone(), view.clone())),
                Some(other) => *other = combine(other, view),
            }
        }
        merged.retain(|id, view| self.stands(id, view));
        merged
    }

    /// Every coordinator that a live one knows.
    pub(super) fn peers(&self, now: Tick) -> Vec<Peer> {
        let known = self.live(now).flat_map(|word| &word.coordinators);
        let named: BTreeMap<&CoordinatorId, &Peer> = known.map(|peer| (&peer.id, peer)).collect();
        named.into_values().cloned().collect()
    }

    /// Whether no removal is newer than what is said of the node.
    fn stands(&self, id: &NodeId, view: &NodeView) -> bool {
        self.tombstones.of_node(id).is_none_or(|removed| view.intent.revision > removed)
    }
}
