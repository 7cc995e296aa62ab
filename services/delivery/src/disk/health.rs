//! Whether a root does its work, judged by how its calls go. Pure: the time comes in as an argument.
//!
//! Invariant H1: a root is well once no call to it has been under way for [`HANGS_AFTER`] and its last failure lies [`WITHIN`] back, whatever
//! went before.

use std::{fmt, time::Duration};

use slab::Slab;
use tokio::time::Instant;

/// A call that takes this long hangs: the slowest healthy disk answers sooner, and a client waits longer.
pub const HANGS_AFTER: Duration = Duration::from_secs(5);

/// One file that cannot be read is no sick disk; this many failures are.
const FAILURES: usize = 3;

/// How near to each other those failures lie, and how long they are held against the disk.
pub const WITHIN: Duration = Duration::from_secs(10);

/// How a root does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Well,
    /// It answers that it cannot.
    Failing {
        /// For how long.
        since: Duration,
    },
    /// It does not answer.
    Hanging {
        /// How many calls wait for it.
        calls: usize,
        /// How long the first of them has.
        since: Duration,
    },
}

/// How the calls of a root went lately.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// When each call began that is under way.
    under_way: Slab<Instant>,
    /// The last failures, the oldest first, each within [`WITHIN`] of the one before; at most [`FAILURES`].
    failures: Vec<Instant>,
    failing_since: Option<Instant>,
}

/// A call under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call(usize);

impl Record {
    pub(super) fn began(&mut self, now: Instant) -> Call {
        Call(self.under_way.insert(now))
    }

    pub(super) fn ended(&mut self, call: Call, now: Instant, failed: bool) {
        self.under_way.try_remove(call.0);
        if failed {
            self.failed(now);
        }
    }

    pub(super) fn failed(&mut self, now: Instant) {
        if !self.is_recent(now) {
            (self.failures, self.failing_since) = (Vec::new(), None);
        }
        if self.failures.len() == FAILURES {
            self.failures.remove(0);
        }
        self.failures.push(now);
        if self.failures.len() == FAILURES && now.saturating_duration_since(self.failures[0]) < WITHIN {
            self.failing_since.get_or_insert(self.failures[0]);
        }
    }

    /// Whether the last failure still counts.
    fn is_recent(&self, now: Instant) -> bool {
        self.failures.last().is_some_and(|last| now.saturating_duration_since(*last) < WITHIN)
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn judge(&self, now: Instant) -> Health {
        let ages = self.under_way.iter().map(|(_, began)| now.saturating_duration_since(*began));
        let (calls, since) = ages
            .filter(|age| *age >= HANGS_AFTER)
            .fold((0, Duration::ZERO), |(calls, longest), age| (calls + 1, longest.max(age)));
        match self.failing_since {
            _ if calls > 0 => Health::Hanging { calls, since },
            Some(since) if self.is_recent(now) => Health::Failing { since: now.saturating_duration_since(since) },
            _ => Health::Well,
        }
    }
}

impl Health {
    /// Whether there is nothing to say.
    #[must_use]
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Well)
    }

    /// One word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Failing { .. } => "failing",
            Self::Hanging { .. } => "hanging",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("well"),
            Self::Failing { since } => write!(f, "failing for {} s", since.as_secs()),
            Self::Hanging { calls, since } => write!(f, "{calls} calls hanging, the first for {} s", since.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record, and what happened to it: at which second, and how it went.
    fn after(failures: &[u64]) -> (Record, Instant) {
        let (mut record, start) = (Record::default(), Instant::now());
        for second in failures {
            let at = start + Duration::from_secs(*second);
            let call = record.began(at);
            record.ended(call, at, true);
        }
        (record, start)
    }

    #[test]
    fn a_few_failures_in_a_row_make_a_failing_disk() {
        for (failures, at, expected) in [
            (&[][..], 0, Health::Well),
            (&[0, 1], 2, Health::Well),
            (&[0, 1, 2], 4, Health::Failing { since: Duration::from_secs(4) }),
            (&[0, 1, 2], 12, Health::Well),
            (&[0, 6, 12], 12, Health::Well),
            (&[0, 6, 12, 13], 14, Health::Failing { since: Duration::from_secs(8) }),
            (&[0, 1, 2, 9, 18], 20, Health::Failing { since: Duration::from_secs(20) }),
            (&[0, 1, 2, 30], 31, Health::Well),
        ] {
            let (record, start) = after(failures);
            assert_eq!(record.judge(start + Duration::from_secs(at)), expected, "{failures:?} at {at}");
        }
    }

    #[test]
    fn a_call_that_does_not_end_makes_a_hanging_disk() {
        let (mut record, start) = (Record::default(), Instant::now());
        let (first, _second) = (record.began(start), record.began(start + Duration::from_secs(3)));
        assert_eq!(record.judge(start + HANGS_AFTER - Duration::from_millis(1)), Health::Well);
        let late = start + Duration::from_secs(9);
        assert_eq!(record.judge(late), Health::Hanging { calls: 2, since: Duration::from_secs(9) });
        record.ended(first, late, false);
        assert_eq!(record.judge(late), Health::Hanging { calls: 1, since: Duration::from_secs(6) });
        assert_eq!(record.under_way(), 1);
    }

    proptest! {
        /// H1, after any calls.
        #[test]
        fn every_disk_recovers(calls in proptest::collection::vec((0..5_000_u64, 0..20_000_u64, any::<bool>()), 0..40)) {
            let (mut record, mut now) = (Record::default(), Instant::now());
            for (pause, length, failed) in calls {
                now += Duration::from_millis(pause);
                let call = record.began(now);
                now += Duration::from_millis(length);
                record.ended(call, now, failed);
                let _ = record.judge(now);
            }
            prop_assert_eq!(record.judge(now + WITHIN), Health::Well);
        }
    }
}
