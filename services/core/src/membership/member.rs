//! One node: its record, and its present life.

use std::{sync::Arc, time::Duration};

use super::{
    Probe, Record, Refusal, Registration, SessionId, Timing,
    life::{Ending, Life},
    observer::Doubts,
    probing::Probing,
    returning::{Deaths, Returning},
    strain::Strain,
};
use crate::{
    id::Incarnation,
    load::Load,
    node::{Duty, NodeFacts, NodeState, NodeView},
    pace::Pace,
    time::Tick,
};

/// Registrations of one node that are taken at once, and the time between further ones. A node whose network is bad redials with a backoff, and
/// nobody restarts a process more often.
const REGISTRATIONS: u32 = 16;
const REGISTER_EVERY: Duration = Duration::from_secs(1);

/// One that is spared, and would not be if another one were heard once more, is looked at so often in the time of one look: those others beat.
const OFTEN: u32 = 5;

/// A node on record.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) record: Record,
    pub(super) life: Life,
    /// What was last published; [`Member::state_at`] is the truth.
    pub(super) state: NodeState,
    pub(super) since: Tick,
    /// Whether it was published as one that its observer may be wrong about.
    pub(super) in_doubt: bool,
    /// As what it is counted among those whose silence would mean something.
    pub(super) counted: Option<Hearing>,
    /// Its way back, while it is on it.
    pub(super) returning: Option<Returning>,
    deaths: Deaths,
    strain: Strain,
    probing: Probing,
    /// How often it may register: those who have its secret only.
    pace: Pace,
}

/// Whether a node is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    InTime,
    Silent,
}

impl Member {
    /// Awaited from now on: it may live, and nobody has heard it here.
    pub(super) fn on_record(record: Record, now: Tick) -> Self {
        Self {
            record,
            life: Life::awaited(now),
            state: NodeState::Suspect,
            since: now,
            in_doubt: false,
            counted: None,
            returning: None,
            deaths: Deaths::default(),
            strain: Strain::default(),
            probing: Probing::default(),
            pace: Pace::new(REGISTRATIONS, REGISTER_EVERY),
        }
    }

    /// Whether this registration may speak for the node.
    ///
    /// An older life never does, not even when the newer one is dead: its reports would count for less than the dead one's wherever both are
    /// known. But then it is told what to be newer than. While both are alive the newer one stays, so that two copies cannot take turns.
    pub(super) fn admits(&mut self, timing: &Timing, registration: &Registration, now: Tick) -> Result<(), Refusal> {
        if self.record.secret != registration.secret {
            let id = registration.facts.id.clone();
            let (holder, newcomer) = (place(&self.record.facts), place(&registration.facts));
            return Err(Refusal::Taken { id, holder, newcomer });
        }
        if self.life.incarnation > registration.incarnation {
            // Nobody watches what is in maintenance: there, silence has to speak for itself.
            let unwatched = self.state == NodeState::Maintenance && now >= self.life.heard + timing.dead_after;
            return Err(match self.state == NodeState::Down || unwatched {
                true => Refusal::Outlived { newest: self.life.incarnation },
                false => Refusal::Superseded,
            });
        }
        if !self.pace.allows(now) {
            return Err(Refusal::TooOften);
        }
        Ok(())
    }

    /// Whether somebody else speaks for the node at this moment: one of the two lives should be over.
    pub(super) fn is_contested(&self, timing: &Timing, registration: &Registration, now: Tick) -> bool {
        self.life.incarnation != registration.incarnation && self.life.is_beating(timing, now)
    }

