//! When a node is probed, and what a probe says of its silence.

use std::time::Duration;

use super::{Probe, Timing, observer::Hears};
use crate::time::Tick;

/// In a long silence a node is probed when so large a share of it has passed again, and at least so often: a thousand nodes that are not heard for an
/// hour are seventeen probes a second.
const SHARE: u32 = 8;
const SELDOMEST: Duration = Duration::from_secs(60);

/// The probes of one life.
#[derive(Debug, Default)]
pub(super) struct Probing {
    under_way: bool,
    /// When the last one was begun.
    last: Option<Tick>,
    /// What came of the last one that came to its end in the present silence.
    found: Option<Found>,
}

/// What one probe came to.
#[derive(Debug, Clone, Copy)]
struct Found {
    probe: Probe,
    begun: Tick,
    over: Tick,
}

impl Probing {
    /// It was heard: what was seen in its silence is of no use any more.
    pub(super) const fn forget(&mut self) {
        self.found = None;
    }

    /// The same life is to be looked at anew. A probe that is under way is not begun a second time: what it finds, it finds now.
    pub(super) fn restart(&mut self) {
        *self = Self { under_way: self.under_way, last: self.last.filter(|_| self.under_way), found: None };
    }

    /// Whether the silence is the node's, by its last probe. That nothing was reached says so only if the observer heard others from when that was begun
    /// until after it was over, and after the node should have been heard at `expected`: in a cut all fall silent, each after its last beat.
    pub(super) fn is_refuted(&self, hears: Option<Hears>, expected: Tick) -> bool {
        self.found.is_some_and(|found| match found.probe {
            Probe::Unwell | Probe::Declined => true,
            Probe::Unreached => {
                hears.is_some_and(|hears| hears.since <= found.begun && hears.last >= found.over.max(expected))
            }
            Probe::Well => false,
        })
    }

    /// Whether nothing was reached, and others are heard: whoever is heard next may prove that the silence is the node's.
    pub(super) fn is_nearly_refuted(&self, timing: &Timing, now: Tick, hears: Option<Hears>) -> bool {
        let unreached = self.found.is_some_and(|found| found.probe == Probe::Unreached);
        unreached && hears.is_some_and(|hears| now <= hears.last + timing.beats_within())
    }

    /// Whether it is time to begin one. In a `silence` of the node's that has just begun, it is so at once.
    pub(super) fn begin(
        &mut self,
        timing: &Timing,
        now: Tick,
        silence: Duration,
        silent: bool,
        hears: Option<Hears>,
    ) -> bool {
        let due = self.last.is_none_or(|last| {
            // Whoever could hear nobody then, and can now, looks again.
            let news = hears.is_some_and(|hears| last < hears.since);
            let wait = if news { timing.probe_every } else { (silence / SHARE).clamp(timing.probe_every, SELDOMEST) };
            now >= last + wait
        });
        let fresh = silent && self.found.is_none();
        if self.under_way || !(due || fresh) {
            return false;
        }
        (self.under_way, self.last) = (true, Some(now));
        true
    }

    /// One came to its end.
    pub(super) fn ended(&mut self, probe: Probe, now: Tick) {
        let begun = self.last.unwrap_or(now);
        (self.under_way, self.found) = (false, Some(Found { probe, begun, over: now }));
    }
}
