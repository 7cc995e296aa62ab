//! What a gateway finds out for itself: which nodes it looks at, and what it makes of that.
//!
//! While coordinators speak and are sure of themselves, it looks at nobody. A node that they doubt ([`NodeView::in_doubt`]) it looks at at once, and every two
//! seconds: one failure makes it DOWN here. When no coordinator has spoken for ten seconds, it looks at all of them in turn; two failures
//! in a row make one DOWN, and one that was DOWN and answers twice gets clients again.
//!
//! Pure: the caller supplies `now`, makes the probes and brings what came of them.
//!
//! - Invariant O1: what operators decided, and what a node says of itself, no probe overrules.
//! - Invariant O2: a gateway that reaches nobody takes no failure to reach a node for that node's, where there are several.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::{
    id::{Incarnation, NodeId},
    membership::Probe,
    node::{NodeState, NodeView},
    time::Tick,
};

/// How long the last words are taken as they are when nobody speaks any more.
pub const OLD_AFTER: Duration = Duration::from_secs(10);

/// Between two probes of a node that is in doubt.
const DOUBT_EVERY: Duration = Duration::from_secs(2);

/// Between two probes of each node when nobody speaks; with very many nodes more, so that a gateway makes no more than fifty in a second.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const MOST_A_SECOND: u32 = 50;

/// Failures in a row that make a node DOWN when nobody speaks, and answers in a row that bring one back.
const IN_A_ROW: u32 = 2;

/// How long a probe takes at most.
const PROBE_TAKES: Duration = Duration::from_millis(1400);

/// What one gateway sees with its own eyes.
#[derive(Debug, Default)]
pub struct Probing {
    nodes: HashMap<NodeId, Seen>,
    /// When whom to look at next.
    due: BTreeSet<(Tick, NodeId)>,
    /// Whether nobody has spoken for long.
    old: bool,
    /// When anybody was last reached.
    reached: Option<Tick>,
}

#[derive(Debug)]
struct Seen {
    in_doubt: bool,
    incarnation: Incarnation,
    due: Option<Tick>,
    under_way: bool,
    last: Option<Probe>,
    /// Probes in a row that came out as the last one did: well, or not.
    in_a_row: u32,
    /// When the first of those was begun.
    since: Tick,
}

impl Probing {
    /// Takes note of what coordinators now say of a node. Words of a node that they hear end what was seen of it before.
    pub fn note(&mut self, now: Tick, view: &NodeView) {
        let id = &view.facts.id;
        let seen = self.nodes.entry(id.clone()).or_insert_with(|| Seen::of(view));
        let another_life = seen.incarnation != view.freshness.incarnation;
        if another_life || (!view.in_doubt && !self.old) {
            (seen.last, seen.in_a_row) = (None, 0);
        }
        let begins = view.in_doubt && !seen.in_doubt;
        (seen.in_doubt, seen.incarnation) = (view.in_doubt, view.freshness.incarnation);
        if begins {
            self.plan(id, Some(now));
        } else if !view.in_doubt && !self.old {
            self.plan(id, None);
        }
    }

    /// The node is gone.
    pub fn forget(&mut self, id: &NodeId) {
        self.plan(id, None);
        self.nodes.remove(id);
    }

    /// Says whether no coordinator has spoken for [`OLD_AFTER`]. When one speaks again, its words stand as they are.
    pub fn set_old(&mut self, now: Tick, old: bool) {
        if self.old == old {
            return;
        }
        self.old = old;
        let ids: Vec<_> = self.nodes.keys().cloned().collect();
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        for (index, id) in ids.iter().enumerate() {
            if let Some(seen) = self.nodes.get_mut(id).filter(|seen| !seen.in_doubt) {
                (seen.last, seen.in_a_row) = (None, 0);
                // Spread over the interval, so that they are not all looked at together.
                let share = u32::try_from(index).unwrap_or(u32::MAX);
                self.plan(id, old.then(|| now + every(count) * share / count.max(1)));
            }
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
                    seen.under_way = true;
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

    /// Takes what came of a probe.
    pub fn probed(&mut self, now: Tick, id: &NodeId, incarnation: Incarnation, probe: Probe) {
        if probe != Probe::Unreached {
            self.reached = Some(now);
        }
        let count = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(seen) = self.nodes.get_mut(id) else { return };
        seen.under_way = false;
        if seen.incarnation == incarnation {
            let begun = now - PROBE_TAKES;
            let same = seen.last.is_some_and(|last| (last == Probe::Well) == (probe == Probe::Well));
            (seen.in_a_row, seen.since) = if same { (seen.in_a_row.saturating_add(1), seen.since) } else { (1, begun) };
            seen.last = Some(probe);
        }
        let next = match (seen.in_doubt, self.old) {
            (true, _) => Some(now + DOUBT_EVERY),
            (false, true) => Some(now + every(count)),
            (false, false) => None,
        };
        self.plan(id, next);
    }

    /// What this gateway takes a node for.
    #[must_use]
    pub fn judge(&self, view: &NodeView) -> NodeState {
        // O1.
        if matches!(view.state, NodeState::Draining | NodeState::Maintenance) {
            return view.state;
        }
        let Some(seen) = self.nodes.get(&view.facts.id) else { return view.state };
        let needed = if view.in_doubt { 1 } else { IN_A_ROW };
        if !(view.in_doubt || self.old) || seen.in_a_row < needed {
            return view.state;
        }
        match seen.last {
            Some(Probe::Well) if self.old && !view.state.is_well() => NodeState::Up,
            Some(Probe::Unwell) => NodeState::Down,
            // O2.
            Some(Probe::Unreached) if self.nodes.len() == 1 || self.reached_since(seen.since) => NodeState::Down,
            Some(Probe::Well | Probe::Unreached) | None => view.state,
        }
    }

    /// Whether anybody was reached while this node was not.
    fn reached_since(&self, since: Tick) -> bool {
        self.reached.is_some_and(|at| at >= since)
    }

    fn plan(&mut self, id: &NodeId, at: Option<Tick>) {
        let Some(seen) = self.nodes.get_mut(id) else { return };
        if let Some(before) = std::mem::replace(&mut seen.due, at) {
            self.due.remove(&(before, id.clone()));
        }
        self.due.extend(at.map(|at| (at, id.clone())));
    }
}

impl Seen {
    const fn of(view: &NodeView) -> Self {
        Self {
            in_doubt: false,
            incarnation: view.freshness.incarnation,
            due: None,
            under_way: false,
            last: None,
            in_a_row: 0,
            since: Tick::from_origin(Duration::ZERO),
        }
    }
}

/// Between two probes of one of so many nodes.
fn every(count: u32) -> Duration {
    LOOK_EVERY.max(Duration::from_secs(1) * count / MOST_A_SECOND)
}

#[cfg(test)]
mod tests;
