//! How a node really is.

use std::time::Duration;

use ferry_core::{node::Duty, time::Tick};

/// A node that nothing happened to for so long is steadily well: no probation is under way, and no damping.
const STEADY: Duration = Duration::from_secs(40);

/// In what way a node serves nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Its process ended: its streams did so too.
    Gone,
    /// It hangs, or is cut off from every coordinator.
    Silent,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// Since when it serves nobody, and how that began.
    pub(crate) failing: Option<(Tick, Failing)>,
    /// When anything last happened to it in particular.
    struck: Option<Tick>,
    /// What operators want of it, since when.
    pub(crate) duty: Duty,
    decided: Option<Tick>,
    /// When it was asked to stop, in this life.
    pub(crate) stopping: Option<Tick>,
}

impl Truth {
    pub(crate) const fn strike(&mut self, now: Tick) {
        self.struck = Some(now);
    }

    pub(crate) const fn decided(&mut self, now: Tick, duty: Duty) {
        (self.duty, self.decided) = (duty, Some(now));
    }

    pub(crate) fn note(&mut self, now: Tick, failing: Option<Failing>) {
        self.failing = match (self.failing, failing) {
            (Some(before), Some(_)) => Some(before),
            (None, Some(how)) => Some((now, how)),
            (_, None) => None,
        };
        if failing == Some(Failing::Gone) {
            self.stopping = None;
        }
    }

    /// Since when nobody should be sent there by anybody's wish, whether it lives or not.
    pub(crate) fn unwanted_since(&self) -> Option<Tick> {
        (self.duty != Duty::Serve).then_some(self.decided).flatten()
    }

    /// It serves, it is wanted, and nothing has happened to it for a good while.
    pub(crate) fn is_steady(&self, now: Tick) -> bool {
        self.serves() && self.struck.is_some_and(|at| now >= at + STEADY)
    }

    pub(crate) fn serves(&self) -> bool {
        self.failing.is_none() && self.duty == Duty::Serve && self.stopping.is_none()
    }
}
