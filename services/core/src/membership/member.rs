//! One node: its record, and its present life if it was heard.

use std::{sync::Arc, time::Duration};

use super::{
    End, Probe, Record, Refusal, Registration, SessionId, Timing,
    returning::{Deaths, Returning},
    strain::Strain,
};
use crate::{
    id::Incarnation,
    load::Load,
    node::{Duty, Freshness, NodeFacts, NodeState, NodeView},
    pace::Pace,
    time::Tick,
};

/// Registrations of one node that are taken at once, and the time between further ones. A node whose network is bad redials with a backoff, and
/// nobody restarts a process more often.
const REGISTRATIONS: u32 = 16;
const REGISTER_EVERY: Duration = Duration::from_secs(1);

/// A node on record.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) record: Record,
    pub(super) life: Option<Life>,
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

/// What the observer is like: whether it may believe in what it does not hear.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observer {
    /// So many nodes fell silent that it may be cut off.
    pub(super) in_doubt: bool,
    /// Until when a broken stream says no more than silence: the observer was away, or has just begun.
    pub(super) forgiving_until: Tick,
}

#[derive(Debug, Default)]
struct Probing {
    under_way: bool,
    last: Option<Tick>,
    /// Whether the last probe in the present silence said that the silence is the node's.
    refuted: Option<bool>,
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
    /// It was found dead, and nothing came of it since: no forgiveness of later stalls brings it back.
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The stream stands.
    None,
    /// The stream ended after a silence. It was pings that ended it, for all that is known here: that is no more than the silence says.
    Unheard,
    /// The stream broke then; the node may redial.
    Broken(Tick),
    /// The node said goodbye.
    Goodbye,
}

impl Member {
    pub(super) fn on_record(record: Record, now: Tick) -> Self {
        Self {
            record,
            life: None,
            state: NodeState::Down,
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
        match &self.life {
            Some(life) if life.incarnation > registration.incarnation => {
                // Nobody watches what is in maintenance: there, silence has to speak for itself.
                let unwatched = self.state == NodeState::Maintenance && now >= life.heard + timing.dead_after;
                Err(match self.state == NodeState::Down || unwatched {
                    true => Refusal::Outlived { newest: life.incarnation },
                    false => Refusal::Superseded,
                })
            }
            _ if !self.pace.allows(now) => Err(Refusal::TooOften),
            _ => Ok(()),
        }
    }

    /// Whether somebody else speaks for the node at this moment: one of the two lives should be over.
    pub(super) fn is_contested(&self, timing: &Timing, registration: &Registration, now: Tick) -> bool {
        self.life.as_ref().is_some_and(|life| {
            let alive = life.is_connected() && now < life.suspect_at(timing);
            alive && life.incarnation != registration.incarnation && life.beat > 0
        })
    }

    /// The session whose words count, while its stream stands.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.life.as_ref().filter(|life| life.is_connected()).map(|life| life.session)
    }

    pub(super) fn wants_to_drain(&self) -> bool {
        self.record.intent.drains() || self.life.as_ref().is_some_and(|life| life.draining)
    }

    /// Another life begins, or the same one on another stream.
    pub(super) fn attend(&mut self, timing: &Timing, registration: &Registration, session: SessionId, now: Tick) {
        let had_its_time = self.life.is_some() || now >= self.since + timing.dead_after;
        if self.state == NodeState::Down && had_its_time {
            self.come_back(now);
        }
        if self.life.as_ref().is_none_or(|life| life.incarnation != registration.incarnation) {
            self.strain = Strain::default();
            // What another life proved, and what comes of a probe of it, is nothing to this one.
            self.probing = Probing::default();
            if self.returning.is_some() {
                self.come_back(now);
            }
        }
        self.life = Some(Life::begin(self.life.as_ref(), registration, session, now));
        self.probing.refuted = None;
    }

    /// Takes a beat; false if it is not newer than what is known.
    pub(super) fn beat(&mut self, now: Tick, sequence: u64, load: Load, draining: bool) -> bool {
        let Some(life) = &mut self.life else { return false };
        if !life.renew(now, sequence, load, draining) {
            return false;
        }
        self.strain.beat(&load, &self.record.facts);
        self.probing.refuted = None;
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
        self.probing = Probing::default();
    }

    /// A stream of it ended.
    pub(super) fn end(&mut self, timing: &Timing, now: Tick, end: End) {
        if let Some(life) = &mut self.life {
            life.ending = match end {
                End::Goodbye => Ending::Goodbye,
                End::Broken if now < life.suspect_at(timing) => Ending::Broken(now),
                End::Broken => Ending::Unheard,
            };
        }
    }

    /// It was found dead; that is remembered, unless it was meant.
    pub(super) fn died(&mut self, now: Tick) {
        self.returning = None;
        let Some(life) = &mut self.life else { return };
        life.over = true;
        if life.ending != Ending::Goodbye {
            self.deaths.count(now);
        }
    }

    /// What a probe of this life came to, and when the observer last heard anybody. It is cut off itself, perhaps, unless that was after this node
    /// should have been heard again: in a cut all fall silent, each after its last beat.
    pub(super) fn probed(&mut self, timing: &Timing, incarnation: Incarnation, probe: Probe, heard: Option<Tick>) {
        let Some(life) = self.life.as_ref().filter(|life| life.incarnation == incarnation) else { return };
        let hears = heard.is_some_and(|at| at >= life.heard + timing.beats_within());
        self.probing.under_way = false;
        self.probing.refuted = Some(match probe {
            Probe::Well => false,
            Probe::Unwell | Probe::Declined => true,
            Probe::Unreached => hears,
        });
        if let Some(returning) = self.returning.as_mut().filter(|returning| returning.wants_a_probe()) {
            returning.probed(probe);
        }
    }

