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
    /// How many nodes there are and what they weigh, by number, and altogether.
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

impl Places {
    /// The places of these nodes.
    pub(super) fn of<'n>(nodes: impl Iterator<Item = &'n Candidate>) -> Self {
        let mut places = Self::default();
        for node in nodes {
            let (facts, weight) = (&node.facts, node.weight().get() as f32);
            match &facts.region {
                Some(region) => add(&mut places.in_regions, number(&mut places.regions, region.clone()), weight),
                None => places.in_none = (places.in_none.0 + 1, places.in_none.1 + weight),
            }
            let domain = number(&mut places.domains, (facts.region.clone(), facts.zone.clone()));
            add(&mut places.in_domains, domain, weight);
            places.anywhere = (places.anywhere.0 + 1, places.anywhere.1 + weight);
        }
        places
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

fn add(counts: &mut Vec<(u32, f32)>, number: u32, weight: f32) {
    let number = number as usize;
    if counts.len() <= number {
        counts.resize(number + 1, (0, 0.0));
    }
    counts[number] = (counts[number].0 + 1, counts[number].1 + weight);
}
