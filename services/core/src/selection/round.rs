//! What one selection knows before it chooses: who is eligible, how near, how loaded, and what the tiers carry.

use super::{
    Request, Rules,
    corrections::Corrections,
    decaying::Moment,
    figures::{Figures, Measure},
    rendezvous::hash_text,
    table::{Domain, Members, Place, Row, Table},
};
use crate::{id::NodeId, node::NodeState};

/// How near a node is to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// In the client's zone.
    Zone,
    /// In the client's region.
    Region,
    /// In those other regions that are the cheapest for the client's; anywhere, where nobody knows any cost or where the client is.
    Elsewhere,
    /// In the next ones after that.
    Second,
    /// And so on.
    Third,
    /// And so on.
    Fourth,
    /// And so on.
    Fifth,
    /// In all that are dearer still.
    Farthest,
}

impl Tier {
    pub(super) const ALL: [Self; 8] = [
        Self::Zone,
        Self::Region,
        Self::Elsewhere,
        Self::Second,
        Self::Third,
        Self::Fourth,
        Self::Fifth,
        Self::Farthest,
    ];
    /// Those of other regions.
    pub(super) const OTHERS: [Self; 6] =
        [Self::Elsewhere, Self::Second, Self::Third, Self::Fourth, Self::Fifth, Self::Farthest];

    /// The tier's name as people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Region => "region",
            Self::Elsewhere => "elsewhere",
            Self::Second => "elsewhere-2",
            Self::Third => "elsewhere-3",
            Self::Fourth => "elsewhere-4",
            Self::Fifth => "elsewhere-5",
            Self::Farthest => "elsewhere-6",
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
    /// Clients that were sent there did not arrive.
    Doubted,
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
            Self::Doubted => "clients did not arrive there",
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

    pub(super) const fn weight(&self) -> f64 {
        self.weight
    }

    /// What a node carries for its weight, on average, if each gets a transfer of that cost.
    pub(super) fn load_per_weight(&self, cost: f64) -> f64 {
        (self.load + cost * self.nodes as f64) / self.weight
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
    /// Who is looked at.
    members: Members,
    table: &'t Table,
    corrections: &'r Corrections,
    now: Moment,
    pub(super) cost: f64,
    per_cost: f64,
    /// What a transfer gets where the client is, in bytes per second.
    typical: Option<f64>,
    /// How many times its share a busy node may have with this transfer.
    times_share: f64,
    region: Option<u32>,
    zone: Option<Domain>,
    row: &'t Row,
    /// Whether only those get it that are late, since nobody who beats in time is eligible.
    late: bool,
    sums: Sums,
    /// Tiers whose nodes are believed in whatever evidence says.
    believed: [bool; Tier::ALL.len()],
    pub(super) tried_left_out: bool,
}

impl<'r, 't> Round<'r, 't> {
    /// The round for a request.
    pub(super) fn new(table: &'t Table, corrections: &'r Corrections, request: &'r Request<'r>) -> Self {
        let affinity = hash_text(request.affinity);
        let cost = request.cost.max(1) as f64;
        let region = table.region(request.client.region);
        let zone = table.zone(request.client.region, request.client.zone);
        let row = table.row(request.client.region);
        let mut round = Self {
            request,
            affinity,
            members: table.members(affinity, region, zone, row, request),
            table,
            corrections,
            now: Moment::of(request.now),
            cost,
            per_cost: 1.0 / cost,
            typical: table.typical_rate(request.client.region),
            times_share: table.rules().bound_for(request.bytes as f64 / table.expected_rate(request.client.region)),
            region,
            zone,
            row,
            late: false,
            sums: Sums::default(),
            believed: [false; _],
            tried_left_out: false,
        };
        round.add_up();
        if round.sums.iter().all(|sum| sum.not_full == 0) && !round.members.are_all() {
            // Of those who were looked at nobody is free: then somebody else may be.
            round.members = table.everybody();
            round.add_up();
        }
        round
    }

