//! What one selection knows before it chooses: who is eligible, how near, how loaded, and what the tiers carry.

use super::{
    Request,
    corrections::{Corrections, Moment},
    figures::{Figures, Measure},
    rendezvous::hash_text,
    table::{Domain, Place, Table},
};
use crate::node::NodeState;

/// A busy node takes at most this many times its share: smaller moves more keys, larger balances worse (Mirrokni, Thorup and
/// Zadimoghaddam, "Consistent hashing with bounded loads", 2018).
const BOUND: f64 = 1.25;
/// Below this utilisation nobody is asked to share: an idle cluster must not scatter a key for balance that nobody needs.
pub(super) const BUSY: f64 = 0.30;

/// How near a node is to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// In the client's zone.
    Zone,
    /// In the client's region.
    Region,
    /// Anywhere else, or nobody knows where the client is.
    Elsewhere,
}

impl Tier {
    pub(super) const ALL: [Self; 3] = [Self::Zone, Self::Region, Self::Elsewhere];

    /// The tier's name as people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Region => "region",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// Why a node cannot be chosen at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// Silent, or its stream ended.
    Down,
    /// It finishes what it began.
    Draining,
    /// An operator took it out.
    Maintenance,
    /// It was down, and has not proved itself since.
    Probation,
    /// Its beats are late, and others' are not.
    Suspect,
    /// It has no address for clients of this scheme.
    Unreachable,
    /// It does not serve the key's prefix.
    OtherPrefix,
    /// It failed this client a moment ago.
    Tried,
}

impl Exclusion {
    /// The reason as people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Maintenance => "in maintenance",
            Self::Probation => "on probation",
            Self::Suspect => "suspect while others are up",
            Self::Unreachable => "no address for this client's scheme",
            Self::OtherPrefix => "does not serve this prefix",
            Self::Tried => "tried a moment ago",
        }
    }
}

/// What the eligible nodes of one tier carry together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) nodes: usize,
    pub(super) not_full: usize,
    load: f64,
    weight: f64,
    weighted_utilisation: f64,
}

impl Sum {
    fn add(&mut self, weight: f64, measure: Measure) {
        self.nodes += 1;
        self.not_full += usize::from(!measure.full());
        self.load += measure.load;
        self.weight += weight;
        self.weighted_utilisation += weight * measure.utilisation;
    }

    pub(super) fn utilisation(&self) -> f64 {
        if self.nodes == 0 { 0.0 } else { self.weighted_utilisation / self.weight }
    }
}

type Sums = [Sum; Tier::ALL.len()];

/// The state of one selection.
pub(super) struct Round<'r, 't> {
    pub(super) request: &'r Request<'r>,
    pub(super) affinity: u64,
    table: &'t Table,
    corrections: &'r Corrections,
    now: Moment,
    cost: f64,
    per_cost: f64,
    region: Option<u32>,
    zone: Option<Domain>,
    /// Whether only those get it that are late, since nobody who beats in time is eligible.
    late: bool,
    sums: Sums,
    pub(super) tried_left_out: bool,
}

impl<'r, 't> Round<'r, 't> {
    pub(super) fn new(table: &'t Table, corrections: &'r Corrections, request: &'r Request<'r>) -> Self {
        let cost = request.cost.max(1) as f64;
        let mut round = Self {
            request,
            affinity: hash_text(request.affinity),
            table,
            corrections,
            now: Moment::of(request.now),
            cost,
            per_cost: 1.0 / cost,
            region: table.region(request.client.region.as_ref()),
            zone: table.zone(request.client.region.as_ref(), request.client.zone.as_ref()),
            late: false,
            sums: Sums::default(),
            tried_left_out: false,
        };
        let mut suspects = Sums::default();
        for place in table.places() {
            match round.barred(place) {
                None => {
                    let (tier, measure) = (round.tier(place.figures), round.measure(place.figures));
                    let well = place.figures.state.is_well();
                    let sums = if well { &mut round.sums } else { &mut suspects };
                    sums[tier as usize].add(place.figures.weight(), measure);
                }
                Some(Exclusion::Tried) => round.tried_left_out = true,
                Some(_) => {}
            }
        }
        if round.sums.iter().all(|sum| sum.nodes == 0) {
            (round.late, round.sums) = (true, suspects);
        }
        round
    }

    /// Why the node is out whatever the others are like.
    fn barred(&self, Place { candidate, figures }: Place<'t>) -> Option<Exclusion> {
        match figures.state {
            NodeState::Down => Some(Exclusion::Down),
            NodeState::Draining => Some(Exclusion::Draining),
            NodeState::Maintenance => Some(Exclusion::Maintenance),
            NodeState::Probation => Some(Exclusion::Probation),
            NodeState::Up | NodeState::Degraded | NodeState::Suspect => {
                if !figures.reachable(self.request.scheme) {
                    Some(Exclusion::Unreachable)
                } else if !figures.serves_every_key && !candidate.serves(self.request.key) {
                    Some(Exclusion::OtherPrefix)
                } else {
                    // Mostly nobody was tried, and then the candidate itself need not be fetched from memory.
                    let tried = !self.request.tried.is_empty() && self.request.tried.contains(candidate.id());
                    tried.then_some(Exclusion::Tried)
                }
            }
        }
    }

    pub(super) fn exclusion(&self, place: Place<'t>) -> Option<Exclusion> {
        self.barred(place).or_else(|| (place.figures.state.is_well() == self.late).then_some(Exclusion::Suspect))
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place<'t>> + use<'t> {
        self.table.places()
    }

    pub(super) fn eligible(&self) -> impl Iterator<Item = Place<'t>> {
        self.places().filter(|&place| self.exclusion(place).is_none())
    }

    pub(super) fn tier(&self, figures: &Figures) -> Tier {
        if self.zone.is_some_and(|zone| zone == figures.domain()) {
            Tier::Zone
        } else if self.region.is_some() && self.region == figures.region() {
            Tier::Region
        } else {
            Tier::Elsewhere
        }
    }

    pub(super) fn measure(&self, figures: &Figures) -> Measure {
        figures.measure(self.corrections.at(figures.index(), self.now), self.per_cost)
    }

    /// The load that the node may have with this transfer; `None` while it is not busy, and so takes anything.
    pub(super) fn bound(&self, figures: &Figures, measure: Measure) -> Option<f64> {
        let sum = self.sum(self.tier(figures));
        (measure.utilisation > BUSY).then(|| BOUND * (sum.load + self.cost) * figures.weight() / sum.weight)
    }

    pub(super) fn fits(&self, figures: &Figures, measure: Measure) -> bool {
        self.bound(figures, measure).is_none_or(|bound| measure.load + self.cost <= bound)
    }

    pub(super) const fn sum(&self, tier: Tier) -> &Sum {
        &self.sums[tier as usize]
    }

    /// The tiers with eligible nodes, nearest first, and their utilisation.
    pub(super) fn tiers(&self) -> impl Iterator<Item = (Tier, f64)> {
        let sums = Tier::ALL.into_iter().zip(&self.sums);
        sums.filter(|(_, sum)| sum.nodes > 0).map(|(tier, sum)| (tier, sum.utilisation()))
    }
}
