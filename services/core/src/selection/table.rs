//! The table that selection reads: every known node, with all that does not depend on the request worked out beforehand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Scheme, figures::Figures};
use crate::{
    id::{NodeId, Region, Zone},
    load::Load,
    node::{Freshness, NodeFacts, NodeState, NodeView},
    object::ObjectPath,
    time::Tick,
    tokens::Endpoint,
};

/// Time constant with which a rising report is believed.
pub(super) const RISE: Duration = Duration::from_secs(2);
/// Time constant with which a falling report is believed: a pause between two bursts is no idleness.
const FALL: Duration = Duration::from_secs(10);

/// A place that fails together: a zone, or what of a region has no zone. Compared by number; the table knows the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Domain(u32);

/// One node, ready to be chosen or not.
#[derive(Debug, Clone)]
pub struct Candidate {
    facts: Arc<NodeFacts>,
    state: NodeState,
    freshness: Freshness,
    reported: Load,
    /// The reported bytes per second, smoothed.
    load: f64,
    index: usize,
    region: Option<u32>,
    domain: Domain,
    /// Without slashes at their ends; empty if the node serves every key.
    prefixes: Vec<String>,
}

impl Candidate {
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
        let plain = self.facts.address.as_ref().filter(|_| scheme == Scheme::Http);
        let (authority, secure) = match plain {
            Some(address) => (address, false),
            None => (self.facts.tls_address.as_ref()?, true),
        };
        Some(Endpoint { node: self.id().clone(), authority: authority.clone(), secure })
    }

    /// Whether it declares the key's prefix. A prefix ends where a segment does: `a` is no prefix of `ab/c`.
    #[must_use]
    pub fn serves(&self, key: &ObjectPath) -> bool {
        let within = |prefix: &String| {
            key.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.serves_every_key() || self.prefixes.iter().any(within)
    }

    pub(super) const fn index(&self) -> usize {
        self.index
    }

    pub(super) const fn serves_every_key(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub(super) const fn region(&self) -> Option<u32> {
        self.region
    }

    pub(super) const fn domain(&self) -> Domain {
        self.domain
    }

    /// The load a moment later, given what was said last.
    fn follow(&mut self, earlier: &Self, passed: Duration) {
        if earlier.freshness.incarnation != self.freshness.incarnation {
            return;
        }
        let target = self.load;
        let constant = if target > earlier.load { RISE } else { FALL };
        let left = (-passed.as_secs_f64() / constant.as_secs_f64()).exp();
        self.load = target + (earlier.load - target) * left;
    }
}

/// A node in its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) candidate: &'t Candidate,
    pub(super) figures: &'t Figures,
}

/// Every known node, ordered by id.
#[derive(Debug, Clone, Default)]
pub struct Table {
    candidates: Vec<Candidate>,
    /// In the order of the candidates.
    figures: Vec<Figures>,
    regions: Vec<Region>,
    domains: Vec<(Option<Region>, Option<Zone>)>,
    built: Tick,
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
        let mut table = Self { built: now, ..Self::default() };
        for view in latest.into_values() {
            table.push(view);
        }
        if let Some(previous) = previous {
            let passed = now.since(previous.built);
            for candidate in &mut table.candidates {
                if let Some(earlier) = previous.find(candidate.id()) {
                    candidate.follow(earlier, passed);
                }
            }
        }
        table.figures = table.candidates.iter().map(Figures::of).collect();
        table
    }

    fn push(&mut self, view: &NodeView) {
        let facts = &view.facts;
        let region = facts.region.as_ref().map(|region| intern(&mut self.regions, region));
        let domain = Domain(intern(&mut self.domains, &(facts.region.clone(), facts.zone.clone())));
        let drained = view.intent.drains() && view.state.selectable();
        let prefixes = facts.prefixes.iter().map(|prefix| prefix.trim_matches('/'));
        // A prefix that is nothing but slashes is the root: every key.
        let prefixes =
            if prefixes.clone().any(str::is_empty) { Vec::new() } else { prefixes.map(Into::into).collect() };
        self.candidates.push(Candidate {
            facts: Arc::clone(facts),
            state: if drained { NodeState::Draining } else { view.state },
            freshness: view.freshness,
            reported: view.load,
            load: view.load.bytes_per_second as f64,
            index: self.candidates.len(),
            region,
            domain,
            prefixes,
        });
    }

    /// The node of that id.
    #[must_use]
    pub fn find(&self, id: &NodeId) -> Option<&Candidate> {
        let at = self.candidates.binary_search_by(|candidate| candidate.id().cmp(id)).ok()?;
        Some(&self.candidates[at])
    }

    /// All nodes, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    /// All nodes with their figures, ordered by id.
    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.candidates.iter().zip(&self.figures).map(|(candidate, figures)| Place { candidate, figures })
    }

    /// The moment for which it was made.
    #[must_use]
    pub const fn built(&self) -> Tick {
        self.built
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

    /// The number of a region, if any node is there.
    pub(super) fn region(&self, region: Option<&Region>) -> Option<u32> {
        number(&self.regions, |known| Some(known) == region)
    }

    /// The number of a zone, if any node is there.
    pub(super) fn zone(&self, region: Option<&Region>, zone: Option<&Zone>) -> Option<Domain> {
        let (region, zone) = (Some(region?), Some(zone?));
        number(&self.domains, |known| known.0.as_ref() == region && known.1.as_ref() == zone).map(Domain)
    }
}

/// The place of an item, which a table counts in `u32`: it has no more places than nodes.
fn number<T>(known: &[T], is: impl FnMut(&T) -> bool) -> Option<u32> {
    known.iter().position(is).map(|place| place as u32)
}

fn intern<T: PartialEq + Clone>(known: &mut Vec<T>, item: &T) -> u32 {
    number(known, |other| other == item).unwrap_or_else(|| {
        known.push(item.clone());
        (known.len() - 1) as u32
    })
}