    fn add_up(&mut self) {
        if !self.request.doubted.is_empty() {
            self.weigh_evidence();
        }
        let (mut well, mut late) = (Sums::default(), Sums::default());
        for place in self.members.iter().map(|index| self.table.place(index)) {
            match self.barred(place) {
                None => {
                    let (tier, measure) = (self.tier(place.figures), self.measure(place.figures));
                    let sums = if place.figures.state.is_well() { &mut well } else { &mut late };
                    sums[tier as usize].add(place.figures.weight(), measure);
                }
                Some(Exclusion::Tried) => self.tried_left_out = true,
                Some(_) => {}
            }
        }
        self.late = well.iter().all(|sum| sum.nodes == 0);
        self.sums = if self.late { late } else { well };
    }

    /// Finds the tiers of which less than half of the capacity would be left.
    fn weigh_evidence(&mut self) {
        let (mut left, mut doubted) = ([0.0; Tier::ALL.len()], [0.0; Tier::ALL.len()]);
        self.believed = [false; _];
        for place in self.members.iter().map(|index| self.table.place(index)) {
            let capacities = match self.barred(place) {
                None => &mut left,
                Some(Exclusion::Doubted) => &mut doubted,
                Some(_) => continue,
            };
            capacities[self.tier(place.figures) as usize] += place.figures.capacity();
        }
        self.believed = std::array::from_fn(|tier| left[tier] < doubted[tier]);
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
                    let among = |nodes: &[NodeId]| !nodes.is_empty() && nodes.contains(candidate.id());
                    if among(self.request.tried) {
                        Some(Exclusion::Tried)
                    } else {
                        let counts = !self.believed[self.tier(figures) as usize] && among(self.request.doubted);
                        counts.then_some(Exclusion::Doubted)
                    }
                }
            }
        }
    }

    pub(super) fn exclusion(&self, place: Place<'t>) -> Option<Exclusion> {
        self.barred(place).or_else(|| (place.figures.state.is_well() == self.late).then_some(Exclusion::Suspect))
    }

    /// Whether the node is among those who are looked at.
    pub(super) fn looks_at(&self, place: Place<'_>) -> bool {
        self.members.iter().any(|index| index == place.figures.index())
    }

    /// Whether only those are eligible whose beats are late.
    pub(super) const fn late(&self) -> bool {
        self.late
    }

    /// Whether a tier has its nodes whatever evidence says.
    pub(super) const fn ignores_evidence(&self, tier: Tier) -> bool {
        self.believed[tier as usize]
    }

    pub(super) fn rules(&self) -> &Rules {
        self.table.rules()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place<'t>> + use<'t> {
        self.table.places()
    }

    /// Of those who are looked at.
    pub(super) fn eligible(&self) -> impl Iterator<Item = Place<'t>> {
        self.members.iter().map(|index| self.table.place(index)).filter(|&place| self.exclusion(place).is_none())
    }

    pub(super) fn tier(&self, figures: &Figures) -> Tier {
        if self.zone.is_some_and(|zone| zone == figures.domain()) {
            Tier::Zone
        } else if self.region.is_some() && self.region == figures.region() {
            Tier::Region
        } else {
            self.row.tier(figures.region())
        }
    }

    pub(super) fn measure(&self, figures: &Figures) -> Measure {
        figures.measure(self.corrections.at(figures.index(), self.now), self.per_cost, self.typical)
    }

    /// The load that the node may have with this transfer; `None` while it is not busy, and so takes anything.
    pub(super) fn bound(&self, figures: &Figures, measure: Measure) -> Option<f64> {
        let sum = self.sum(self.tier(figures));
        let most = || self.times_share * (sum.load + self.cost) * figures.weight() / sum.weight;
        (measure.utilisation > self.rules().busy).then(most)
    }

    pub(super) fn fits(&self, figures: &Figures, measure: Measure) -> bool {
        self.bound(figures, measure).is_none_or(|bound| measure.load + self.cost <= bound)
    }

    pub(super) const fn sum(&self, tier: Tier) -> &Sum {
        &self.sums[tier as usize]
    }

    /// What the tier weighs, with those who are not looked at.
    pub(super) fn whole_weight(&self, tier: Tier) -> f64 {
        self.members.weight_beyond(tier).unwrap_or(self.sum(tier).weight())
    }

    /// The tiers with eligible nodes, nearest first, and their utilisation.
    pub(super) fn tiers(&self) -> impl Iterator<Item = (Tier, f64)> {
        let sums = Tier::ALL.into_iter().zip(&self.sums);
        sums.filter(|(_, sum)| sum.nodes > 0).map(|(tier, sum)| (tier, sum.utilisation()))
    }
}
