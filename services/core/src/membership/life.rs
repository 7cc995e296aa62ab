//! What was heard of a node's present life, and what its silence is worth.

use std::time::Duration;

use super::{End, Registration, SessionId, Timing};
use crate::{id::Incarnation, load::Load, node::Freshness, time::Tick};

/// What was heard of one life of a node.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) incarnation: Incarnation,
    pub(super) session: SessionId,
    beat: u64,
    load: Load,
    pub(super) draining: bool,
    /// When it was last heard; of one that never was, since when it should be.
    pub(super) heard: Tick,
    pub(super) ending: Ending,
    /// It was found dead, and nothing came of it since: no forgiveness of later stalls brings it back.
    over: bool,
}

/// How the last stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The stream stands.
    None,
    /// No stream came since this observer knows of the node.
    Awaited,
    /// The stream ended then after a silence, on either side. It was the silence that ended it, for all that is known here: that is no more than the
    /// silence says.
    Unheard(Tick),
    /// The stream broke then; the node may redial.
    Broken(Tick),
    /// The node said goodbye.
    Goodbye,
}

impl Life {
    /// A node on record may live, until its silence says otherwise.
    pub(super) fn awaited(now: Tick) -> Self {
        Self {
            incarnation: Incarnation::default(),
            session: SessionId(0),
            beat: 0,
            load: Load::default(),
            draining: false,
            heard: now,
            ending: Ending::Awaited,
            over: false,
        }
    }

    /// A registration counts as a sign of life. Beats are counted over all streams of one incarnation, so the
    /// counter is kept when the same life redials.
    pub(super) fn begin(before: &Self, registration: &Registration, session: SessionId, now: Tick) -> Self {
        let same = Some(before).filter(|life| life.incarnation == registration.incarnation);
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

    /// Takes a beat; false if it is not newer than what is known.
    pub(super) fn renew(&mut self, now: Tick, sequence: u64, load: Load, draining: bool) -> bool {
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

    /// Its stream ended.
    pub(super) fn end(&mut self, timing: &Timing, now: Tick, end: End) {
        self.ending = match end {
            End::Goodbye => Ending::Goodbye,
            End::Broken if now < self.suspect_at(timing) => Ending::Broken(now),
            End::Broken | End::Unheard => Ending::Unheard(now),
        };
    }

    /// It was found dead.
    pub(super) const fn close(&mut self) {
        self.over = true;
    }

    /// Whether a stream of it ever came.
    pub(super) const fn was_heard(&self) -> bool {
        !matches!(self.ending, Ending::Awaited)
    }

    pub(super) const fn is_connected(&self) -> bool {
        matches!(self.ending, Ending::None)
    }

    /// Whether nothing but its silence speaks against it: no end of its stream does.
    pub(super) const fn is_judged_by_silence(&self) -> bool {
        matches!(self.ending, Ending::None | Ending::Awaited | Ending::Unheard(_))
    }

    /// Whether it beats on a stream that stands.
    pub(super) fn is_beating(&self, timing: &Timing, now: Tick) -> bool {
        self.is_connected() && self.beat > 0 && now < self.suspect_at(timing)
    }

    pub(super) fn suspect_at(&self, timing: &Timing) -> Tick {
        let silent = self.heard + timing.suspect_after;
        match self.ending {
            Ending::Unheard(at) => silent.min(at),
            _ => silent,
        }
    }

    /// The moment from which the node counts as dead, unless it is heard before. Until `forgiving_until`, a broken stream says no more than silence.
    pub(super) fn dead_at(&self, timing: &Timing, forgiving_until: Tick) -> Tick {
        let silent = self.heard + timing.dead_after;
        match self.ending {
            _ if self.over => Tick::default(),
            Ending::None | Ending::Awaited => silent,
            // Clients may not reach it either: it has the time of a probe, and not that of a silence besides.
            Ending::Unheard(at) => silent.min(at + timing.beats_within()),
            Ending::Broken(at) => silent.min((at + timing.redial_within).max(forgiving_until)),
            Ending::Goodbye => Tick::default(),
        }
    }

    pub(super) const fn freshness(&self) -> Freshness {
        Freshness { incarnation: self.incarnation, beat: self.beat }
    }

    pub(super) const fn load(&self) -> Load {
        self.load
    }

    /// How long ago it was heard; nothing of one that never was.
    pub(super) fn heard_ago(&self, now: Tick) -> Duration {
        if self.was_heard() { now.since(self.heard) } else { Duration::ZERO }
    }
}
