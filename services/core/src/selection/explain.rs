//! Why this client would get this node: every step of a selection, for people.
//!
//! By the same [`Round`] as the selection itself. Never chooses, and never counts as a request.

mod reason;

pub use self::reason::Passed;
use super::{
    Choice, Request,
    corrections::Corrections,
    round::{Exclusion, Round, Tier},
    table::{Candidate, Place, Table},
};
use crate::{
    id::{NodeId, Region, Zone},
    node::{NodeState, Weight},
};

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The client is sent there.
    Primary(Choice),
    /// The n-th to go to after that, counted from 1.
    Alternate(usize),
    /// Could have been chosen, but others were better.
    Passed(Passed),
    /// Was not looked at: of a large tier only those are that draw well for the key.
    NotDrawn,
    /// Could not.
    Excluded(Exclusion),
}

/// One node's part in a selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Which node.
    pub node: NodeId,
    /// Its state.
    pub state: NodeState,
    /// What became of it.
    pub role: Role,
    /// Its region, if it has one.
    pub region: Option<Region>,
    /// Its failure domain within the region.
    pub zone: Option<Zone>,
    /// How near it is.
    pub tier: Tier,
    /// Its rendezvous score for this key.
    pub score: f64,
    /// Its weight: an operator's decision, else what it registered.
    pub weight: Weight,
    /// The part of the weight that counts: less while it is new, or slower than it should be.
    pub share: f64,
    /// Its load in bytes per second, with what was sent since its report.
    pub load: f64,
    /// The most that its load may be with this transfer; `None` while it is not busy.
    pub bound: Option<f64>,
    /// What it can send, in bytes per second.
    pub capacity: f64,
    /// Transfers under way there, by its own report.
    pub transfers: u32,
    /// The worst of bytes, transfers, disk and CPU, 0 to 1 and beyond.
    pub utilisation: f64,
    /// Whether it gets nothing new while others are not full.
    pub full: bool,
    /// Whether evidence speaks against it; it is excluded for that only where the evidence counts.
    pub doubted: bool,
}

/// What the eligible nodes of a tier are like together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExplainedTier {
    /// Which tier.
    pub tier: Tier,
    /// How many nodes are eligible, of those who are looked at.
    pub nodes: usize,
    /// How many of them are full.
    pub full: usize,
    /// How utilised they are on average, by weight.
    pub utilisation: f64,
    /// The part of the requests that the tier passes on if a farther one is less utilised.
    pub passes_on: f64,
    /// What the client drew for this key, 0 to 1: below [`Self::passes_on`] it is among those that are passed on.
    pub drawn: f64,
    /// Whether evidence was ignored, for it speaks against more than half of the tier.
    pub evidence_ignored: bool,
}

/// A whole selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Every node of the table: those chosen first, then by tier and score, the excluded ones last.
    pub nodes: Vec<Explained>,
    /// The tiers with eligible nodes, nearest first.
    pub tiers: Vec<ExplainedTier>,
    /// The tier that took the request; `None` if nobody is eligible.
    pub tier: Option<Tier>,
    /// Why the primary; `None` without one.
    pub choice: Option<Choice>,
    /// Whether a nearer tier passed the request on because it was busy.
    pub spilled: bool,
    /// Whether somebody was left out for having been tried and nothing else.
    pub tried_left_out: bool,
    /// Whether only those are eligible whose beats are late, since nobody else is left.
    pub late: bool,
    /// Whether the key goes where it goes while it is not spread. Of one that is spread, a client may draw another node.
    pub whole: bool,
}

/// Explains what [`select`](super::select) answers to the same arguments, by the same code.
#[must_use]
pub fn explain(table: &Table, corrections: &Corrections, request: &Request<'_>) -> Explanation {
    // A copy: what others send meanwhile must not make one part of the story contradict another.
    let corrections = Corrections::for_table(table, Some(corrections));
    let round = Round::new(table, &corrections, request);
    let selection = round.select();
    let mut nodes: Vec<_> = round.places().map(|place| round.explained(place)).collect();
    if let (Some(primary), Some(choice)) = (selection.primary.map(Candidate::index), selection.choice) {
        let winner = nodes[primary].clone();
        for node in nodes.iter_mut().filter(|node| matches!(node.role, Role::Passed(_))) {
            node.role = Role::Passed(reason::of(node, &winner, request.cost, choice));
        }
        for (rank, alternate) in selection.alternates().enumerate() {
            nodes[alternate.index()].role = Role::Alternate(rank + 1);
        }
        nodes[primary].role = Role::Primary(choice);
    }
    nodes.sort_by(|one, other| {
        let place = |explained: &Explained| match explained.role {
            Role::Primary(_) => 0,
            Role::Alternate(place) => place,
            Role::Passed(_) => usize::MAX - 2,
            Role::NotDrawn => usize::MAX - 1,
            Role::Excluded(_) => usize::MAX,
        };
        (place(one), one.tier).cmp(&(place(other), other.tier)).then(other.score.total_cmp(&one.score))
    });
    Explanation {
        nodes,
        tiers: round.explained_tiers(),
        tier: selection.tier,
        choice: selection.choice,
        spilled: selection.spilled,
        tried_left_out: selection.tried_left_out,
        late: selection.primary.is_some() && round.late(),
        whole: selection.choice != Some(Choice::Spread),
    }
}

impl Round<'_, '_> {
    /// A node whose part is known as far as it does not depend on who is chosen.
    fn explained(&self, place: Place<'_>) -> Explained {
        let Place { candidate, figures } = place;
        let measure = self.measure(figures);
        let role = match self.exclusion(place) {
            Some(exclusion) => Role::Excluded(exclusion),
            None if !self.looks_at(place) => Role::NotDrawn,
            None => Role::Passed(Passed::Outscored),
        };
        // Bounds are shares of what those carry who are looked at.
        let bound = matches!(role, Role::Passed(_)).then(|| self.bound(figures, measure)).flatten();
        Explained {
            node: candidate.id().clone(),
            state: candidate.state(),
            role,
            region: candidate.facts().region.clone(),
            zone: candidate.facts().zone.clone(),
            tier: self.tier(figures),
            score: figures.lot(self.affinity).score(),
            weight: candidate.weight(),
            share: candidate.share(),
            load: measure.load,
            bound,
            capacity: candidate.capacity(),
            transfers: candidate.reported().transfers,
            utilisation: measure.utilisation,
            full: measure.full(),
            doubted: self.request.doubted.contains(candidate.id()),
        }
    }

    fn explained_tiers(&self) -> Vec<ExplainedTier> {
        let explained = |(tier, utilisation)| {
            let sum = self.sum(tier);
            ExplainedTier {
                tier,
                nodes: sum.nodes,
                full: sum.nodes - sum.not_full,
                utilisation,
                passes_on: Self::passes_on(utilisation),
                drawn: self.draw(tier),
                evidence_ignored: self.ignores_evidence(tier),
            }
        };
        self.tiers().map(explained).collect()
    }
}
