//! The way back of a node that was down: three beats and a good probe, and for one that flaps a time besides.
//!
//! The damping follows RFC 2439 in small: each death counts, a count is halved with every minute that passes, and the time to wait doubles
//! with it, up to ten seconds.

use std::time::Duration;

use super::Timing;
use crate::time::Tick;

/// Beats that a node must be heard for.
const BEATS: u32 = 3;

/// How long it takes for half of a node's deaths to be forgotten.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// The longest that flapping keeps a node out.
pub const LONGEST_DAMPING: Duration = Duration::from_secs(10);

/// What came of a probe: a request for the node's built-in object, over the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It was answered as it should be.
    Well,
    /// The machine was reached, and the node did not answer as it should: no, not in time, or not at all.
    Unwell,
    /// The node answered, by its name, that it is not to be sent anybody: it stops, or cannot read its files.
    Declined,
    /// Nothing was reached: the node's machine is gone, or whoever asked is cut off from it.
    Unreached,
}

/// What a node that was down has done since it came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Returning {
    began: Tick,
    /// For how long it is kept out in any case.
    damping: Duration,
    beats: u32,
    probed: Option<Probe>,
}

/// How often a node died of late.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deaths {
    count: u32,
    last: Tick,
}

impl Returning {
    pub(super) const fn new(now: Tick, damping: Duration) -> Self {
        Self { began: now, damping, beats: 0, probed: None }
    }

    pub(super) const fn beats(&mut self) {
        self.beats = self.beats.saturating_add(1);
    }

    pub(super) const fn probed(&mut self, probe: Probe) {
        self.probed = Some(probe);
    }

    /// Whether it was heard for long enough to be looked at.
    pub(super) const fn wants_a_probe(&self) -> bool {
        self.beats >= BEATS && !matches!(self.probed, Some(Probe::Well))
    }

    /// Whether it is back.
    pub(super) fn is_over(&self, timing: &Timing, now: Tick) -> bool {
        let waited = now.since(self.began);
        // The observer may be where no client is: that must not keep a node out for ever.
        let reached = match self.probed {
            Some(Probe::Well) => true,
            Some(Probe::Unreached) => waited >= timing.unreachable_for,
            Some(Probe::Unwell | Probe::Declined) | None => false,
        };
        self.beats >= BEATS && reached && waited >= self.damping
    }
}

impl Deaths {
    pub(super) fn count(&mut self, now: Tick) {
        self.count = self.remembered(now).saturating_add(1);
        self.last = now;
    }

    /// How long a node with such a past is kept out: nothing for a first death, then 2, 4, 8 and at most 10 seconds.
    pub(super) fn damping(&self, now: Tick) -> Duration {
        match self.remembered(now) {
            0 | 1 => Duration::ZERO,
            count => Duration::from_secs(1 << (count - 1).min(6)).min(LONGEST_DAMPING),
        }
    }

    fn remembered(&self, now: Tick) -> u32 {
        let halves = now.since(self.last).as_secs() / HALF_LIFE.as_secs();
        self.count.checked_shr(u32::try_from(halves).unwrap_or(u32::MAX)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn each_death_doubles_the_damping_up_to_its_limit_and_time_takes_it_away() {
        let mut deaths = Deaths::default();
        let mut seen = Vec::new();
        for second in 0..7 {
            deaths.count(at(1000 + second));
            seen.push(deaths.damping(at(1000 + second)).as_secs());
        }
        assert_eq!(seen, [0, 2, 4, 8, 10, 10, 10]);
        assert_eq!(deaths.damping(at(1006 + 60)).as_secs(), 4, "seven are three after a minute");
        assert_eq!(deaths.damping(at(1006 + 3600)).as_secs(), 0);
    }

    #[test]
    fn a_probe_that_does_not_get_through_holds_a_node_up_and_not_for_ever() {
        let timing = Timing::default();
        let mut returning = Returning::new(at(0), Duration::ZERO);
        (0..3).for_each(|_| returning.beats());
        assert!(returning.wants_a_probe() && !returning.is_over(&timing, at(3)), "it was not looked at");
        returning.probed(Probe::Unreached);
        assert!(!returning.is_over(&timing, at(29)) && returning.is_over(&timing, at(30)));
        returning.probed(Probe::Unwell);
        assert!(!returning.is_over(&timing, at(3000)), "what cannot serve stays out");
        returning.probed(Probe::Well);
        assert!(returning.is_over(&timing, at(4)) && !returning.wants_a_probe());
    }
}
