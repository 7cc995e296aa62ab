//! Regions and zones as numbers: selection compares them for every node.

use std::{collections::HashMap, hash::Hash};

use crate::{
    id::{Region, Zone},
    node::NodeFacts,
};

/// A place that fails together: a zone, or what of a region has no zone. Compared by number; the table knows the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::selection) struct Domain(u32);

/// The names that nodes have given their places, with a number for each.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    regions: HashMap<Region, u32>,
    domains: HashMap<(Option<Region>, Option<Zone>), u32>,
}

/// Whether both are in one place.
pub(super) fn same(one: &NodeFacts, other: &NodeFacts) -> bool {
    one.region == other.region && one.zone == other.zone
}

impl Places {
    /// The places of these nodes.
    pub(super) fn of<'n>(nodes: impl Iterator<Item = &'n NodeFacts>) -> Self {
        let mut places = Self::default();
        for facts in nodes {
            if let Some(region) = &facts.region {
                number(&mut places.regions, region.clone());
            }
            number(&mut places.domains, (facts.region.clone(), facts.zone.clone()));
        }
        places
    }

    /// The numbers of a node that was among those.
    pub(super) fn find(&self, facts: &NodeFacts) -> (Option<u32>, Domain) {
        let domain = self.domains.get(&(facts.region.clone(), facts.zone.clone()));
        (self.region(facts.region.as_ref()), Domain(domain.copied().unwrap_or(u32::MAX)))
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
fn number<T: Hash + Eq>(known: &mut HashMap<T, u32>, place: T) {
    let next = known.len() as u32;
    known.entry(place).or_insert(next);
}
