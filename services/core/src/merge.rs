//! What a gateway believes when it listens to several coordinators.
//!
//! Pure: the caller supplies `now`. The words of all live coordinators are merged; while none is live, the last merged words stand.
//!
//! - Invariant G1: while any coordinator is live, a node is selectable if and only if a live one says that it hears it, and no newer
//!   decision of an operator speaks against it.
//! - Invariant G2: time alone never empties the table: losing coordinators changes no node.
//! - Invariant G3: within one stream, what is older than the last word is ignored.

mod combine;
mod word;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use combine::combine;
use word::Word;

use crate::{
    id::{CoordinatorId, Incarnation, NodeId},
    node::NodeView,
    ring::KeyRing,
    time::Tick,
};

/// How long after its last word a coordinator still counts as live. Marks come every 500 ms.
pub const LIVE_FOR: Duration = Duration::from_millis(1500);

/// Removals that are remembered; the oldest are forgotten first.
pub const MOST_TOMBSTONES: usize = 1024;

/// Which word of which life of which coordinator: comparable within one stream only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Who speaks.
    pub coordinator: CoordinatorId,
    /// In which life.
    pub incarnation: Incarnation,
    /// Which word of the stream, counted from the snapshot's.
    pub sequence: u64,
}

/// Another coordinator, as the store's leases tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its name.
    pub id: CoordinatorId,
    /// The URL of its gRPC listener.
    pub url: String,
}

/// What gateways have to know besides the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GatewayFacts {
    /// Verifies what users bring.
    pub user_ring: Option<KeyRing>,
    /// Signs what nodes get.
    pub node_ring: Option<KeyRing>,
    /// The coordinators that are alive.
    pub coordinators: Vec<Peer>,
}

/// An operator's removal of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Which node.
    pub id: NodeId,
    /// The store's revision of the removal: what was recorded later is another node of that name.
    pub revision: u64,
}

/// One message of a coordinator's stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Replaces everything that this coordinator said before.
    Snapshot {
        /// Every node on record.
        nodes: Vec<NodeView>,
        /// Nodes that were removed not long ago.
        removed: Vec<Tombstone>,
        /// The rest.
        facts: GatewayFacts,
    },
    /// What changed since.
    Delta {
        /// Nodes whose word changed.
        nodes: Vec<NodeView>,
        /// Nodes that were removed.
        removed: Vec<Tombstone>,
        /// The rest, if it changed.
        facts: Option<GatewayFacts>,
    },
    /// Nothing changed, and the coordinator is alive.
    Mark,
}

/// Why a message was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// Older than the last word of this stream, or of an older life of the coordinator.
    #[error("an older word than the last one")]
    Replayed,
    /// A delta or mark with no snapshot before it.
    #[error("no snapshot before it")]
    NoSnapshot,
}

/// What all coordinators said, and what follows from it.
#[derive(Debug, Default)]
pub struct Merge {
    words: BTreeMap<CoordinatorId, Word>,
    tombstones: HashMap<NodeId, u64>,
    facts: GatewayFacts,
    /// The merged words at the last moment at which somebody was live, or the saved ones from disk.
    settled: BTreeMap<NodeId, NodeView>,
    /// When somebody was last live.
    last_live: Option<Tick>,
}

impl Merge {
    /// Starts from a saved table: it stands until a coordinator speaks.
    #[must_use]
    pub fn from_saved(nodes: Vec<NodeView>, removed: Vec<Tombstone>, facts: GatewayFacts) -> Self {
        Self {
            settled: nodes.into_iter().map(|view| (view.facts.id.clone(), view)).collect(),
            tombstones: removed.into_iter().map(|tombstone| (tombstone.id, tombstone.revision)).collect(),
            facts,
            ..Self::default()
        }
    }

    /// A stream to this coordinator opened: its next word must be a snapshot, whatever came before.
    pub fn opened(&mut self, coordinator: &CoordinatorId) {
        if let Some(word) = self.words.get_mut(coordinator) {
            word.reopen();
        }
    }

    /// The stream to this coordinator broke: what it last said no longer counts while another one is live.
    pub fn closed(&mut self, now: Tick, coordinator: &CoordinatorId) {
        if let Some(word) = self.words.get_mut(coordinator) {
            word.close();
        }
        self.settle(now);
    }

