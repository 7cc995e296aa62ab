//! Node membership as one coordinator sees it: who is alive, who may be selected, and until when.
//!
//! Pure: the caller supplies `now` and carries out the returned effects, in order. It comes by at least every second ([`Timing::look_within`]); time in
//! which it did not was the observer's absence, and is added to every deadline.
//!
//! Many silent nodes at once are more likely one deaf observer. While more than three in ten of those that should be heard are silent, they stay SUSPECT,
//! marked as in doubt. That holds from the start: whoever is on record is awaited, and one that never comes is silent like any other. Whoever is silent is
//! probed, ever more seldom, and a probe that finds a node that does not answer is believed; one that does not even get through to it, if others were heard
//! all the while. Streams that broke are never doubted.
//!
//! After an absence for which others went by other words, an observer knows of nobody. What waited in its sockets says that a node lived, not that it
//! lives: each is SUSPECT and in doubt, which is no word against anybody else's, until it is heard a moment after the return. A stream that broke
//! meanwhile leaves its node so until it is dead.
//!
//! - Invariant M1: a node is selectable only before its beat deadline, and only while its stream stands or could be redialled; but for those in doubt.
//! - Invariant M2: at most one session speaks for a node: the one with the highest incarnation.
//! - Invariant M3: a node that an operator drains, or that drains itself, is never selectable.
//! - Invariant M4: a node that was down is not selectable before it was heard three times and probed.
//! - Invariant M5: the counts of those heard and those silent are what a recount gives.

mod event;
mod life;
mod member;
mod observer;
mod probing;
mod returning;
mod strain;
mod timing;

use std::collections::{BTreeSet, HashMap};

pub use event::{Effect, End, Event, Record, Refusal, Registration, SecretDigest, SessionId};
use member::{Hearing, Member};
use observer::Observer;
pub use returning::{LONGEST_DAMPING, Probe};
pub use timing::Timing;

use crate::{
    census::Census,
    id::{Incarnation, NodeId},
    load::Load,
    node::{Duty, NodeState, NodeView},
    time::Tick,
    tombstones::{Tombstone, Tombstones},
};

