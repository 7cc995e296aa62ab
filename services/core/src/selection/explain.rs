//! Why this client would get this node: every step of a selection, for people.

use super::{
    Choice, Request,
    corrections::Corrections,
    round::{Exclusion, Round, Tier},
    table::{Candidate, Place, Table},
};
use crate::{id::NodeId, node::NodeState};

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The client is sent there.
    Primary(Choice),
    /// The n-th to go to after that, counted from 1.
    Alternate(usize),
    /// Could have been chosen, but others were better.
    Passed,
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
    /// How near it is.
    pub tier: Tier,
    /// Its rendezvous score for this key.
    pub score: f64,
    /// Its load in bytes per second, with what was sent since its report.
    pub load: f64,
    /// The most that its load may be with this transfer; `None` while it is not busy.
    pub bound: Option<f64>,
    /// The worst of bytes, transfers, disk and CPU, 0 to 1 and beyond.
    pub utilisation: f64,
    /// Whether it gets nothing new while others are not full.
    pub full: bool,
}

/// A whole selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Every node of the table: those chosen first, then by tier and score, the excluded ones last.
    pub nodes: Vec<Explained>,
    /// The tiers with eligible nodes, nearest first, and how utilised each is as a whole.
    pub tiers: Vec<(Tier, f64)>,
    /// The tier that took the request; `None` if nobody is eligible.
    pub tier: Option<Tier>,
    /// Whether a nearer tier passed the request on because it was busy.
    pub spilled: bool,
}

/// Explains what [`select`](super::select) answers to the same arguments, by the same code.
#[must_use]
pub fn explain(table: &Table, corrections: &Corrections, request: &Request<'_>) -> Explanation {
    let round = Round::new(table, corrections, request);
    let selection = round.select();
    let role = |place: Place<'_>| {
        let is = |chosen: &Candidate| chosen.index() == place.figures.index();
        if let Some(exclusion) = round.exclusion(place) {
            Role::Excluded(exclusion)
        } else if let Some(choice) = selection.choice.filter(|_| selection.primary.is_some_and(is)) {
            Role::Primary(choice)
        } else {
            selection.alternates().position(is).map_or(Role::Passed, |rank| Role::Alternate(rank + 1))
        }
    };
    let explained = |place: Place<'_>| {
        let Place { candidate, figures } = place;
        let (role, measure) = (role(place), round.measure(figures));
        // Bounds are shares of what eligible nodes carry.
        let bound = if matches!(role, Role::Excluded(_)) { None } else { round.bound(figures, measure) };
        Explained {
            node: candidate.id().clone(),
            state: candidate.state(),
            role,
            tier: round.tier(figures),
            score: figures.lot(round.affinity).score(),
            load: measure.load,
            bound,
            utilisation: measure.utilisation,
            full: measure.full(),
        }
    };
    let mut nodes: Vec<_> = round.places().map(explained).collect();
    nodes.sort_by(|one, other| {
        let place = |explained: &Explained| match explained.role {
            Role::Primary(_) => 0,
            Role::Alternate(place) => place,
            Role::Passed => usize::MAX - 1,
            Role::Excluded(_) => usize::MAX,
        };
        (place(one), one.tier).cmp(&(place(other), other.tier)).then(other.score.total_cmp(&one.score))
    });
    Explanation { nodes, tiers: round.tiers().collect(), tier: selection.tier, spilled: selection.spilled }
}
