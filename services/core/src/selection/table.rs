//! The table that selection reads: every known node, with all that does not depend on the request worked out beforehand.
//!
//! It changes in place, node by node, and costs what changed; only when nodes come, go or move are the others renumbered.

mod distances;
mod members;
mod places;
mod traffic;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub(super) use self::distances::Row;
pub(super) use self::members::Members;
pub(super) use self::places::Domain;
pub(super) use self::traffic::TELLING_TRANSFERS;
use self::{distances::Distances, members::Ticket, places::Places, traffic::Traffic};
use super::{
    Request, Rules, Scheme,
    figures::{ASSUMED_CAPACITY, Figures},
    strength::Strength,
};
use crate::{
    census::Census,
    id::{Incarnation, NodeId, Region, Zone},
    load::Load,
    node::{Freshness, NodeFacts, NodeState, NodeView, Weight},
    object::ObjectPath,
    place::Costs,
    time::Tick,
    tokens::{Endpoint, Reach},
};

/// Time constant with which a rising report is believed.
pub(super) const RISE: Duration = Duration::from_secs(2);
/// Time constant with which a falling report is believed: a pause between two bursts is no idleness.
const FALL: Duration = Duration::from_secs(10);

/// One node, ready to be chosen or not.
#[derive(Debug, Clone)]
pub struct Candidate {
    facts: Arc<NodeFacts>,
    decided_weight: Option<Weight>,
    state: NodeState,
    freshness: Freshness,
    reported: Load,
    /// The reported bytes per second, smoothed, at `since`.
    load: f64,
    since: Tick,
    strength: Strength,
    index: usize,
    region: Option<u32>,
    domain: Domain,
    /// Without slashes at their ends; empty if the node serves every key.
    prefixes: Arc<[String]>,
}

impl Candidate {
    fn new(view: &NodeView, strength: Strength, now: Tick) -> Self {
        let facts = &view.facts;
        let prefixes = facts.prefixes.iter().map(|prefix| prefix.trim_matches('/'));
        // A prefix that is nothing but slashes is the root: every key.
        let every = prefixes.clone().any(str::is_empty);
        Self {
            facts: Arc::clone(facts),
            decided_weight: view.intent.weight,
            state: state_of(view),
            freshness: view.freshness,
            reported: view.load,
            load: view.load.bytes_per_second as f64,
            since: now,
            strength,
            index: 0,
            region: None,
            domain: Domain::default(),
            prefixes: if every { Arc::default() } else { prefixes.map(Into::into).collect() },
        }
    }

    /// Takes a later word on the same node. `typical` is what a transfer gets at nodes nearby.
    fn renew(&mut self, view: &NodeView, typical: Option<f64>, now: Tick) {
        let mut strength = self.strength;
        let (before, after) = (self.freshness.incarnation, view.freshness.incarnation);
        if before != after && before != Incarnation::UNHEARD && after != Incarnation::UNHEARD {
            strength = Strength::reborn(view.load, now);
        } else if view.freshness != self.freshness {
            strength.hear(view.load, capacity_of(&view.facts), typical, now);
        }
        let mut renewed = Self {
            index: self.index,
            region: self.region,
            domain: self.domain,
            ..if view.facts == self.facts {
                Self {
                    facts: Arc::clone(&self.facts),
                    prefixes: Arc::clone(&self.prefixes),
                    decided_weight: view.intent.weight,
                    state: state_of(view),
                    freshness: view.freshness,
                    reported: view.load,
                    load: view.load.bytes_per_second as f64,
                    since: now,
                    strength,
                    ..*self
                }
            } else {
                Self::new(view, strength, now)
            }
        };
        renewed.follow(self);
        *self = renewed;
    }