/// Nodes that may be on record; a new one is refused beyond that. Those whose streams stand are fewer: see the coordinator.
pub const MOST_NODES: usize = 16_384;

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
    observer: Observer,
    census: Census,
    /// The last removals: a write's answer may come after a removal that the store made later.
    removed: Tombstones,
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
            observer: Observer::default(),
            census: Census::default(),
            removed: Tombstones::default(),
        }
    }

    /// Applies one event; returns what the outside world must now do, in order.
    #[must_use]
    pub fn step(&mut self, now: Tick, event: Event) -> Vec<Effect> {
        let now = self.look(now);
        let mut effects = self.expire(now);
        match event {
            Event::Record(record) => self.record(now, record, &mut effects),
            Event::Forgotten { id, revision } => self.forget(&id, revision, &mut effects),
            Event::Attend { session, registration } => self.attend(now, session, *registration, &mut effects),
            Event::Beat { session, sequence, load, draining } => {
                self.beat(now, session, sequence, load, draining, &mut effects);
            }
            Event::Ended { session, end } => self.ended(now, session, end, &mut effects),
            Event::Probed { id, incarnation, probe } => self.probed(now, &id, incarnation, probe, &mut effects),
            Event::TimePassed => {}
        }
        debug_assert!(!cfg!(test) || self.holds(now), "an invariant is broken");
        effects
    }

    /// The earliest moment at which [`Event::TimePassed`] could change anything.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        self.timers.first().map(|(at, _)| *at + self.observer.away())
    }

    /// Whether it has anything to say: every node on record was heard since the start, or had the time to speak. A coordinator that spoke earlier would
    /// tell gateways that living nodes are dead.
    #[must_use]
    pub fn has_learned(&self, now: Tick) -> bool {
        self.own(now) >= self.learned_by || self.members.values().all(|member| member.life.was_heard())
    }

    /// The store was read for the first time: from now on nodes are let in, and have their time to speak.
    pub fn begin_learning(&mut self, now: Tick) {
        self.learned_by = self.own(now) + self.timing.dead_after;
    }

    /// This coordinator's word on one node.
    #[must_use]
    pub fn view(&self, now: Tick, id: &NodeId) -> Option<NodeView> {
        self.members.get(id).map(|member| member.view(self.own(now)))
    }

    /// This coordinator's word on every node, in no order.
    pub fn views(&self, now: Tick) -> impl Iterator<Item = NodeView> {
        let now = self.own(now);
        self.members.values().map(move |member| member.view(now))
    }

    /// The last removals, for gateways that come later.
    pub fn removed(&self) -> impl Iterator<Item = Tombstone> {
        self.removed.iter()
    }

    /// How many nodes are on record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no node is on record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The record behind a node.
    #[must_use]
    pub fn find_record(&self, id: &NodeId) -> Option<&Record> {
        self.members.get(id).map(|member| &member.record)
    }

    /// Whether a stream of this node stands here.
    #[must_use]
    pub fn is_attending(&self, id: &NodeId) -> bool {
        self.members.get(id).is_some_and(|member| member.life.is_connected())
    }

    /// When the node's state last changed here; while this observer was away, nothing changed for it.
    #[must_use]
    pub fn since(&self, id: &NodeId) -> Option<Tick> {
        self.members.get(id).map(|member| member.since + self.observer.away())
    }

    /// How many nodes are in each state.
    #[must_use]
    pub const fn census(&self) -> &Census {
        &self.census
    }

    /// The nodes whose load changed since the last call: what a delta of loads has to carry.
    pub fn take_touched(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.touched)
    }

    fn record(&mut self, now: Tick, record: Record, effects: &mut Vec<Effect>) {
        let id = record.facts.id.clone();
        if self.removed.of_node(&id).is_some_and(|removed| record.intent.revision <= removed) {
            return; // An answer that the removal overtook.
        }
        let Some(member) = self.members.get_mut(&id) else {
            let member = Member::on_record(record, now);
            self.census.enter(member.state);
            self.members.insert(id.clone(), member);
            self.timers.insert((now + self.timing.suspect_after, id.clone()));
            effects.push(Effect::Publish { id: id.clone() });
            return self.settle(now, &id, effects);
        };
        if record.intent.revision <= member.record.intent.revision {
            return; // An answer that a later watch event overtook.
        }
        let duty = member.record.intent.duty;
        let duty_changed = record.intent.duty != duty;
        // While the node lives, its own words about itself are fresher than the store's.
        let facts = if member.life.was_heard() { member.record.facts.clone() } else { record.facts.clone() };
        member.record = Record { facts, ..record };
        if duty_changed && duty == Duty::Maintenance {
            // Nobody watched it meanwhile, and no timer was kept for it.
            member.come_back(now);
            self.timers.insert((now, id.clone()));
        }
        if duty_changed && let Some(session) = member.session() {
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
        // Whoever was never known here may be written of yet. Who is forgotten for it was removed long ago.
        let _forgotten = self.removed.bury(Tombstone { id: id.clone(), revision });
        self.recount(id, None);
        if let Some(member) = self.members.remove(id) {
            self.touched.remove(id);
            self.census.leave(member.state);
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
        let contested = member.is_contested(&self.timing, &registration, now);
        if let Err(why) = member.admits(&self.timing, &registration, now) {
            if why == Refusal::Superseded && contested {
                effects.push(Effect::Contested { id, facts: [member.facts(), registration.facts.clone()] });
            }
            effects.push(Effect::Refuse { session, why });
            return;
        }
        if contested {
            let facts = [registration.facts.clone(), member.facts()];
            effects.push(Effect::Contested { id: id.clone(), facts });
        }
        if let Some(old) = member.session() {
            self.sessions.remove(&old);
            effects.push(Effect::End { session: old, why: Refusal::Superseded });
        }
        if *member.record.facts != *registration.facts {
            member.record.facts = registration.facts.clone();
            effects.push(Effect::Save { id: id.clone(), facts: registration.facts.clone() });
        }
        member.attend(&registration, session, now);
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
        let Some(member) = self.members.get_mut(&id) else { return };
        // The timers of one that nobody missed any more have all fired: if it comes back, it needs a new one.
        let was_missed = !matches!(member.state, NodeState::Down | NodeState::Maintenance);
        if !member.beat(now, sequence, load, draining) {
            // A replayed or reordered beat says nothing about now.
            effects.push(Effect::Ignored { session });
            return;
        }
        self.observer.hear(&self.timing, now);
        self.touched.insert(id.clone());
        if !was_missed {
            self.timers.insert((now + self.timing.suspect_after, id.clone()));
        }
        self.settle(now, &id, effects);
    }

    fn ended(&mut self, now: Tick, session: SessionId, end: End, effects: &mut Vec<Effect>) {
        let Some(id) = self.sessions.remove(&session) else { return };
        let Some(member) = self.members.get_mut(&id) else { return };
        member.life.end(&self.timing, now, end);
        self.timers.insert((now + self.timing.redial_within, id.clone()));
        self.settle(now, &id, effects);
    }

    fn probed(&mut self, now: Tick, id: &NodeId, life: Incarnation, probe: Probe, effects: &mut Vec<Effect>) {
        if probe != Probe::Unreached {
            self.observer.hear(&self.timing, now);
        }
        let Some(member) = self.members.get_mut(id) else { return };
        member.probed(life, probe, now);
        self.settle(now, id, effects);
    }

    fn own(&self, now: Tick) -> Tick {
        self.observer.own(now)
    }

    /// The caller comes by. After a long absence, that changes what is known of everybody.
    fn look(&mut self, now: Tick) -> Tick {
        let knows_nobody = self.observer.look(&self.timing, now);
        let now = self.own(now);
        if knows_nobody {
            let living = self.members.iter().filter(|(_, member)| member.state != NodeState::Down);
            self.timers.extend(living.map(|(id, _)| (now, id.clone())));
        }
        now
    }

    /// Keeps count of who is heard.
    fn recount(&mut self, id: &NodeId, after: Option<Hearing>) {
        if let Some(member) = self.members.get_mut(id) {
            self.observer.recount(std::mem::replace(&mut member.counted, after), after);
        }
    }

    /// Brings every member whose timer fired to the state that silence has earned it.
    fn expire(&mut self, now: Tick) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((_, id)) = self.timers.pop_first() else { break };
            self.settle(now, &id, &mut effects);
            let doubts = self.observer.doubts(&self.timing, now);
            let member = self.members.get(&id);
            if let Some(deadline) = member.and_then(|member| member.deadline(&self.timing, now, doubts)) {
                self.timers.insert((deadline, id));
            }
        }
        effects
    }

    fn settle(&mut self, now: Tick, id: &NodeId, effects: &mut Vec<Effect>) {
        let doubted = self.observer.doubts(&self.timing, now).of_silence;
        let Some(hearing) = self.members.get(id).map(|member| member.hearing(&self.timing, now)) else { return };
        self.recount(id, hearing);
        self.observer.reflect(now);
        let doubts = self.observer.doubts(&self.timing, now);
        if doubts.of_silence && !doubted {
            // That concerns all who are silent.
            let silent = self.members.iter().filter(|(_, member)| member.counted == Some(Hearing::Silent));
            self.timers.extend(silent.map(|(id, _)| (now, id.clone())));
        }
        let Some(member) = self.members.get_mut(id) else { return };
        let state = member.state_at(&self.timing, now, doubts);
        let in_doubt = member.is_in_doubt(state, now, doubts);
        let changed = state != member.state;
        if changed {
            effects.push(Effect::Changed { id: id.clone(), from: member.state, to: state });
            self.census.change(member.state, state);
            (member.state, member.since) = (state, now);
            if state == NodeState::Down {
                member.died(now);
            }
        }
        member.returning = member.returning.filter(|way| !way.is_over(&self.timing, now));
        if changed || in_doubt != member.in_doubt {
            member.in_doubt = in_doubt;
            effects.push(Effect::Publish { id: id.clone() });
        }
        if let Some(incarnation) = member.take_probe(&self.timing, now, doubts) {
            effects.push(Effect::Probe { id: id.clone(), incarnation });
        }
        if state == NodeState::Down {
            self.recount(id, None);
        }
    }

    /// Whether every invariant holds. Looks at every node.
    #[must_use]
    pub fn is_sound(&self, now: Tick) -> bool {
        self.holds(self.own(now))
    }

    fn holds(&self, now: Tick) -> bool {
        self.m1_selectable_only_before_the_deadline(now)
            && self.m2_one_session_per_node()
            && self.m3_drained_is_never_selectable()
            && self.m4_nobody_is_back_before_the_proof(now)
            && self.m5_the_counts_are_right()
    }

    fn m1_selectable_only_before_the_deadline(&self, now: Tick) -> bool {
        let forgiving_until = self.observer.forgiving_until();
        let selectable = self.members.values().filter(|member| member.state.selectable());
        selectable.into_iter().all(|member| {
            let spared = member.state == NodeState::Suspect && member.in_doubt;
            now < member.life.dead_at(&self.timing, forgiving_until) || spared
        })
    }

    fn m4_nobody_is_back_before_the_proof(&self, now: Tick) -> bool {
        let returning = self.members.values().filter_map(|member| Some((member, member.returning?)));
        returning.into_iter().all(|(member, way)| !member.state.selectable() || way.is_over(&self.timing, now))
    }

    fn m5_the_counts_are_right(&self) -> bool {
        let states: Census = self.members.values().map(|member| member.state).collect();
        let of = |wanted| self.members.values().filter(|member| member.counted == Some(wanted)).count();
        (of(Hearing::InTime), of(Hearing::Silent)) == self.observer.counts() && self.census == states
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