    /// The session whose words count, while its stream stands.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.life.is_connected().then_some(self.life.session)
    }

    pub(super) fn wants_to_drain(&self) -> bool {
        self.record.intent.drains() || self.life.draining
    }

    /// Another life begins, or the same one on another stream.
    pub(super) fn attend(&mut self, registration: &Registration, session: SessionId, now: Tick) {
        if self.state == NodeState::Down {
            self.come_back(now);
        }
        if self.life.incarnation != registration.incarnation {
            self.strain = Strain::default();
            // What another life proved, and what comes of a probe of it, is nothing to this one.
            self.probing = Probing::default();
            if self.returning.is_some() {
                self.come_back(now);
            }
        }
        self.life = Life::begin(&self.life, registration, session, now);
        self.probing.forget();
    }

    /// Takes a beat; false if it is not newer than what is known.
    pub(super) fn beat(&mut self, now: Tick, sequence: u64, load: Load, draining: bool) -> bool {
        if !self.life.renew(now, sequence, load, draining) {
            return false;
        }
        self.strain.beat(&load, &self.record.facts);
        self.probing.forget();
        if self.state == NodeState::Down {
            self.come_back(now);
        }
        if let Some(returning) = &mut self.returning {
            returning.beats();
        }
        true
    }

    /// It was away, and proves itself before it gets clients.
    pub(super) fn come_back(&mut self, now: Tick) {
        self.returning = Some(Returning::new(now, self.deaths.damping(now)));
        self.probing.restart();
    }

    /// It was found dead; that is remembered, unless it was meant, or was so before this observer began.
    pub(super) fn died(&mut self, now: Tick) {
        self.returning = None;
        self.life.close();
        if !matches!(self.life.ending, Ending::Goodbye | Ending::Awaited) {
            self.deaths.count(now);
        }
    }

    /// What a probe of this life came to.
    pub(super) fn probed(&mut self, incarnation: Incarnation, probe: Probe, now: Tick) {
        if self.life.incarnation != incarnation {
            return;
        }
        self.probing.ended(probe, now);
        if let Some(returning) = self.returning.as_mut().filter(|returning| returning.wants_a_probe()) {
            returning.probed(probe);
        }
    }

    /// The life to probe, if it is time for that; it is taken to be under way from then on.
    pub(super) fn take_probe(&mut self, timing: &Timing, now: Tick, doubts: Doubts) -> Option<Incarnation> {
        let life = Some(&self.life).filter(|life| life.is_judged_by_silence())?;
        let returns = self.returning.is_some_and(|returning| returning.wants_a_probe());
        let silent = self.counted == Some(Hearing::Silent) && self.state != NodeState::Down;
        let silence = now.since(life.heard);
        ((silent || returns) && self.probing.begin(timing, now, silence, silent, doubts.hears))
            .then_some(life.incarnation)
    }

    pub(super) fn state_at(&self, timing: &Timing, now: Tick, doubts: Doubts) -> NodeState {
        if self.record.intent.duty == Duty::Maintenance {
            NodeState::Maintenance
        } else if now >= self.life.dead_at(timing, doubts.forgiving_until) && !self.is_spared(timing, doubts) {
            NodeState::Down
        } else if self.wants_to_drain() {
            NodeState::Draining
        } else if self.returning.is_some_and(|returning| !returning.is_over(timing, now)) {
            NodeState::Probation
        } else if now >= self.life.suspect_at(timing) || self.is_unproven(now, doubts) {
            NodeState::Suspect
        } else if self.strain.is_strained() {
            NodeState::Degraded
        } else {
            NodeState::Up
        }
    }

    /// Whether its silence is held to be the observer's own: many are silent, and no probe says that it is the node's.
    fn is_spared(&self, timing: &Timing, doubts: Doubts) -> bool {
        let expected = self.life.heard + timing.beats_within();
        // Whoever was down before stays so.
        let may_live = self.state != NodeState::Down && !self.probing.is_refuted(doubts.hears, expected);
        self.life.is_judged_by_silence() && doubts.of_silence && may_live
    }

    /// Whether it may live for all that is known here, and nothing that was heard of it says so: no stream of it has come yet; or since the observer
    /// was away nothing came but what may be old, or its stream broke, at whatever time that was.
    fn is_unproven(&self, now: Tick, doubts: Doubts) -> bool {
        match self.life.ending {
            Ending::Awaited => true,
            Ending::Broken(_) if now < doubts.forgiving_until => true,
            _ => self.life.heard < doubts.trusting_since,
        }
    }

    /// Whether whoever can reach it had better look itself: in that state, the observer may be wrong about it.
    pub(super) fn is_in_doubt(&self, state: NodeState, now: Tick, doubts: Doubts) -> bool {
        let unproven = state == NodeState::Suspect && self.is_unproven(now, doubts);
        unproven || doubts.of_silence && self.counted == Some(Hearing::Silent) && state != NodeState::Down
    }

    /// How it counts in the question whether the observer is cut off. Whoever is known to be dead does not, nor whoever still has time to come.
    pub(super) fn hearing(&self, timing: &Timing, now: Tick) -> Option<Hearing> {
        if !self.life.is_judged_by_silence() || self.record.intent.duty == Duty::Maintenance {
            return None;
        }
        match now < self.life.suspect_at(timing) {
            true => self.life.was_heard().then_some(Hearing::InTime),
            false => (self.state != NodeState::Down).then_some(Hearing::Silent),
        }
    }

    /// When time alone changes the state next, or something is to be looked at again.
    pub(super) fn deadline(&self, timing: &Timing, now: Tick, doubts: Doubts) -> Option<Tick> {
        let (dead_at, suspect_at) = (self.life.dead_at(timing, doubts.forgiving_until), self.life.suspect_at(timing));
        if now < suspect_at.min(dead_at) {
            Some(suspect_at.min(dead_at))
        } else if now < dead_at {
            Some(dead_at)
        } else if matches!(self.state, NodeState::Down | NodeState::Maintenance) {
            None
        } else if self.probing.is_nearly_refuted(timing, now, doubts.hears) {
            Some(now + timing.look_within / OFTEN)
        } else {
            Some(now + timing.look_within)
        }
    }

    pub(super) fn view(&self, now: Tick) -> NodeView {
        NodeView {
            facts: self.record.facts.clone(),
            state: self.state,
            freshness: self.life.freshness(),
            load: self.life.load(),
            heard_ago: self.life.heard_ago(now),
            intent: self.record.intent,
            in_doubt: self.in_doubt,
        }
    }

    pub(super) fn facts(&self) -> Arc<NodeFacts> {
        Arc::clone(&self.record.facts)
    }
}

/// Where people find a node.
fn place(facts: &NodeFacts) -> String {
    facts.place().map_or_else(|| "an unknown address".to_owned(), ToString::to_string)
}
