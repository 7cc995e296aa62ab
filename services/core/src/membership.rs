//! Node membership as one coordinator sees it: who is alive, who may be selected, and until when.
//!
//! Pure: the caller supplies `now` and carries out the returned effects, in order.
//!
//! - Invariant M1: a node is selectable only before its beat deadline, and only while its stream stands or could be redialled.
//! - Invariant M2: at most one session speaks for a node: the one with the highest incarnation.
//! - Invariant M3: a node that an operator drains, or that drains itself, is never selectable.

mod event;
mod member;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

pub use event::{Effect, Event, Record, Refusal, Registration, SecretDigest, SessionId};
use member::{Life, Member};

use crate::{
    id::NodeId,
    load::Load,
    node::{NodeState, NodeView},
    time::Tick,
};

/// How long silence means what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a node beats; nodes spread it by ± 20 %.
    pub beat_every: Duration,
    /// Silence after which a node is chosen only if nothing better is left.
    pub suspect_after: Duration,
    /// Silence after which a node is dead.
    pub dead_after: Duration,
    /// How long a node whose stream ended without a goodbye may take to redial.
    pub redial_within: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat_every: Duration::from_secs(1),
            suspect_after: Duration::from_millis(2500),
            dead_after: Duration::from_secs(4),
            redial_within: Duration::from_millis(500),
        }
    }
}

/// Every node that ever registered and was not removed, with what is known of its present life.
#[derive(Debug)]
pub struct Membership {
    timing: Timing,
    members: HashMap<NodeId, Member>,
    sessions: HashMap<SessionId, NodeId>,
    /// Each living member has at least one timer at or before its true deadline; a timer that fires early is set anew.
    timers: BTreeSet<(Tick, NodeId)>,
    /// Nodes whose load changed since it was last asked for.
    touched: BTreeSet<NodeId>,
    /// When learning ends at the latest.
    learned_by: Tick,
}

impl Membership {
    /// Knows nobody yet. Until [`Self::has_learned`], absence of a node means nothing.
    #[must_use]
    pub fn new(timing: Timing, now: Tick) -> Self {
        Self {
            timing,
            members: HashMap::new(),
            sessions: HashMap::new(),
            timers: BTreeSet::new(),
            touched: BTreeSet::new(),
            learned_by: now + timing.dead_after,
        }
    }

    /// Applies one event; returns what the outside world must now do, in order.
    #[must_use]
    pub fn step(&mut self, now: Tick, event: Event) -> Vec<Effect> {
        let mut effects = self.expire(now);
        match event {
            Event::Record(record) => self.record(now, record, &mut effects),
            Event::Forgotten { id, revision } => self.forget(&id, revision, &mut effects),
            Event::Attend { session, registration } => self.attend(now, session, *registration, &mut effects),
            Event::Beat { session, sequence, load, draining } => {
                self.beat(now, session, sequence, load, draining, &mut effects);
            }
            Event::Ended { session, goodbye } => self.ended(now, session, goodbye, &mut effects),
            Event::TimePassed => {}
        }
        debug_assert!(self.m1_selectable_only_before_the_deadline(now), "M1");
        debug_assert!(self.m2_one_session_per_node(), "M2");
        debug_assert!(self.m3_drained_is_never_selectable(), "M3");
        effects
    }

    /// The earliest moment at which [`Event::TimePassed`] could change anything.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether silence may be believed: every node on record was heard since the start, or had the time to speak.
    /// A coordinator that spoke earlier would tell gateways that living nodes are dead.
    #[must_use]
    pub fn has_learned(&self, now: Tick) -> bool {
        now >= self.learned_by || self.members.values().all(|member| member.life.is_some())
    }

    /// The store was read for the first time: from now on nodes are let in, and have their time to speak.
    pub fn begin_learning(&mut self, now: Tick) {
        self.learned_by = now + self.timing.dead_after;
    }

    /// This coordinator's word on one node.
    #[must_use]
    pub fn view(&self, now: Tick, id: &NodeId) -> Option<NodeView> {
        self.members.get(id).map(|member| member.view(now))
    }

    /// This coordinator's word on every node, in no order.
    pub fn views(&self, now: Tick) -> impl Iterator<Item = NodeView> {
        self.members.values().map(move |member| member.view(now))
    }

    /// The record behind a node.
    #[must_use]
    pub fn find_record(&self, id: &NodeId) -> Option<&Record> {
        self.members.get(id).map(|member| &member.record)
    }

    /// Whether a stream of this node stands here.
    #[must_use]
    pub fn is_attending(&self, id: &NodeId) -> bool {
        self.members.get(id).is_some_and(|member| member.life.as_ref().is_some_and(Life::is_connected))
    }

    /// When the node's state last changed here.
    #[must_use]
    pub fn since(&self, id: &NodeId) -> Option<Tick> {
        self.members.get(id).map(|member| member.since)
    }

