//! What must be true at every moment, and the memory that it takes to judge.
//!
//! The oracle knows everything, and looks every 100 ms. How soon a gateway must know depends on what else goes wrong, and so every
//! disturbance has a time after which it is no excuse any more; a bound counts from the latest of them.
//!
//! - **P5**: 1 s after a crash, 5 s after a hang or a cut, if at least one *good* coordinator speaks to the gateway all the time: it
//!   runs, has learned, no cut concerns it, and the gateway neither. Others may be in any state: a word of theirs can hold a dead node up
//!   only by beats that they heard late, see [`Excuses`].
//! - **Drain**: 0.5 s after an operator's decision is stored, or a node says that it stops.
//! - **Merge**: what every live coordinator calls DOWN is not selectable 2 s later (it has 1.5 s to be believed alive).
//! - **Never empty**: while any node is steadily well, every gateway that ever had one has somebody to select, whatever the rest does. If the last that could be had
//!   by the coordinators' words fails this gateway's own probe, it looks at the others only from then on, and has 200 ms until one of them answers.
//! - **Convergence**: once everything is put right, every gateway agrees with the truth.
//! - **Invariants** of `core::membership` in every coordinator, now and then; and `select` chooses whenever it may, and only whom it may.

mod converged;
mod excuses;
mod moment;
mod truth;

use std::{fmt, time::Duration};

use ferry_core::{node::Duty, time::Tick};

pub(crate) use self::truth::Failing;
use self::{excuses::Excuses, truth::Truth};
use crate::{
    network::Cut,
    party::{Party, Sizes},
};

/// Something was as it must not be.
#[derive(Debug, Clone)]
pub struct Violation {
    /// When, since the beginning.
    pub at: Duration,
    /// Which promise, by whom, and how.
    pub what: String,
}

/// The longest that anything took where nothing excused it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slowest {
    /// From a crash to the last gateway that would still have chosen the node.
    pub crash: Duration,
    /// From a hang or a cut.
    pub silence: Duration,
    /// From an operator's decision, or a node's own.
    pub drain: Duration,
    /// From the last fault to full agreement.
    pub convergence: Duration,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    truth: Vec<Truth>,
    excuses: Excuses,
    gateways: Vec<Listening>,
    /// Since when every live coordinator calls the node DOWN.
    down_since: Vec<Option<Tick>>,
    /// When everything was put right, while that is so.
    mended: Option<Tick>,
    looks: u64,
    pub(crate) slowest: Slowest,
    /// How often each promise was put to the test.
    pub(crate) tested: u64,
}

/// What is known of a gateway.
#[derive(Debug, Clone, Copy, Default)]
struct Listening {
    /// Since when a good coordinator speaks to it without a break; and one that sees the store.
    good: Option<Tick>,
    informed: Option<Tick>,
    /// It had somebody to select, in this life or the ones before.
    had: bool,
    /// Since when it has nobody.
    empty: Option<Tick>,
}

impl Oracle {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self {
            truth: vec![Truth::default(); sizes.nodes],
            excuses: Excuses::new(sizes),
            gateways: vec![Listening::default(); sizes.gateways],
            down_since: vec![None; sizes.nodes],
            mended: None,
            looks: 0,
            slowest: Slowest::default(),
            tested: 0,
        }
    }

    /// Faults begin again.
    pub(crate) const fn trouble(&mut self) {
        self.mended = None;
    }

    pub(crate) const fn mended(&mut self, now: Tick) {
        self.mended = Some(now);
    }

    /// Something happened to a process, which acts from now on, or does not.
    pub(crate) fn struck(&mut self, now: Tick, party: Party, acts: bool) {
        self.excuses.struck(now, party, acts);
        if let Party::Node(index) = party {
            if self.truth[index].failing.is_some() {
                // Failing in one way, and now in another.
                self.excuses.changed(now, party);
            }
            self.truth[index].strike(now);
        }
    }

    pub(crate) fn cut(&mut self, now: Tick, cut: &Cut) {
        cut.victims.iter().for_each(|party| self.struck(now, *party, true));
        self.excuses.cut(now, cut);
    }

    pub(crate) fn healed(&mut self, now: Tick, cut: &Cut) {
        cut.victims.iter().for_each(|party| self.struck(now, *party, true));
        self.excuses.healed(now, cut);
    }

    /// How a node is doing from now on.
    pub(crate) fn note(&mut self, now: Tick, node: usize, failing: Option<Failing>) {
        self.truth[node].note(now, failing);
    }

    pub(crate) fn decided(&mut self, now: Tick, node: usize, duty: Duty) {
        self.truth[node].decided(now, duty);
    }

    pub(crate) fn stopping(&mut self, now: Tick, node: usize) {
        self.truth[node].stopping = Some(now);
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:.3} s: {}", self.at.as_secs_f64(), self.what)
    }
}
