//! What follows from the words of the live coordinators.

use std::collections::BTreeMap;

use super::{Merge, Peer, combine::combine, word::Word};
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
        // Who does not count any more does not do so again because whoever was heard since is gone, too.
        let heard = self.last_live.map_or(heard, |last| last.max(heard));
        let others = self.words.values().any(|word| word.counts != word.is_counted(heard));
        if others || self.owed {
            self.settle_all(heard);
        } else {
            for id in touched {
                self.settle_one(heard, id);
            }
        }
        self.last_live = Some(heard);
    }

    fn settle_one(&mut self, heard: Tick, id: &NodeId) {
        let after = self.merged(heard, id);
        let before = match after.clone() {
            Some(view) => self.settled.insert(id.clone(), view),
            None => self.settled.remove(id),
        };
        self.changes.note(id, before.as_ref(), after.as_ref());
    }

    fn settle_all(&mut self, heard: Tick) {
        let merged = self.merge_all(heard);
        let before = std::mem::replace(&mut self.settled, merged);
        for (id, view) in &self.settled {
            self.changes.note(id, before.get(id), Some(view));
        }
        for (id, view) in before.iter().filter(|(id, _)| !self.settled.contains_key(*id)) {
            self.changes.note(id, Some(view), None);
        }
        let peers = self.peers(heard);
        self.changes.lasting |= self.facts.coordinators != peers;
        self.facts.coordinators = peers;
        for word in self.words.values_mut() {
            word.counts = word.is_counted(heard);
        }
        self.owed = false;
    }

    /// What the live coordinators say of one node together.
    fn merged(&self, heard: Tick, id: &NodeId) -> Option<NodeView> {
        let views: Vec<_> = self.counted(heard).filter_map(|word| word.nodes.get(id)).collect();
        combine(&views).filter(|merged| self.stands(id, merged))
    }

    /// The same of every node, from nothing.
    pub(super) fn merge_all(&self, heard: Tick) -> BTreeMap<NodeId, NodeView> {
        let mut views: BTreeMap<&NodeId, Vec<&NodeView>> = BTreeMap::new();
        for (id, view) in self.counted(heard).flat_map(|word| &word.nodes) {
            views.entry(id).or_default().push(view);
        }
        let merged = views.into_iter().filter_map(|(id, views)| Some((id, combine(&views)?)));
        merged.filter(|(id, view)| self.stands(id, view)).map(|(id, view)| (id.clone(), view)).collect()
    }

    /// Every coordinator that a live one knows.
    pub(super) fn peers(&self, heard: Tick) -> Vec<Peer> {
        let known = self.counted(heard).flat_map(|word| &word.coordinators);
        let named: BTreeMap<&CoordinatorId, &Peer> = known.map(|peer| (&peer.id, peer)).collect();
        named.into_values().cloned().collect()
    }

    /// Those whose words count while `heard` is when anybody was last heard.
    fn counted(&self, heard: Tick) -> impl Iterator<Item = &Word> {
        self.words.values().filter(move |word| word.is_counted(heard))
    }

    /// Whether no removal is newer than what is said of the node.
    fn stands(&self, id: &NodeId, view: &NodeView) -> bool {
        self.tombstones.of_node(id).is_none_or(|removed| view.intent.revision > removed)
    }
}