    /// Which node.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.facts.id
    }

    /// What it registered.
    #[must_use]
    pub const fn facts(&self) -> &Arc<NodeFacts> {
        &self.facts
    }

    /// Its relative share of the work: an operator's decision, else what it registered.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.decided_weight.unwrap_or(self.facts.weight)
    }

    /// What an operator decided that its share is.
    #[must_use]
    pub const fn decided_weight(&self) -> Option<Weight> {
        self.decided_weight
    }

    /// Its state; a node that operators drain is DRAINING whatever else is said of it.
    #[must_use]
    pub const fn state(&self) -> NodeState {
        self.state
    }

    /// Its load as it reported it.
    #[must_use]
    pub const fn reported(&self) -> Load {
        self.reported
    }

    /// Its bytes per second, smoothed: believed quickly when they rise, slowly when they fall.
    #[must_use]
    pub const fn load(&self) -> f64 {
        self.load
    }

    /// Where a client of that scheme reaches it; `None` if it cannot.
    #[must_use]
    pub fn endpoint(&self, scheme: Scheme) -> Option<Endpoint> {
        self.reach(scheme).map(Reach::to_endpoint)
    }

    /// The same, borrowed.
    #[must_use]
    pub fn reach(&self, scheme: Scheme) -> Option<Reach<'_>> {
        let plain = self.facts.address.as_ref().filter(|_| scheme == Scheme::Http);
        let (authority, secure) = match plain {
            Some(address) => (address, false),
            None => (self.facts.tls_address.as_ref()?, true),
        };
        Some(Reach { node: self.id(), authority, secure })
    }

    /// Whether it declares the key's prefix. A prefix ends where a segment does: `a` is no prefix of `ab/c`.
    #[must_use]
    pub fn serves(&self, key: &ObjectPath) -> bool {
        let within = |prefix: &String| {
            key.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.serves_every_key() || self.prefixes.iter().any(within)
    }

    /// The part of its weight that counts: less while it is new, or slower than it should be.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.strength.share()
    }

    /// Bytes per second that it can send, as it says or as was seen, whichever is less.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        capacity_of(&self.facts) * self.strength.ceiling()
    }

    /// What a transfer gets there, in bytes per second; `None` if there are too few to tell.
    fn rate(&self) -> Option<f64> {
        self.strength.rate()
    }

    pub(super) const fn index(&self) -> usize {
        self.index
    }

    pub(super) fn serves_every_key(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub(super) const fn region(&self) -> Option<u32> {
        self.region
    }

    pub(super) const fn domain(&self) -> Domain {
        self.domain
    }

    /// The load a moment later, given what was said last.
    fn follow(&mut self, earlier: &Self) {
        let passed = self.since.since(earlier.since);
        if earlier.freshness.incarnation != self.freshness.incarnation {
            return;
        }
        let target = self.load;
        let constant = if target > earlier.load { RISE } else { FALL };
        let left = (-passed.as_secs_f64() / constant.as_secs_f64()).exp();
        self.load = target + (earlier.load - target) * left;
    }
}

fn capacity_of(facts: &NodeFacts) -> f64 {
    facts.capacity.map_or(ASSUMED_CAPACITY, |capacity| capacity.get() as f64)
}

/// A node in its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) candidate: &'t Candidate,
    pub(super) figures: &'t Figures,
}

/// The state for selection: what operators drain is DRAINING, whatever else is said of it.
fn state_of(view: &NodeView) -> NodeState {
    if view.intent.drains() && view.state.selectable() { NodeState::Draining } else { view.state }
}

/// Every known node, ordered by id.
#[derive(Debug, Clone, Default)]
pub struct Table {
    candidates: Vec<Candidate>,
    /// In the order of the candidates.
    figures: Vec<Figures>,
    tickets: Vec<Ticket>,
    /// How many nodes do not serve every key.
    choosy: usize,
    places: Places,
    distances: Distances,
    census: Census,
    rules: Rules,
    traffic: Traffic,
    /// When the first node was met.
    begun: Option<Tick>,
    /// Counts how often the candidates were numbered anew.
    numbering: u64,
}

