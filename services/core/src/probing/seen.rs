//! What a gateway has seen of one node, and what it takes it for.

use std::time::Duration;

use super::Mode;
use crate::{
    id::Incarnation,
    membership::Probe,
    node::{NodeState, NodeView},
    time::Tick,
};

/// Failures in a row that make a node DOWN when no coordinator speaks, and good answers in a row that bring one back.
const IN_A_ROW: u32 = 2;

/// For how long whoever answered well may be sent clients without another look, where nobody else can be had.
const ANSWERED_FOR: Duration = Duration::from_secs(5);

/// Why a node is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A coordinator doubts.
    Doubt,
    /// No coordinator is live.
    Alone,
    /// Nobody can be had.
    Forlorn,
}

#[derive(Debug)]
pub(super) struct Seen {
    /// What is said of it.
    word: NodeState,
    in_doubt: bool,
    /// An operator took it out.
    decided: bool,
    pub(super) incarnation: Incarnation,
    pub(super) due: Option<Tick>,
    pub(super) under_way: bool,
    /// When the last probe was begun.
    pub(super) begun: Tick,
    pub(super) looked_at_for: Option<Reason>,
    last: Option<Probe>,
    /// When this life last answered, if it did so well, whatever it was looked at for.
    answered: Option<Tick>,
    /// Probes in a row that came out as the last one did: well, or not.
    in_a_row: u32,
    /// When the first of those was begun, and when it came out.
    pub(super) first_begun: Tick,
    pub(super) first_over: Tick,
    /// What it is taken for against what is said.
    pub(super) verdict: Option<NodeState>,
}

impl Seen {
    pub(super) fn of(view: &NodeView) -> Self {
        let mut seen = Self {
            word: view.state,
            in_doubt: false,
            decided: false,
            incarnation: view.freshness.incarnation,
            due: None,
            under_way: false,
            begun: Tick::default(),
            looked_at_for: None,
            last: None,
            answered: None,
            in_a_row: 0,
            first_begun: Tick::default(),
            first_over: Tick::default(),
            verdict: None,
        };
        seen.hear(view);
        seen
    }

    pub(super) fn hear(&mut self, view: &NodeView) {
        let (before, said) = (self.incarnation, view.freshness.incarnation);
        // A coordinator that never heard the node knows of no life of it: that is not another one.
        if said != Incarnation::UNHEARD && said != before {
            self.incarnation = said;
            if before != Incarnation::UNHEARD {
                self.answered = None;
                self.overlook();
            }
        }
        self.word = view.state;
        self.in_doubt = view.in_doubt;
        self.decided = view.intent.drains() || view.state == NodeState::Maintenance;
        if self.decided {
            self.overlook();
        }
    }

    /// Why it is to be looked at.
    pub(super) const fn reason(&self, mode: Mode) -> Option<Reason> {
        match self.word.selectable() {
            // O1.
            _ if self.decided => None,
            _ if mode.alone => Some(Reason::Alone),
            true if self.in_doubt => Some(Reason::Doubt),
            false if mode.forlorn => Some(Reason::Forlorn),
            true | false => None,
        }
    }

    /// From here on it is looked at for that reason: without one, what was seen says nothing against the words any more.
    pub(super) fn turn_to(&mut self, reason: Option<Reason>, now: Tick) {
        match reason {
            None => self.overlook(),
            // Whoever has just answered need not wait until it does so again.
            Some(Reason::Doubt) if self.last == Some(Probe::Well) => self.trust(),
            // A coordinator that goes on first says what it said before, and then what it knows: between the two nobody was looked at.
            Some(Reason::Forlorn) if self.answered.is_some_and(|at| now < at + ANSWERED_FOR) => {
                self.verdict = Some(NodeState::Suspect);
            }
            Some(_) => {}
        }
        self.looked_at_for = reason;
    }

    /// Whether it can be had by what is said, as far as anybody knows.
    pub(super) fn is_hopeful(&self) -> bool {
        self.word.selectable() && !self.decided && self.verdict.is_none_or(NodeState::selectable)
    }

    pub(super) fn taken(&self) -> NodeState {
        self.verdict.unwrap_or(self.word)
    }

    /// Whether the last answer stands alone against what the node is taken for: another look decides.
    pub(super) fn is_open(&self) -> bool {
        let well = self.last == Some(Probe::Well);
        let fits = if well { self.taken().is_well() } else { !self.taken().selectable() };
        self.in_a_row == 1 && !fits
    }

    /// Counts what came of a probe.
    pub(super) fn count(&mut self, probe: Probe, now: Tick) {
        let same = self.last.is_some_and(|last| (last == Probe::Well) == (probe == Probe::Well));
        self.last = Some(probe);
        self.answered = Some(now).filter(|_| probe == Probe::Well);
        if same {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            (self.in_a_row, self.first_begun, self.first_over) = (1, self.begun, now);
        }
    }

    /// Makes something of what was counted. `reached` tells whether anybody was reached since this node was not.
    pub(super) fn rule(&mut self, reason: Reason, mode: Mode, reached: bool) {
        let often = self.in_a_row >= IN_A_ROW;
        match self.last {
            Some(Probe::Declined) if self.taken().selectable() => self.take_out(NodeState::Draining),
            Some(Probe::Unwell) if often || reason == Reason::Doubt => self.take_out(NodeState::Down),
            Some(Probe::Unreached) if reached && (often || reason == Reason::Doubt) => self.take_out(NodeState::Down),
            Some(Probe::Well) => self.vouch(reason, mode, often),
            Some(Probe::Declined | Probe::Unwell | Probe::Unreached) | None => {}
        }
    }

    /// Of one that is out by the words, too, they say best what it is.
    fn take_out(&mut self, state: NodeState) {
        self.verdict = self.word.selectable().then_some(state);
    }

    fn vouch(&mut self, reason: Reason, mode: Mode, often: bool) {
        match reason {
            Reason::Doubt => self.trust(),
            Reason::Alone if often => self.trust(),
            // O3.
            Reason::Alone if mode.forlorn && !self.taken().selectable() => self.verdict = Some(NodeState::Suspect),
            Reason::Alone => {}
            Reason::Forlorn => self.verdict = Some(NodeState::Suspect),
        }
    }

    /// It is well, whatever is said: that needs no verdict where the words say so, too.
    fn trust(&mut self) {
        self.verdict = Some(NodeState::Up).filter(|_| !self.word.is_well());
    }

    fn overlook(&mut self) {
        (self.last, self.in_a_row, self.verdict) = (None, 0, None);
    }
}
