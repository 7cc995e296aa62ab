//! What the observer is like: how many it hears, whether it was away, and whether it may believe in what it does not hear.

use std::time::Duration;

use super::{Timing, member::Hearing};
use crate::time::Tick;

/// More silent ones than this share of those that should be heard, and the observer doubts itself.
const DOUBTFUL: (usize, usize) = (3, 10);

/// What came so soon after an absence may have lain in a socket all the time: for that long, nothing that comes proves that its sender lives.
const SETTLES: Duration = Duration::from_millis(500);

/// The observer's own part of what it knows. All moments are its own time: what it was away for is not in it.
#[derive(Debug, Default)]
pub(super) struct Observer {
    /// How many are heard in time, and how many are silent.
    in_time: usize,
    silent: usize,
    /// When so many were silent that it doubted itself.
    doubted: Option<Tick>,
    /// When the caller last came by, and for how long it was away in all.
    looked: Option<Tick>,
    away: Duration,
    /// Until when a broken stream says no more than silence, since it was away.
    forgiving_until: Tick,
    /// Since when what it hears was said after its last long absence.
    trusting_since: Tick,
    hears: Option<Hears>,
}

/// Somebody was heard again and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hears {
    pub(super) since: Tick,
    pub(super) last: Tick,
}

/// What one look at a node has to know of the observer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubts {
    /// So many nodes are silent that it may be cut off.
    pub(super) of_silence: bool,
    /// Until when a broken stream says no more than silence.
    pub(super) forgiving_until: Tick,
    /// What was heard before says nothing about now.
    pub(super) trusting_since: Tick,
    pub(super) hears: Option<Hears>,
}

impl Observer {
    /// The moment by the clock of one who was there all the time.
    pub(super) fn own(&self, now: Tick) -> Tick {
        now - self.away
    }

    pub(super) const fn away(&self) -> Duration {
        self.away
    }

    #[cfg(test)]
    pub(super) const fn looked(&self) -> Option<Tick> {
        self.looked
    }

    pub(super) const fn forgiving_until(&self) -> Tick {
        self.forgiving_until
    }

    /// The caller comes by. What it missed beyond what it may is taken out of time. Returns whether it was away for so long that nobody else goes by
    /// what it said before.
    pub(super) fn look(&mut self, timing: &Timing, now: Tick) -> bool {
        let missed = self.looked.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        let stall = missed.saturating_sub(timing.look_within);
        if !stall.is_zero() {
            self.away += stall;
            self.forgiving_until = self.own(now) + timing.dead_after;
        }
        let long = missed > timing.believed_for;
        if long {
            self.trusting_since = self.own(now) + SETTLES;
        }
        long
    }

    /// Somebody was heard, or answered a probe.
    pub(super) fn hear(&mut self, timing: &Timing, now: Tick) {
        let since =
            self.hears.filter(|hears| now <= hears.last + timing.beats_within()).map_or(now, |hears| hears.since);
        self.hears = Some(Hears { since, last: now });
    }

    /// Keeps count of who is heard: one that was counted as the first is now the second.
    pub(super) const fn recount(&mut self, before: Option<Hearing>, after: Option<Hearing>) {
        match before {
            Some(Hearing::InTime) => self.in_time -= 1,
            Some(Hearing::Silent) => self.silent -= 1,
            None => {}
        }
        match after {
            Some(Hearing::InTime) => self.in_time += 1,
            Some(Hearing::Silent) => self.silent += 1,
            None => {}
        }
    }

    /// How many are heard in time, and how many are silent.
    pub(super) const fn counts(&self) -> (usize, usize) {
        (self.in_time, self.silent)
    }

    /// Remembers it if it doubts itself.
    pub(super) const fn reflect(&mut self, now: Tick) {
        if self.is_mostly_deaf() {
            self.doubted = Some(now);
        }
    }

    pub(super) fn doubts(&self, timing: &Timing, now: Tick) -> Doubts {
        // Or so a moment ago: when it hears again, not everybody has spoken yet.
        let lately = self.doubted.is_some_and(|at| now < at + timing.beats_within());
        Doubts {
            of_silence: self.is_mostly_deaf() || lately,
            forgiving_until: self.forgiving_until,
            trusting_since: self.trusting_since,
            hears: self.hears,
        }
    }

    /// Whether so many are silent that it may be this observer that does not hear.
    const fn is_mostly_deaf(&self) -> bool {
        let (few, of) = DOUBTFUL;
        self.silent * of > few * (self.silent + self.in_time)
    }
}