impl Table {
    /// The table that these words make at `now`. Loads go on from where `previous` left them; how often a table is built
    /// in between makes no difference. Of two words on one node the fresher counts.
    #[must_use]
    pub fn from_views<'v>(views: impl IntoIterator<Item = &'v NodeView>, previous: Option<&Self>, now: Tick) -> Self {
        let mut latest = BTreeMap::<&NodeId, &NodeView>::new();
        for view in views {
            let known = latest.entry(&view.facts.id).or_insert(view);
            if known.freshness < view.freshness {
                *known = view;
            }
        }
        let mut table = previous.cloned().unwrap_or_default();
        let known: Vec<NodeId> = table.iter().map(|candidate| candidate.id().clone()).collect();
        let gone = known.iter().filter(|id| !latest.contains_key(id)).map(|id| (id, None));
        table.apply(latest.iter().map(|(id, view)| (*id, Some(*view))).chain(gone), now);
        table
    }

    /// Takes what is now said of some nodes, each named once; of one that is gone, nothing. A load goes on from where the last word on its node left
    /// it, so it makes no difference how often there is one.
    pub fn apply<'v>(&mut self, words: impl IntoIterator<Item = (&'v NodeId, Option<&'v NodeView>)>, now: Tick) {
        let (mut new, mut gone, mut moved, mut recovered_or_lost) = (Vec::new(), BTreeSet::new(), false, false);
        let begun = *self.begun.get_or_insert(now);
        for (id, view) in words {
            match (self.position(id), view) {
                (Some(at), Some(view)) => {
                    let candidate = &mut self.candidates[at];
                    moved |= !places::same(candidate, view);
                    let (before, counted) = (candidate.state, places::counts(candidate));
                    self.traffic.leave(candidate);
                    candidate.renew(view, self.traffic.typical_rate(candidate.region), now);
                    self.traffic.enter(candidate);
                    self.census.change(before, candidate.state);
                    recovered_or_lost |= counted != places::counts(candidate);
                    self.figures[at] = Figures::of(candidate);
                    self.tickets[at] = Ticket::of(candidate, &self.figures[at]);
                }
                (Some(at), None) => {
                    self.census.leave(self.candidates[at].state);
                    gone.insert(id);
                }
                (None, Some(view)) => {
                    let strength = Strength::of_newcomer(view.load, begun, now);
                    let candidate = Candidate::new(view, strength, now);
                    self.census.enter(candidate.state);
                    new.push(candidate);
                }
                (None, None) => {}
            }
        }
        if moved || !new.is_empty() || !gone.is_empty() {
            self.candidates.retain(|candidate| !gone.contains(candidate.id()));
            self.candidates.extend(new);
            self.number();
        } else if recovered_or_lost {
            self.count();
        }
    }

    /// Counts anew who may get clients in which place.
    fn count(&mut self) {
        self.places.count(self.candidates.iter());
        self.distances.number(&self.places);
    }

    /// Orders the candidates, and works out anew what depends on the others.
    fn number(&mut self) {
        // A few new ones behind many that are in order: close to one pass.
        self.candidates.sort_by(|one, other| one.id().cmp(other.id()));
        debug_assert!(self.candidates.is_sorted_by(|one, other| one.id() < other.id()), "each node once");
        self.places = Places::of(self.candidates.iter());
        for (index, candidate) in self.candidates.iter_mut().enumerate() {
            candidate.index = index;
            (candidate.region, candidate.domain) = self.places.find(&candidate.facts);
        }
        self.count();
        self.choosy = self.candidates.iter().filter(|candidate| !candidate.serves_every_key()).count();
        self.traffic = Traffic::of(self.candidates.iter());
        self.figures.clear();
        self.figures.extend(self.candidates.iter().map(Figures::of));
        self.tickets.clear();
        self.tickets.extend(
            self.candidates.iter().zip(&self.figures).map(|(candidate, figures)| Ticket::of(candidate, figures)),
        );
        self.numbering += 1;
    }

    /// Makes some nodes what they are in `other`, a table of the same [numbering](Self::numbering): by that a second table follows the
    /// first one at the cost of what changed.
    pub fn follow<'v>(&mut self, other: &Self, nodes: impl IntoIterator<Item = &'v NodeId>) {
        debug_assert_eq!(self.numbering, other.numbering, "places in one table mean nothing in the other");
        let mut recovered_or_lost = false;
        for id in nodes {
            let Some(at) = self.position(id) else { continue };
            recovered_or_lost |= places::counts(&self.candidates[at]) != places::counts(&other.candidates[at]);
            self.candidates[at].clone_from(&other.candidates[at]);
            self.figures[at] = other.figures[at];
            self.tickets[at] = other.tickets[at];
        }
        if recovered_or_lost {
            self.count();
        }
        self.census.clone_from(&other.census);
        self.traffic.clone_from(&other.traffic);
    }

    /// Changes when candidates get other places in the table: what is kept by place is then of no use. Of tables that follow from each
    /// other by [`Self::apply`], those with one number have the same nodes.
    #[must_use]
    pub const fn numbering(&self) -> u64 {
        self.numbering
    }

    /// The same table, to be selected from by other rules than the usual ones.
    #[must_use]
    pub const fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// The same table, where it costs so much to serve a client of one region from another.
    #[must_use]
    pub fn with_costs(mut self, costs: Arc<Costs>) -> Self {
        self.distances = Distances::new(costs);
        self.distances.number(&self.places);
        self
    }

    pub(super) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many nodes are in each state.
    #[must_use]
    pub const fn census(&self) -> &Census {
        &self.census
    }

    /// Bytes per second that all nodes together say they send.
    #[must_use]
    pub fn reported(&self) -> f64 {
        self.traffic.bytes_per_second()
    }

    /// Bytes per second that the nodes that may get clients can send together.
    pub(super) fn capacity(&self) -> f64 {
        self.traffic.capacity()
    }

    /// Bytes per second that a node can send, on average.
    #[must_use]
    pub fn typical_capacity(&self) -> f64 {
        self.traffic.typical_capacity()
    }

    /// Bytes per second that a transfer gets in a region; `None` if too few nodes tell.
    pub(super) fn typical_rate(&self, region: Option<&Region>) -> Option<f64> {
        self.traffic.typical_rate(self.places.region(region))
    }

    fn position(&self, id: &NodeId) -> Option<usize> {
        self.candidates.binary_search_by(|candidate| candidate.id().cmp(id)).ok()
    }

    /// The node of that id.
    #[must_use]
    pub fn find(&self, id: &NodeId) -> Option<&Candidate> {
        self.position(id).map(|at| &self.candidates[at])
    }

    /// All nodes, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    /// Who is looked at for a key of that hash, and a client there. Where nodes serve some keys only, everybody is: the few that serve this one may not be
    /// among those drawn.
    pub(super) fn members(
        &self,
        key: u64,
        region: Option<u32>,
        zone: Option<Domain>,
        row: &Row,
        request: &Request<'_>,
    ) -> Members {
        match self.choosy {
            0 => Members::draw(&self.tickets, &self.places, key, region, zone, row, request),
            _ => self.everybody(),
        }
    }

    pub(super) fn everybody(&self) -> Members {
        Members::all(self.len())
    }

    pub(super) fn place(&self, index: usize) -> Place<'_> {
        Place { candidate: &self.candidates[index], figures: &self.figures[index] }
    }

    /// All nodes with their figures, ordered by id.
    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.candidates.iter().zip(&self.figures).map(|(candidate, figures)| Place { candidate, figures })
    }

    /// How many nodes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether there is no node at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// How far the others are for a client there.
    pub(super) fn row(&self, region: Option<&Region>) -> &Row {
        self.distances.of(region)
    }

    /// The number of a region, if any node is there.
    pub(super) fn region(&self, region: Option<&Region>) -> Option<u32> {
        self.places.region(region)
    }

    /// The number of a zone, if any node is there.
    pub(super) fn zone(&self, region: Option<&Region>, zone: Option<&Zone>) -> Option<Domain> {
        self.places.zone(region, zone)
    }
}
