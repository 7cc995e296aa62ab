//! One selection, step by step. `select` reads the outcome; `explain` reads every step of the same round.

use super::{
    Choice, Request, Selection,
    corrections::Corrections,
    rendezvous::{hash_pair, hash_text, score, unit},
    table::{Candidate, Domain, Table},
};
use crate::node::NodeState;

/// A busy node takes at most this many times its share: smaller moves more keys, larger balances worse (Mirrokni, Thorup and
/// Zadimoghaddam, "Consistent hashing with bounded loads", 2018).
const BOUND: f64 = 1.25;
/// Below this utilisation nobody is asked to share: an idle cluster must not scatter a key for balance that nobody needs.
const BUSY: f64 = 0.30;
/// From here on a tier passes requests on…
const SPILL_FROM: f64 = 0.80;
/// …all of them once it is this much fuller.
const SPILL_WIDTH: f64 = 0.15;
/// Above this a node gets nothing new, unless that leaves nobody.
const FULL: f64 = 0.95;
/// The second choice wins if its load per weight is below this part of the first's.
const CLEARLY_LESS: f64 = 0.75;
/// Bytes per second that a transfer should have at least. While another one still gets that much, a link that is full
/// is one that is well used, not one that is overloaded.
const MIN_CLIENT_RATE: f64 = 1_000_000.0;

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
    const ALL: [Self; 3] = [Self::Zone, Self::Region, Self::Elsewhere];

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
            Self::Suspect => "suspect while others are up",
            Self::Unreachable => "no address for this client's scheme",
            Self::OtherPrefix => "does not serve this prefix",
            Self::Tried => "tried a moment ago",
        }
    }
}

/// What a node carries at the moment of the question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Bytes per second: smoothed reports and what was sent since.
    pub(super) load: f64,
    /// The worst of bytes, transfers, disk and CPU against what the node can take.
    pub(super) utilisation: f64,
}

impl Measure {
    pub(super) fn full(self) -> bool {
        self.utilisation > FULL
    }
}

/// What the eligible nodes of one tier carry together.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    nodes: usize,
    not_full: usize,
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

    fn utilisation(&self) -> f64 {
        if self.nodes == 0 { 0.0 } else { self.weighted_utilisation / self.weight }
    }
}

type Sums = [Sum; Tier::ALL.len()];

/// A node that could be chosen, in its place.
#[derive(Debug, Clone, Copy)]
struct Contender<'t> {
    candidate: &'t Candidate,
    measure: Measure,
    score: f64,
}

/// The state of one selection.
pub(super) struct Round<'r, 't> {
    table: &'t Table,
    corrections: &'r Corrections,
    request: &'r Request<'r>,
    cost: f64,
    affinity: u64,
    region: Option<usize>,
    zone: Option<Domain>,
    /// UP, unless nobody who is UP is eligible.
    class: NodeState,
    sums: Sums,
    tried_left_out: bool,
}

impl<'r, 't> Round<'r, 't> {
    pub(super) fn new(table: &'t Table, corrections: &'r Corrections, request: &'r Request<'r>) -> Self {
        let mut round = Self {
            table,
            corrections,
            request,
            cost: request.cost.max(1) as f64,
            affinity: hash_text(request.affinity),
            region: table.region(request.client.region.as_ref()),
            zone: table.zone(request.client.region.as_ref(), request.client.zone.as_ref()),
            class: NodeState::Up,
            sums: Sums::default(),
            tried_left_out: false,
        };
        let mut suspects = Sums::default();
        for candidate in table.iter() {
            match round.barred(candidate) {
                None => {
                    let of_class = if candidate.state() == NodeState::Up { &mut round.sums } else { &mut suspects };
                    let tier = tier(round.region, round.zone, candidate);
                    let measure = measure(candidate, round.corrections, round.request, round.cost);
                    of_class[tier as usize].add(candidate.weight(), measure);
                }
                Some(Exclusion::Tried) => round.tried_left_out = true,
                Some(_) => {}
            }
        }
        if round.sums.iter().all(|sum| sum.nodes == 0) {
            (round.class, round.sums) = (NodeState::Suspect, suspects);
        }
        round
    }