    /// The nodes whose load changed since the last call: what a delta of loads has to carry.
    pub fn take_touched(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.touched)
    }

    fn record(&mut self, now: Tick, record: Record, effects: &mut Vec<Effect>) {
        let id = record.facts.id.clone();
        let Some(member) = self.members.get_mut(&id) else {
            self.members.insert(id.clone(), Member::on_record(record, now));
            effects.push(Effect::Publish { id });
            return;
        };
        if record.intent.revision <= member.record.intent.revision {
            return; // An answer that a later watch event overtook.
        }
        let drain_changed = record.intent.drain != member.record.intent.drain;
        // While the node lives, its own words about itself are fresher than the store's.
        let facts = if member.life.is_some() { member.record.facts.clone() } else { record.facts.clone() };
        member.record = Record { facts, ..record };
        if drain_changed && let Some(session) = member.session() {
            effects.push(Effect::Command { session, intent: member.record.intent });
        }
        effects.push(Effect::Publish { id: id.clone() });
        self.settle(now, &id, effects);
    }

    fn forget(&mut self, id: &NodeId, revision: u64, effects: &mut Vec<Effect>) {
        let stale = self.members.get(id).is_some_and(|member| member.record.intent.revision > revision);
        if stale {
            return;
        }
        if let Some(member) = self.members.remove(id) {
            self.touched.remove(id);
            if let Some(session) = member.session() {
                self.sessions.remove(&session);
                effects.push(Effect::End { session, why: Refusal::Removed });
            }
            effects.push(Effect::Unpublish { id: id.clone(), revision });
        }
    }

    fn attend(&mut self, now: Tick, session: SessionId, registration: Registration, effects: &mut Vec<Effect>) {
        let id = registration.facts.id.clone();
        let Some(member) = self.members.get_mut(&id) else {
            // The store decides between two strangers of one name; the caller comes back with the record.
            effects.push(Effect::Create { session, registration: Box::new(registration) });
            return;
        };
        if let Err(why) = member.admits(&registration) {
            effects.push(Effect::Refuse { session, why });
            return;
        }
        if let Some(old) = member.session() {
            self.sessions.remove(&old);
            effects.push(Effect::End { session: old, why: Refusal::Superseded });
        }
        if *member.record.facts != *registration.facts {
            member.record.facts = registration.facts.clone();
            effects.push(Effect::Save { id: id.clone(), facts: registration.facts.clone() });
        }
        member.life = Some(Life::begin(member.life.as_ref(), &registration, session, now));
        let intent = member.record.intent;
        self.sessions.insert(session, id.clone());
        self.timers.insert((now + self.timing.suspect_after, id.clone()));
        effects.push(Effect::Welcome { session, intent });
        effects.push(Effect::Publish { id: id.clone() });
        self.settle(now, &id, effects);
    }

    fn beat(
        &mut self,
        now: Tick,
        session: SessionId,
        sequence: u64,
        load: Load,
        draining: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(id) = self.sessions.get(&session).cloned() else { return };
        let Some(life) = self.members.get_mut(&id).and_then(|member| member.life.as_mut()) else { return };
        if !life.renew(now, sequence, load, draining) {
            return; // A replayed or reordered beat says nothing about now.
        }
        self.touched.insert(id.clone());
        // The timers of a dead member have all fired: one that comes back needs a new one.
        if self.members.get(&id).is_some_and(|member| member.state == NodeState::Down) {
            self.timers.insert((now + self.timing.suspect_after, id.clone()));
        }
        self.settle(now, &id, effects);
    }

    fn ended(&mut self, now: Tick, session: SessionId, goodbye: bool, effects: &mut Vec<Effect>) {
        let Some(id) = self.sessions.remove(&session) else { return };
        let Some(life) = self.members.get_mut(&id).and_then(|member| member.life.as_mut()) else { return };
        life.end(now, goodbye);
        self.timers.insert((now + self.timing.redial_within, id.clone()));
        self.settle(now, &id, effects);
    }

    /// Brings every member whose timer fired to the state that silence has earned it.
    fn expire(&mut self, now: Tick) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((_, id)) = self.timers.pop_first() else { break };
            self.settle(now, &id, &mut effects);
            if let Some(deadline) = self.members.get(&id).and_then(|member| member.deadline(&self.timing, now)) {
                self.timers.insert((deadline, id));
            }
        }
        effects
    }

    fn settle(&mut self, now: Tick, id: &NodeId, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let state = member.state_at(&self.timing, now);
        if state != member.state {
            effects.push(Effect::Changed { id: id.clone(), from: member.state, to: state });
            effects.push(Effect::Publish { id: id.clone() });
            member.state = state;
            member.since = now;
        }
    }

    fn m1_selectable_only_before_the_deadline(&self, now: Tick) -> bool {
        self.members
            .values()
            .filter(|member| member.state.selectable())
            .all(|member| member.life.as_ref().is_some_and(|life| now < life.dead_at(&self.timing)))
    }

    fn m2_one_session_per_node(&self) -> bool {
        self.sessions.iter().all(|(session, id)| self.members.get(id).and_then(Member::session) == Some(*session))
    }

    fn m3_drained_is_never_selectable(&self) -> bool {
        self.members.values().all(|member| !(member.wants_to_drain() && member.state.selectable()))
    }
}

#[cfg(test)]
mod tests;
