//! What a gateway finds out for itself: which nodes it looks at, and what it makes of that.
//!
//! While coordinators speak and are sure of themselves, it looks at nobody. It does
//!
//! - in doubt ([`NodeView::in_doubt`]): at once, and every two seconds; one failure makes a node DOWN here, and one that answers well
//!   is UP: whoever doubts does not know, and this gateway does;
//! - alone, while no coordinator is live: every node once a second, those that are out every five. Two failures in a row make one DOWN, the
//!   second look follows the first after 400 ms; two good answers in a row bring one back;
//! - forlorn, while nobody can be had by the coordinators' words: those that are out, every two seconds; one that answers well is SUSPECT.
//!
//! A node that answers for itself that it is not to be sent anybody ([`Probe::Declined`]) is DRAINING at once.
//!
//! Pure: the caller supplies `now`, makes the probes and brings what came of them.
//!
//! - Invariant O1: what operators decided no probe overrules, and what a node said of itself only its own later answers.
//! - Invariant O2: a gateway that reaches nobody takes no failure to reach a node for that node's, where there are several.
//! - Invariant O3: nobody is selectable only if no node answers this gateway well, but for those that an operator took out. That is asked for
//!   only while nobody at all can be had: a coordinator that has some nodes DOWN knows why, one that has all of them DOWN is more likely cut off.

mod pace;
mod seen;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use self::seen::{Reason, Seen};
use crate::{
    id::{Incarnation, NodeId},
    membership::Probe,
    merge::LIVE_FOR,
    node::{NodeState, NodeView},
    time::Tick,
};

/// How long nobody may have spoken until a gateway goes by what it sees: a stream that broke may be redialled within that time.
pub const ALONE_AFTER: Duration = LIVE_FOR;

/// What one gateway sees with its own eyes.
#[derive(Debug, Default)]
pub struct Probing {
    nodes: HashMap<NodeId, Seen>,
    /// When whom to look at next.
    due: BTreeSet<(Tick, NodeId)>,
    mode: Mode,
    /// How many nodes can be had by the words, and were not found wanting.
    hopeful: usize,
    /// When anybody was last reached.
    reached: Option<Tick>,
}

/// What of the words makes the gateway look itself, besides those that are in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mode {
    /// No coordinator is live.
    alone: bool,
    /// Nobody can be had by what is said.
    forlorn: bool,
}

impl Probing {
    /// Takes note of what coordinators now say of a node. [`Self::attend`] is to follow when all is noted.
    pub fn note(&mut self, now: Tick, view: &NodeView) {
        let id = &view.facts.id;
        self.change(id, |seen| {
            match seen {
                Some(seen) => seen.hear(view),
                None => *seen = Some(Seen::of(view)),
            };
        });
        self.reconsider(now, id);
    }

    /// The node is gone.
    pub fn forget(&mut self, id: &NodeId) {
        self.plan(id, None);
        self.change(id, |seen| *seen = None);
    }

    /// Says whether a coordinator has spoken within [`ALONE_AFTER`]. When one speaks again, its words stand as they are, unless by them nobody
    /// can be had.
    pub fn attend(&mut self, now: Tick, alone: bool) {
        // Twice at most: a failure that counts no longer may be what left nobody to be had.
        while self.mode != (Mode { alone, forlorn: self.hopeful == 0 }) {
            self.mode = Mode { alone, forlorn: self.hopeful == 0 };
            let ids: Vec<_> = self.nodes.keys().cloned().collect();
            ids.iter().for_each(|id| self.reconsider(now, id));
        }
    }

    /// The nodes to look at now; they are under way from here on.
    pub fn take_due(&mut self, now: Tick) -> Vec<(NodeId, Incarnation)> {
        let mut taken = Vec::new();
        while let Some((at, _)) = self.due.first()
            && *at <= now
        {
            let Some((_, id)) = self.due.pop_first() else { break };
            if let Some(seen) = self.nodes.get_mut(&id) {
                seen.due = None;
                if !seen.under_way {
                    (seen.under_way, seen.begun) = (true, now);
                    taken.push((id, seen.incarnation));
                }
            }
        }
        taken
    }

    /// When somebody is to be looked at next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes what came of a probe; of one during which the observer itself was away, nothing. Returns what the node is newly taken for, if
    /// that is another state than before.
    pub fn probed(
        &mut self,
        now: Tick,
        id: &NodeId,
        incarnation: Incarnation,
        probe: Option<Probe>,
    ) -> Option<NodeState> {
        if probe.is_some_and(|probe| probe != Probe::Unreached) {
            self.reached = Some(now);
        }
        let (mode, reached, lone) = (self.mode, self.reached, self.nodes.len() == 1);
        let mut ruled = None;
        self.change(id, |seen| {
            let Some(seen) = seen else { return };
            seen.under_way = false;
            let of_this_life = seen.incarnation == incarnation || incarnation == Incarnation::UNHEARD;
            let Some(probe) = probe.filter(|_| of_this_life) else { return };
            let Some(reason) = seen.reason(mode) else { return };
            let before = seen.taken();
            seen.count(probe, now);
            // O2. Where a coordinator is heard, some way is there: whoever answered while this node was asked is proof enough.
            let since = if reason == Reason::Doubt { seen.first_begun } else { seen.first_over };
            let reached = lone || reached.is_some_and(|at| at >= since);
            seen.rule(reason, mode, reached);
            ruled = Some(seen.taken()).filter(|after| *after != before);
        });
        let seen = self.nodes.get(id)?;
        let next = seen.reason(mode).map(|reason| now + pace::next(id, seen, reason, self.nodes.len(), now));
        self.plan(id, next);
        ruled
    }

    /// How many nodes it has been told of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has been told of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What this gateway takes a node for.
    #[must_use]
    pub fn judge(&self, view: &NodeView) -> NodeState {
        self.nodes.get(&view.facts.id).and_then(|seen| seen.verdict).unwrap_or(view.state)
    }

    /// Plans anew for a node whose reason to be looked at may have become another one.
    fn reconsider(&mut self, now: Tick, id: &NodeId) {
        let (mode, count) = (self.mode, self.nodes.len());
        let mut at = None;
        self.change(id, |seen| {
            let Some(seen) = seen else { return };
            let reason = seen.reason(mode);
            let begins = reason != seen.looked_at_for;
            seen.turn_to(reason, now);
            at = match reason {
                Some(reason) if begins && !seen.under_way => Some(now + pace::first(id, reason, mode, count, now)),
                Some(_) => seen.due,
                None => None,
            };
        });
        self.plan(id, at);
    }

    /// Changes what is known of a node, and keeps count.
    fn change(&mut self, id: &NodeId, change: impl FnOnce(&mut Option<Seen>)) {
        let mut seen = self.nodes.remove(id);
        self.hopeful -= usize::from(seen.as_ref().is_some_and(Seen::is_hopeful));
        change(&mut seen);
        self.hopeful += usize::from(seen.as_ref().is_some_and(Seen::is_hopeful));
        if let Some(seen) = seen {
            self.nodes.insert(id.clone(), seen);
        }
        debug_assert!(self.hopeful <= self.nodes.len(), "each node counts once");
    }

    fn plan(&mut self, id: &NodeId, at: Option<Tick>) {
        let Some(seen) = self.nodes.get_mut(id) else { return };
        if let Some(before) = std::mem::replace(&mut seen.due, at) {
            self.due.remove(&(before, id.clone()));
        }
        self.due.extend(at.map(|at| (at, id.clone())));
    }
}

#[cfg(test)]
mod tests;