    /// Why the node is out whatever the others are like.
    fn barred(&self, candidate: &Candidate) -> Option<Exclusion> {
        match candidate.state() {
            NodeState::Down => Some(Exclusion::Down),
            NodeState::Draining => Some(Exclusion::Draining),
            NodeState::Up | NodeState::Suspect if !candidate.reachable(self.request.scheme) => {
                Some(Exclusion::Unreachable)
            }
            NodeState::Up | NodeState::Suspect if !candidate.serves(self.request.key) => Some(Exclusion::OtherPrefix),
            NodeState::Up | NodeState::Suspect => {
                self.request.tried.contains(candidate.id()).then_some(Exclusion::Tried)
            }
        }
    }

    pub(super) fn exclusion(&self, candidate: &Candidate) -> Option<Exclusion> {
        self.barred(candidate).or_else(|| (candidate.state() != self.class).then_some(Exclusion::Suspect))
    }

    pub(super) fn tier(&self, candidate: &Candidate) -> Tier {
        tier(self.region, self.zone, candidate)
    }

    pub(super) fn measure(&self, candidate: &Candidate) -> Measure {
        measure(candidate, self.corrections, self.request, self.cost)
    }

    pub(super) fn score(&self, candidate: &Candidate) -> f64 {
        score(candidate.weight(), self.affinity, candidate.id_hash())
    }

    /// The load that the node may have with this transfer; `None` while it is not busy, and so takes anything.
    pub(super) fn bound(&self, candidate: &Candidate, measure: Measure) -> Option<f64> {
        let sum = &self.sums[self.tier(candidate) as usize];
        (measure.utilisation > BUSY).then(|| BOUND * (sum.load + self.cost) * candidate.weight() / sum.weight)
    }

    fn fits(&self, contender: Contender<'t>) -> bool {
        let with_this = contender.measure.load + self.cost;
        self.bound(contender.candidate, contender.measure).is_none_or(|bound| with_this <= bound)
    }

    /// The tiers with eligible nodes, nearest first, and their utilisation.
    pub(super) fn tiers(&self) -> impl Iterator<Item = (Tier, f64)> {
        let sums = Tier::ALL.into_iter().zip(&self.sums);
        sums.filter(|(_, sum)| sum.nodes > 0).map(|(tier, sum)| (tier, sum.utilisation()))
    }

    pub(super) fn candidates(&self) -> impl Iterator<Item = &'t Candidate> + use<'t> {
        self.table.iter()
    }

