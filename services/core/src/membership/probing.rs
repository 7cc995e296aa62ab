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
    /// What came of the last one in the present silence.
    found: Option<Probe>,
}

impl Probing {
    /// It was heard: what was seen in its silence is of no use any more.
    pub(super) const fn forget(&mut self) {
        self.found = None;
    }

    /// Whether the silence is the node's, by its last probe. That nothing was reached says so only if the observer heard others all the time since that was
    /// begun, and after the node should have been heard at `expected`: in a cut all fall silent, each after its last beat.
    pub(super) fn is_refuted(&self, hears: Option<Hears>, expected: Tick) -> bool {
        let heard = |hears: Hears| self.last.is_some_and(|begun| hears.since <= begun) && hears.last >= expected;
        match self.found {
            Some(Probe::Unwell | Probe::Declined) => true,
            Some(Probe::Unreached) => hears.is_some_and(heard),
            Some(Probe::Well) | None => false,
        }
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
    pub(super) const fn ended(&mut self, probe: Probe) {
        (self.under_way, self.found) = (false, Some(probe));
    }
}
