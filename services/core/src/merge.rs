//! What a gateway believes when it listens to several coordinators.
//!
//! Pure: the caller supplies `now`. The words of all live coordinators are merged; while none is live, the last merged words stand.
//! What a message costs is what it says: a delta settles its own nodes again, and all of them only when a coordinator comes or goes.
//!
//! Whether one of several fell silent is judged by the others: a gateway that is cut off loses all of them one after another within half a second, and the
//! last to go may be the one that knew least. So a silent word counts until somebody else was heard [`LIVE_FOR`] after it, and one whose stream broke until
//! somebody else was heard after that.
//!
//! - Invariant G1: while any coordinator is live, a node is selectable if and only if a live one says that it hears it, or none is surer than to doubt
//!   its silence, and no newer decision of an operator speaks against it.
//! - Invariant G2: time alone never empties the table: losing coordinators changes no node.
//! - Invariant G3: within one stream, what is older than the last word is ignored.

mod changes;
mod combine;
mod settle;
mod word;

use std::{collections::BTreeMap, time::Duration};

pub use changes::Changes;
use word::Word;

pub use crate::tombstones::Tombstone;

use crate::{
    id::{CoordinatorId, Incarnation, NodeId},
    load::Load,
    node::{Freshness, NodeView},
    ring::KeyRing,
    time::Tick,
    tombstones::Tombstones,
};

/// How long after its last word a coordinator still counts as live. Marks come every 500 ms.
pub const LIVE_FOR: Duration = Duration::from_millis(1500);

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

/// A node's later report, of which nothing but the load is new.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which node.
    pub id: NodeId,
    /// Which report: of the life of which the stream told before.
    pub freshness: Freshness,
    /// The load in it.
    pub load: Load,
    /// How long before the word was spoken the coordinator had heard it.
    pub heard_ago: Duration,
}

impl From<&NodeView> for Report {
    fn from(view: &NodeView) -> Self {
        let NodeView { facts, freshness, load, heard_ago, .. } = view;
        Self { id: facts.id.clone(), freshness: *freshness, load: *load, heard_ago: *heard_ago }
    }
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
        /// Nodes that reported again, and are otherwise what they were.
        loads: Vec<Report>,
        /// Nodes that were removed.
        removed: Vec<Tombstone>,
        /// The rest, if it changed.
        facts: Option<GatewayFacts>,
    },
    /// Nothing changed, and the coordinator is alive.
    Mark,
}

/// One stream of this gateway to a coordinator; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamId(pub u64);

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
    /// The last stream from each coordinator, until that one breaks.
    streams: BTreeMap<CoordinatorId, StreamId>,
    tombstones: Tombstones,
    facts: GatewayFacts,
    /// The merged words at the last moment at which somebody was live, or the saved ones from disk.
    settled: BTreeMap<NodeId, NodeView>,
    /// Something was said that is not settled, since nobody was live.
    owed: bool,
    /// When somebody was last live.
    last_live: Option<Tick>,
    changes: Changes,
}

impl Merge {
    /// Starts from a saved table: it stands until a coordinator speaks.
    #[must_use]
    pub fn from_saved(nodes: Vec<NodeView>, removed: Vec<Tombstone>, facts: GatewayFacts) -> Self {
        let settled: BTreeMap<_, _> = nodes.into_iter().map(|view| (view.facts.id.clone(), view)).collect();
        Self {
            changes: Changes { nodes: settled.keys().cloned().collect(), lasting: false },
            settled,
            tombstones: Tombstones::of(removed),
            facts,
            ..Self::default()
        }
    }

    /// A stream to this coordinator opened: its next word must be a snapshot, whatever came before.
    pub fn opened(&mut self, coordinator: &CoordinatorId, stream: StreamId) {
        self.streams.insert(coordinator.clone(), stream);
        if let Some(word) = self.words.get_mut(coordinator) {
            word.reopen();
        }
    }

    /// A stream to this coordinator broke: what it last said no longer counts once another one speaks. The end of any stream but the last one that
    /// opened says nothing: the coordinator speaks on a newer one.
    pub fn closed(&mut self, now: Tick, coordinator: &CoordinatorId, stream: StreamId) {
        if self.streams.get(coordinator) != Some(&stream) {
            return;
        }
        self.streams.remove(coordinator);
        if let Some(word) = self.words.get_mut(coordinator) {
            word.close(now);
        }
        self.settle(now, &[]);
    }

    /// Takes one message. A stale one changes nothing; the caller counts it.
    pub fn apply(&mut self, now: Tick, epoch: &Epoch, body: Body) -> Result<(), Stale> {
        let mut touched = Vec::new();
        match body {
            Body::Snapshot { nodes, removed, facts } => {
                if self.words.get(&epoch.coordinator).is_some_and(|word| word.is_older(epoch)) {
                    return Err(Stale::Replayed);
                }
                // A new word counts for nothing yet: settling sees that, and settles everything.
                self.words
                    .insert(epoch.coordinator.clone(), Word::begin(now, epoch, nodes, facts.coordinators.clone()));
                self.learn(facts);
                self.bury(removed, &mut touched);
            }
            Body::Delta { nodes, loads, removed, facts } => {
                let word = self.word(epoch)?;
                word.advance(now, epoch)?;
                touched.extend(nodes.iter().map(|view| view.facts.id.clone()));
                word.update(nodes);
                word.forget(&removed);
                touched.extend(loads.into_iter().filter_map(|report| word.report(report)));
                if let Some(facts) = facts {
                    word.coordinators.clone_from(&facts.coordinators);
                    self.learn(facts);
                    self.owed = true;
                }
                self.bury(removed, &mut touched);
            }
            Body::Mark => self.word(epoch)?.advance(now, epoch)?,
        }
        self.settle(now, &touched);
        Ok(())
    }

    /// Notes that time passed: a coordinator that fell silent is no longer live, and no longer counts if others speak on.
    pub fn pass(&mut self, now: Tick) {
        self.settle(now, &[]);
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

    /// The merged word on one node.
    #[must_use]
    pub fn view(&self, id: &NodeId) -> Option<&NodeView> {
        self.settled.get(id)
    }

    /// What has changed since this was last asked.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Rings of the highest revision, and every coordinator that a live one knows.
    #[must_use]
    pub const fn facts(&self) -> &GatewayFacts {
        &self.facts
    }

    /// Removals, for the saved copy.
    pub fn tombstones(&self) -> impl Iterator<Item = Tombstone> {
        self.tombstones.iter()
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

    fn word(&mut self, epoch: &Epoch) -> Result<&mut Word, Stale> {
        self.words.get_mut(&epoch.coordinator).ok_or(Stale::NoSnapshot)
    }

    fn learn(&mut self, facts: GatewayFacts) {
        let newer = |old: &mut Option<KeyRing>, new: Option<KeyRing>| {
            let newer = |new: &KeyRing| old.as_ref().is_none_or(|old| old.revision <= new.revision && old != new);
            let new = new.filter(newer);
            let changed = new.is_some();
            *old = new.or(old.take());
            changed
        };
        let user = newer(&mut self.facts.user_ring, facts.user_ring);
        let node = newer(&mut self.facts.node_ring, facts.node_ring);
        self.changes.lasting |= user || node;
    }

    fn bury(&mut self, removed: Vec<Tombstone>, touched: &mut Vec<NodeId>) {
        self.changes.lasting |= !removed.is_empty();
        for tombstone in removed {
            touched.push(tombstone.id.clone());
            // Whoever is forgotten may be spoken of again.
            touched.extend(self.tombstones.bury(tombstone));
        }
    }
}

#[cfg(test)]
mod tests;
