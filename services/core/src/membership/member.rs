//! One node: its record, and its present life if it was heard.

use std::time::Duration;

use super::{Record, Refusal, Registration, SessionId, Timing};
use crate::{
    id::Incarnation,
    load::Load,
    node::{Freshness, NodeState, NodeView},
    time::Tick,
};

/// A node on record.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) record: Record,
    pub(super) life: Option<Life>,
    /// What was last published; [`Member::state_at`] is the truth.
    pub(super) state: NodeState,
    pub(super) since: Tick,
}

/// What was heard of one life of a node.
#[derive(Debug)]
pub(super) struct Life {
    incarnation: Incarnation,
    session: SessionId,
    beat: u64,
    load: Load,
    draining: bool,
    heard: Tick,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The stream stands.
    None,
    /// The stream broke then; the node may redial.
    Broken(Tick),
    /// The node said goodbye.
    Goodbye,
}

impl Member {
    pub(super) const fn on_record(record: Record, now: Tick) -> Self {
        Self { record, life: None, state: NodeState::Down, since: now }
    }

    /// Whether this registration may speak for the node.
    pub(super) fn admits(&self, registration: &Registration) -> Result<(), Refusal> {
        if self.record.secret != registration.secret {
            return Err(Refusal::Taken);
        }
        match &self.life {
            Some(life) if life.incarnation > registration.incarnation => Err(Refusal::Superseded),
            _ => Ok(()),
        }
    }

    /// The stream that speaks for the node now.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.life.as_ref().filter(|life| life.is_connected()).map(|life| life.session)
    }

    pub(super) fn wants_to_drain(&self) -> bool {
        self.record.intent.drain || self.life.as_ref().is_some_and(|life| life.draining)
    }

    pub(super) fn state_at(&self, timing: &Timing, now: Tick) -> NodeState {
        let Some(life) = &self.life else { return NodeState::Down };
        if now >= life.dead_at(timing) {
            NodeState::Down
        } else if self.wants_to_drain() {
            NodeState::Draining
        } else if now >= life.heard + timing.suspect_after {
            NodeState::Suspect
        } else {
            NodeState::Up
        }
    }

    /// When time alone changes the state next.
    pub(super) fn deadline(&self, timing: &Timing, now: Tick) -> Option<Tick> {
        let life = self.life.as_ref()?;
        let dead_at = life.dead_at(timing);
        let suspect_at = life.heard + timing.suspect_after;
        if now < suspect_at.min(dead_at) {
            Some(suspect_at.min(dead_at))
        } else if now < dead_at {
            Some(dead_at)
        } else {
            None
        }
    }

    pub(super) fn view(&self, now: Tick) -> NodeView {
        let life = self.life.as_ref();
        NodeView {
            facts: self.record.facts.clone(),
            state: self.state,
            freshness: life
                .map(|life| Freshness { incarnation: life.incarnation, beat: life.beat })
                .unwrap_or_default(),
            load: life.map(|life| life.load).unwrap_or_default(),
            heard_ago: life.map_or(Duration::ZERO, |life| now.since(life.heard)),
            intent: self.record.intent,
        }
    }
}

impl Life {
    /// A registration counts as a sign of life. Beats are counted over all streams of one incarnation, so the
    /// counter is kept when the same life redials.
    pub(super) fn begin(before: Option<&Self>, registration: &Registration, session: SessionId, now: Tick) -> Self {
        let same = before.filter(|life| life.incarnation == registration.incarnation);
        Self {
            incarnation: registration.incarnation,
            session,
            beat: same.map_or(0, |life| life.beat),
            load: same.map(|life| life.load).unwrap_or_default(),
            draining: registration.draining,
            heard: now,
            ending: Ending::None,
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        matches!(self.ending, Ending::None)
    }

    /// Takes a beat; false if it is not newer than what is known.
    pub(super) fn renew(&mut self, now: Tick, sequence: u64, load: Load, draining: bool) -> bool {
        if sequence <= self.beat {
            return false;
        }
        self.beat = sequence;
        self.load = load;
        self.draining = draining;
        self.heard = now;
        true
    }

    pub(super) const fn end(&mut self, now: Tick, goodbye: bool) {
        self.ending = if goodbye { Ending::Goodbye } else { Ending::Broken(now) };
    }

    /// The moment from which the node counts as dead, unless it is heard before.
    pub(super) fn dead_at(&self, timing: &Timing) -> Tick {
        let silent = self.heard + timing.dead_after;
        match self.ending {
            Ending::None => silent,
            Ending::Broken(at) => silent.min(at + timing.redial_within),
            Ending::Goodbye => Tick::default(),
        }
    }
}