    fn contenders(&self) -> impl Iterator<Item = Contender<'t>> {
        self.table.iter().filter(|candidate| self.exclusion(candidate).is_none()).map(|candidate| Contender {
            candidate,
            measure: self.measure(candidate),
            score: self.score(candidate),
        })
    }

    pub(super) fn select(&self) -> Selection<'t> {
        let nothing = Selection { tried_left_out: self.tried_left_out, ..Selection::default() };
        let Some((nearest, tier)) = self.choose_tier() else { return nothing };
        let Some((primary, choice)) = self.choose_within(tier) else { return nothing };
        Selection {
            primary: Some(primary),
            alternates: self.choose_alternates(primary),
            choice: Some(choice),
            tier: Some(tier),
            spilled: tier != nearest,
            ..nothing
        }
    }

    /// The nearest tier with anybody in it, and the one that takes the request.
    fn choose_tier(&self) -> Option<(Tier, Tier)> {
        let sum = |tier: Tier| &self.sums[tier as usize];
        let nearest = Tier::ALL.into_iter().find(|&tier| sum(tier).nodes > 0)?;
        let mut chosen = nearest;
        for next in Tier::ALL.into_iter().filter(|&tier| tier > nearest && sum(tier).not_full > 0) {
            let here = sum(chosen).utilisation();
            let share = ((here - SPILL_FROM) / SPILL_WIDTH).clamp(0.0, 1.0);
            // The same client asking for the same key meets the same decision, at each tier anew.
            let draw = unit(hash_pair(hash_pair(self.affinity, self.request.client.hash), chosen as u64));
            let nobody_here = sum(chosen).not_full == 0;
            if nobody_here || (draw < share && sum(next).utilisation() < here) {
                chosen = next;
            } else {
                break;
            }
        }
        Some((nearest, chosen))
    }

    /// Rendezvous, bound and second choice among the nodes of one tier.
    fn choose_within(&self, tier: Tier) -> Option<(&'t Candidate, Choice)> {
        let panic = self.sums[tier as usize].not_full == 0;
        let mut best: Option<Contender<'t>> = None;
        let mut fitting: [Option<Contender<'t>>; 2] = [None; 2];
        for candidate in self.table.iter() {
            if self.exclusion(candidate).is_some() || self.tier(candidate) != tier {
                continue;
            }
            let measure = self.measure(candidate);
            if measure.full() && !panic {
                continue;
            }
            let contender = Contender { candidate, measure, score: self.score(candidate) };
            let beats = |other: Option<Contender<'t>>| other.is_none_or(|other| contender.score > other.score);
            if beats(best) {
                best = Some(contender);
            }
            if !self.fits(contender) {
                continue;
            }
            if beats(fitting[0]) {
                fitting = [Some(contender), fitting[0]];
            } else if beats(fitting[1]) {
                fitting[1] = Some(contender);
            }
        }
        let best = best?;
        let (chosen, choice) = match fitting {
            [None, _] => (best, Choice::Unbounded),
            [Some(first), Some(second)] if clearly_less(second, first) => (second, Choice::SecondChoice),
            [Some(first), _] if first.score < best.score => (first, Choice::Bounded),
            [Some(first), _] => (first, Choice::Affinity),
        };
        Some((chosen.candidate, if panic { Choice::Panic } else { choice }))
    }

    /// The best of the others: who does not fail together with the primary, then who is not full, then the nearest, then by
    /// rendezvous.
    fn choose_alternates(&self, primary: &Candidate) -> [Option<&'t Candidate>; Selection::MOST_ALTERNATES] {
        let mut best: [Option<(Contender<'t>, Standing)>; Selection::MOST_ALTERNATES] = [None; _];
        for contender in self.contenders().filter(|contender| contender.candidate.index() != primary.index()) {
            let standing = (
                contender.candidate.domain() == primary.domain(),
                contender.measure.full(),
                self.tier(contender.candidate),
            );
            let before = |&(other, its): &(Contender<'t>, Standing)| {
                standing < its || (standing == its && contender.score > other.score)
            };
            let place = best.iter().position(|held| held.as_ref().is_none_or(before));
            if let Some(place) = place {
                best[place..].rotate_right(1);
                best[place] = Some((contender, standing));
            }
        }
        best.map(|held| held.map(|(contender, _)| contender.candidate))
    }
}

/// Ordered: the lesser, the better.
type Standing = (bool, bool, Tier);

fn tier(region: Option<usize>, zone: Option<Domain>, candidate: &Candidate) -> Tier {
    if zone.is_some_and(|zone| zone == candidate.domain()) {
        Tier::Zone
    } else if region.is_some() && region == candidate.region() {
        Tier::Region
    } else {
        Tier::Elsewhere
    }
}

fn measure(candidate: &Candidate, corrections: &Corrections, request: &Request<'_>, cost: f64) -> Measure {
    let added = corrections.of(candidate, request.now);
    let load = candidate.load() + added;
    let reported = candidate.reported();
    let transfers = f64::from(reported.transfers) + added / cost;
    let capacity = candidate.capacity();

    let fair_share = capacity / (transfers + 1.0);
    let most_by_bytes = if fair_share < MIN_CLIENT_RATE { 1.0 } else { SPILL_FROM };
    let bytes = (load / capacity).min(most_by_bytes);
    let limit = candidate.facts().max_transfers.map_or(0.0, |most| transfers / f64::from(most.get()));
    let utilisation = bytes.max(limit).max(reported.disk.get().into()).max(reported.cpu.get().into());
    Measure { load, utilisation }
}

/// Whether the second choice is worth a cache that may be cold.
fn clearly_less(second: Contender<'_>, first: Contender<'_>) -> bool {
    let per_weight = |contender: Contender<'_>| contender.measure.load / contender.candidate.weight();
    first.measure.utilisation > BUSY && per_weight(second) < CLEARLY_LESS * per_weight(first)
}
