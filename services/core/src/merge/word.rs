//! What one coordinator said.

use std::collections::HashMap;

use super::{Epoch, LIVE_FOR, Peer, Report, Stale, Tombstone};
use crate::{
    id::{Incarnation, NodeId},
    node::NodeView,
    time::Tick,
};

/// One coordinator's words since its last snapshot.
#[derive(Debug)]
pub(super) struct Word {
    incarnation: Incarnation,
    sequence: u64,
    /// A new stream stands, and its snapshot has not come.
    awaits_snapshot: bool,
    /// When the stream broke.
    closed: Option<Tick>,
    /// The merged words follow from this one, among others.
    pub(super) counts: bool,
    pub(super) heard: Tick,
    pub(super) nodes: HashMap<NodeId, NodeView>,
    pub(super) coordinators: Vec<Peer>,
}

impl Word {
    pub(super) fn begin(now: Tick, epoch: &Epoch, nodes: Vec<NodeView>, coordinators: Vec<Peer>) -> Self {
        Self {
            incarnation: epoch.incarnation,
            sequence: epoch.sequence,
            awaits_snapshot: false,
            closed: None,
            counts: false,
            heard: now,
            nodes: nodes.into_iter().map(|view| (view.facts.id.clone(), view)).collect(),
            coordinators,
        }
    }

    pub(super) fn is_live(&self, now: Tick) -> bool {
        self.closed.is_none() && now < self.heard + LIVE_FOR
    }

    /// Whether it counts while `then` is when anybody was last heard.
    pub(super) fn is_counted(&self, then: Tick) -> bool {
        then < self.heard + LIVE_FOR && self.closed.is_none_or(|closed| then <= closed)
    }

    pub(super) fn close(&mut self, now: Tick) {
        self.closed = self.closed.or(Some(now));
    }

    pub(super) const fn reopen(&mut self) {
        self.awaits_snapshot = true;
    }

    /// Whether a snapshot with this epoch is older than what is known.
    pub(super) fn is_older(&self, epoch: &Epoch) -> bool {
        // Nothing is comparable between two streams: a coordinator's clock may have gone back since its last life.
        !self.awaits_snapshot && (epoch.incarnation, epoch.sequence) <= (self.incarnation, self.sequence)
    }

    pub(super) fn advance(&mut self, now: Tick, epoch: &Epoch) -> Result<(), Stale> {
        if self.awaits_snapshot || epoch.incarnation > self.incarnation {
            return Err(Stale::NoSnapshot);
        }
        if epoch.incarnation < self.incarnation || epoch.sequence <= self.sequence {
            return Err(Stale::Replayed);
        }
        self.sequence = epoch.sequence;
        self.heard = now;
        Ok(())
    }

    pub(super) fn update(&mut self, nodes: Vec<NodeView>) {
        self.nodes.extend(nodes.into_iter().map(|view| (view.facts.id.clone(), view)));
    }

    /// Lets go of nodes that were removed, unless they were recorded anew since: a tombstone is not kept for ever.
    pub(super) fn forget(&mut self, removed: &[Tombstone]) {
        for Tombstone { id, revision } in removed {
            if self.nodes.get(id).is_some_and(|view| view.intent.revision <= *revision) {
                self.nodes.remove(id);
            }
        }
    }

    /// Takes a later report of a life that is known; returns whose it is. Of another life, or of a node of which nothing is known, it
    /// says nothing that could be used: the view that belongs to it is on its way, or the node was removed.
    pub(super) fn report(&mut self, report: Report) -> Option<NodeId> {
        let Report { id, freshness, load, heard_ago } = report;
        let view = self.nodes.get_mut(&id)?;
        if freshness.incarnation != view.freshness.incarnation || freshness < view.freshness {
            return None;
        }
        view.freshness = freshness;
        view.load = load;
        view.heard_ago = heard_ago;
        Some(id)
    }
}