    /// Takes one message. A stale one changes nothing; the caller counts it.
    pub fn apply(&mut self, now: Tick, epoch: &Epoch, body: Body) -> Result<(), Stale> {
        match body {
            Body::Snapshot { nodes, removed, facts } => {
                if self.words.get(&epoch.coordinator).is_some_and(|word| word.is_older(epoch)) {
                    return Err(Stale::Replayed);
                }
                self.words
                    .insert(epoch.coordinator.clone(), Word::begin(now, epoch, nodes, facts.coordinators.clone()));
                self.learn(facts);
                self.bury(removed);
            }
            Body::Delta { nodes, removed, facts } => {
                let word = self.words.get_mut(&epoch.coordinator).ok_or(Stale::NoSnapshot)?;
                word.advance(now, epoch)?;
                word.update(nodes);
                if let Some(facts) = facts {
                    word.coordinators.clone_from(&facts.coordinators);
                    self.learn(facts);
                }
                self.bury(removed);
            }
            Body::Mark => {
                let word = self.words.get_mut(&epoch.coordinator).ok_or(Stale::NoSnapshot)?;
                word.advance(now, epoch)?;
            }
        }
        self.settle(now);
        Ok(())
    }

    /// Notes that time passed: a coordinator that fell silent no longer counts.
    pub fn pass(&mut self, now: Tick) {
        self.settle(now);
    }

    /// The earliest moment at which [`Self::pass`] could change anything.
    #[must_use]
    pub fn next_deadline(&self, now: Tick) -> Option<Tick> {
        self.live(now).map(|word| word.heard + LIVE_FOR).min()
    }

    /// The merged words, by node.
    pub fn views(&self) -> impl Iterator<Item = &NodeView> {
        self.settled.values()
    }

    /// Rings of the highest revision, and every coordinator that a live one knows.
    #[must_use]
    pub const fn facts(&self) -> &GatewayFacts {
        &self.facts
    }

    /// Removals, for the saved copy.
    pub fn tombstones(&self) -> impl Iterator<Item = Tombstone> {
        self.tombstones.iter().map(|(id, revision)| Tombstone { id: id.clone(), revision: *revision })
    }

    /// How many coordinators are live.
    #[must_use]
    pub fn live_coordinators(&self, now: Tick) -> usize {
        self.live(now).count()
    }

    /// How long ago a coordinator was last heard; `None` if none ever was.
    #[must_use]
    pub fn age(&self, now: Tick) -> Option<Duration> {
        self.last_live.map(|at| now.since(at))
    }

    fn live(&self, now: Tick) -> impl Iterator<Item = &Word> {
        self.words.values().filter(move |word| word.is_live(now))
    }

    fn learn(&mut self, facts: GatewayFacts) {
        let newer = |old: &mut Option<KeyRing>, new: Option<KeyRing>| {
            if let Some(new) = new
                && old.as_ref().is_none_or(|old| old.revision <= new.revision)
            {
                *old = Some(new);
            }
        };
        newer(&mut self.facts.user_ring, facts.user_ring);
        newer(&mut self.facts.node_ring, facts.node_ring);
    }

    fn bury(&mut self, removed: Vec<Tombstone>) {
        for Tombstone { id, revision } in removed {
            let last = self.tombstones.entry(id).or_default();
            *last = revision.max(*last);
        }
        // Whoever still speaks of a node that was removed so long ago has not read the store for as long.
        while self.tombstones.len() > MOST_TOMBSTONES {
            let oldest = self.tombstones.iter().min_by_key(|(_, revision)| **revision).map(|(id, _)| id.clone());
            oldest.map(|id| self.tombstones.remove(&id));
        }
    }

    fn settle(&mut self, now: Tick) {
        let live: Vec<&Word> = self.live(now).collect();
        if live.is_empty() {
            return; // G2: the last words stand.
        }
        let mut merged: BTreeMap<NodeId, NodeView> = BTreeMap::new();
        let mut peers: BTreeMap<CoordinatorId, Peer> = BTreeMap::new();
        for word in &live {
            for (id, view) in &word.nodes {
                match merged.get_mut(id) {
                    None => drop(merged.insert(id.clone(), view.clone())),
                    Some(other) => *other = combine(other, view),
                }
            }
            peers.extend(word.coordinators.iter().map(|peer| (peer.id.clone(), peer.clone())));
        }
        let heard = live.iter().map(|word| word.heard).max();
        let tombstones = &self.tombstones;
        merged.retain(|id, view| tombstones.get(id).is_none_or(|removed| view.intent.revision > *removed));
        self.settled = merged;
        self.facts.coordinators = peers.into_values().collect();
        self.last_live = heard.max(self.last_live);
    }
}

#[cfg(test)]
mod tests;