    /// The life to probe, if it is time for that; it is taken to be under way from then on.
    pub(super) fn take_probe(&mut self, timing: &Timing, now: Tick) -> Option<Incarnation> {
        let life = self.life.as_ref().filter(|life| life.is_judged_by_silence())?;
        let returns = self.returning.is_some_and(|returning| returning.wants_a_probe());
        let silent = self.counted == Some(Hearing::Silent) && self.state != NodeState::Down;
        let due = self.probing.last.is_none_or(|last| now >= last + timing.probe_every);
        // A silence that has just begun is looked into at once.
        let fresh = silent && self.probing.refuted.is_none();
        if self.probing.under_way || !(silent || returns) || !(due || fresh) {
            return None;
        }
        self.probing.under_way = true;
        self.probing.last = Some(now);
        Some(life.incarnation)
    }

    pub(super) fn state_at(&self, timing: &Timing, now: Tick, observer: Observer) -> NodeState {
        if self.record.intent.duty == Duty::Maintenance {
            return NodeState::Maintenance;
        }
        let Some(life) = &self.life else { return NodeState::Down };
        if now >= life.dead_at(timing, observer.forgiving_until) && !self.is_spared(observer) {
            NodeState::Down
        } else if self.wants_to_drain() {
            NodeState::Draining
        } else if self.returning.is_some_and(|returning| !returning.is_over(timing, now)) {
            NodeState::Probation
        } else if now >= life.suspect_at(timing) {
            NodeState::Suspect
        } else if self.strain.is_strained() {
            NodeState::Degraded
        } else {
            NodeState::Up
        }
    }

    /// Whether its silence is held to be the observer's own: many fell silent, and no probe says that it is the node's.
    fn is_spared(&self, observer: Observer) -> bool {
        let silent = self.life.as_ref().is_some_and(Life::is_judged_by_silence);
        // Whoever was down before stays so.
        silent && observer.in_doubt && self.probing.refuted != Some(true) && self.state != NodeState::Down
    }

    /// How it counts in the question whether the observer is cut off. Whoever is known to be dead does not.
    pub(super) fn hearing(&self, timing: &Timing, now: Tick) -> Option<Hearing> {
        let life = self.life.as_ref().filter(|life| life.is_judged_by_silence())?;
        if self.record.intent.duty == Duty::Maintenance {
            return None;
        }
        match now < life.suspect_at(timing) {
            true => Some(Hearing::InTime),
            false => (self.state != NodeState::Down).then_some(Hearing::Silent),
        }
    }

    /// When time alone changes the state next, or something is to be looked at again.
    pub(super) fn deadline(&self, timing: &Timing, now: Tick, observer: Observer) -> Option<Tick> {
        let life = self.life.as_ref()?;
        let (dead_at, suspect_at) = (life.dead_at(timing, observer.forgiving_until), life.suspect_at(timing));
        if now < suspect_at.min(dead_at) {
            Some(suspect_at.min(dead_at))
        } else if now < dead_at {
            Some(dead_at)
        } else if matches!(self.state, NodeState::Down | NodeState::Maintenance) {
            None
        } else {
            Some(now + timing.look_within)
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

impl Life {
    /// A registration counts as a sign of life. Beats are counted over all streams of one incarnation, so the
    /// counter is kept when the same life redials.
    fn begin(before: Option<&Self>, registration: &Registration, session: SessionId, now: Tick) -> Self {
        let same = before.filter(|life| life.incarnation == registration.incarnation);
        Self {
            incarnation: registration.incarnation,
            session,
            beat: same.map_or(0, |life| life.beat),
            load: same.map(|life| life.load).unwrap_or_default(),
            draining: registration.draining,
            heard: now,
            ending: Ending::None,
            over: false,
        }
    }

    /// Whether nothing but its silence speaks against it: no end of its stream does.
    const fn is_judged_by_silence(&self) -> bool {
        matches!(self.ending, Ending::None | Ending::Unheard)
    }

    pub(super) const fn is_connected(&self) -> bool {
        matches!(self.ending, Ending::None)
    }

    fn renew(&mut self, now: Tick, sequence: u64, load: Load, draining: bool) -> bool {
        if sequence <= self.beat {
            return false;
        }
        self.beat = sequence;
        self.load = load;
        self.draining = draining;
        self.heard = now;
        self.over = false;
        true
    }

    fn suspect_at(&self, timing: &Timing) -> Tick {
        self.heard + timing.suspect_after
    }

    /// The moment from which the node counts as dead, unless it is heard before.
    pub(super) fn dead_at(&self, timing: &Timing, forgiving_until: Tick) -> Tick {
        let silent = self.heard + timing.dead_after;
        match self.ending {
            _ if self.over => Tick::default(),
            Ending::None | Ending::Unheard => silent,
            Ending::Broken(at) => silent.min((at + timing.redial_within).max(forgiving_until)),
            Ending::Goodbye => Tick::default(),
        }
    }
}
