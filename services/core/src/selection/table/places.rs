//! Regions and zones as numbers: selection compares them for every node.

use std::{collections::HashMap, hash::Hash};

use super::{Candidate, distances::Row};
use crate::{
    id::{Region, Zone},
    node::{NodeFacts, NodeView},
    selection::round::Tier,
};

/// A place that fails together: a zone, or what of a region has no zone. Compared by number; the table knows the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::selection) struct Domain(u32);

impl Domain {
    /// No node is there.
    pub(super) const NOWHERE: Self = Self(u32::MAX);
}

/// The names that nodes have given their places, with a number for each.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) regions: HashMap<Region, u32>,
    domains: HashMap<(Option<Region>, Option<Zone>), u32>,
    /// How many nodes may get clients and what they weigh, by number, and altogether.
    pub(super) in_regions: Vec<(u32, f32)>,
    /// Those in no region.
    pub(super) in_none: (u32, f32),
    in_domains: Vec<(u32, f32)>,
    pub(super) anywhere: (u32, f32),
}

/// Whether both are in one place, weigh the same there and serve the same: what is counted for all nodes together stays right.
pub(super) fn same(one: &Candidate, other: &NodeView) -> bool {
    let (before, after) = (&one.facts, &other.facts);
    (&before.region, &before.zone, &before.prefixes) == (&after.region, &after.zone, &after.prefixes)
        && one.weight() == other.weight()
}

/// Whether the node counts among those of its place. One that gets no clients, or only where nobody is well, would take the place of one that does among
/// those who are looked at; where that leaves nobody, all are.
pub(super) const fn counts(node: &Candidate) -> bool {
    node.state.is_well()
}

impl Places {
    /// The places of these nodes, with nobody [counted](Self::count).
    pub(super) fn of<'n>(nodes: impl Iterator<Item = &'n Candidate>) -> Self {
        let mut places = Self::default();
        for facts in nodes.map(|node| &node.facts) {
            if let Some(region) = &facts.region {
                number(&mut places.regions, region.clone());
            }
            number(&mut places.domains, (facts.region.clone(), facts.zone.clone()));
        }
        places
    }

    /// Counts those of the nodes that may get clients; all of them have been [found](Self::find) here.
    pub(super) fn count<'n>(&mut self, nodes: impl Iterator<Item = &'n Candidate>) {
        (self.in_none, self.anywhere) = Default::default();
        for (counts, length) in [(&mut self.in_regions, self.regions.len()), (&mut self.in_domains, self.domains.len())]
        {
            counts.clear();
            counts.resize(length, (0, 0.0));
        }
        for node in nodes.filter(|node| counts(node)) {
            let in_region = node.region.map_or(&mut self.in_none, |region| &mut self.in_regions[region as usize]);
            for count in [in_region, &mut self.in_domains[node.domain.0 as usize], &mut self.anywhere] {
                *count = (count.0 + 1, count.1 + node.weight().get() as f32);
            }
        }
    }

    /// The numbers of a node that was among those.
    pub(super) fn find(&self, facts: &NodeFacts) -> (Option<u32>, Domain) {
        let domain = self.domains.get(&(facts.region.clone(), facts.zone.clone()));
        (self.region(facts.region.as_ref()), Domain(domain.copied().unwrap_or(u32::MAX)))
    }

    /// How many nodes each tier has for a client there, and what they weigh, in the order of [`Tier::ALL`].
    pub(super) fn tiers(&self, region: Option<u32>, zone: Option<Domain>, row: &Row) -> [(u32, f32); Tier::ALL.len()] {
        let of = |counts: &[(u32, f32)], number: Option<u32>| {
            number.and_then(|number| counts.get(number as usize)).copied().unwrap_or_default()
        };
        let less = |all: (u32, f32), part: (u32, f32)| (all.0.saturating_sub(part.0), all.1 - part.1);
        let (in_zone, in_region) = (of(&self.in_domains, zone.map(|zone| zone.0)), of(&self.in_regions, region));
        let mut tiers = [(0, 0.0); Tier::ALL.len()];
        tiers[Tier::OTHERS[0] as usize..].copy_from_slice(&row.sums);
        if !row.is_of_a_region() && region.is_some() {
            let own = &mut tiers[row.tier(region) as usize];
            *own = less(*own, in_region);
        }
        tiers[Tier::Zone as usize] = in_zone;
        tiers[Tier::Region as usize] = less(in_region, in_zone);
        tiers
    }

    /// The number of a region, if any node is there.
    pub(super) fn region(&self, region: Option<&Region>) -> Option<u32> {
        self.regions.get(region?).copied()
    }

    /// The number of a zone, if any node is there.
    pub(super) fn zone(&self, region: Option<&Region>, zone: Option<&Zone>) -> Option<Domain> {
        let (region, zone) = (region?, zone?);
        self.domains.get(&(Some(region.clone()), Some(zone.clone()))).copied().map(Domain)
    }
}

/// Numbers are counted in `u32`: there are no more places than nodes.
fn number<T: Hash + Eq>(known: &mut HashMap<T, u32>, place: T) -> u32 {
    let next = known.len() as u32;
    *known.entry(place).or_insert(next)
}
