//! How far the nodes' regions are from a client's, as tiers: the cheapest of the other regions first.
//!
//! Worked out when nodes come, go, move, are lost or recover; a request looks up one row. Regions that cost the same are one tier, and so is all that is farther than the last
//! tier but one.

use std::{collections::HashMap, sync::Arc};

use super::Places;
use crate::{id::Region, place::Costs, selection::round::Tier};

/// What a client of one region sees.
#[derive(Debug, Clone, Default)]
pub(in crate::selection) struct Row {
    /// Whether it is of clients of one region, whose own nodes are in no other tier.
    of_a_region: bool,
    /// By the number of a node's region, and then of a node with none. Empty where nothing is known: then all others are [`Tier::Elsewhere`].
    tiers: Vec<Tier>,
    /// How many nodes may get clients in other regions and what they weigh, tier by tier.
    pub(super) sums: [(u32, f32); Tier::OTHERS.len()],
}

/// All rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Distances {
    costs: Arc<Costs>,
    /// By a client's region: those that the matrix knows.
    rows: HashMap<Region, Row>,
    /// Of clients with no region.
    nowhere: Row,
    /// Of clients from where nobody knows the way.
    unknown: Row,
}

impl Row {
    /// The tier of a node of that region, another one than the client's.
    #[inline]
    pub(in crate::selection) fn tier(&self, region: Option<u32>) -> Tier {
        let (others, none) = self.others();
        others[region.map_or(none, |region| (region as usize).min(none))]
    }

    pub(super) const fn is_of_a_region(&self) -> bool {
        self.of_a_region
    }

    /// The tiers by the number of a node's region, and the number that stands for no region; never empty.
    pub(super) fn others(&self) -> (&[Tier], usize) {
        match self.tiers.len() {
            0 => (&[Tier::Elsewhere], 0),
            length => (&self.tiers, length - 1),
        }
    }

    fn of(client: Option<&Region>, costs: &Costs, places: &Places) -> Self {
        let mut prices = vec![costs.between(client, None); places.regions.len() + 1];
        for region in costs.regions() {
            if let Some(number) = places.region(Some(region)) {
                prices[number as usize] = costs.between(client, Some(region));
            }
        }
        let own = places.region(client).map(|number| number as usize);
        let mut levels: Vec<f64> =
            prices.iter().enumerate().filter(|(at, _)| Some(*at) != own).map(|(_, price)| *price).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let level = |price: f64| levels.partition_point(|level| *level < price).min(Tier::OTHERS.len() - 1);
        let of_a_region = own.is_some();
        let mut row = Self {
            of_a_region,
            tiers: prices.iter().map(|price| Tier::OTHERS[level(*price)]).collect(),
            ..Self::default()
        };
        for (at, price) in prices.iter().enumerate().filter(|(at, _)| Some(*at) != own) {
            let (nodes, weight) = places.in_regions.get(at).copied().unwrap_or(places.in_none);
            let sum = &mut row.sums[level(*price)];
            *sum = (sum.0 + nodes, sum.1 + weight);
        }
        row
    }
}

impl Distances {
    pub(super) fn new(costs: Arc<Costs>) -> Self {
        Self { costs, ..Self::default() }
    }

    /// Works everything out for nodes at these places.
    pub(super) fn number(&mut self, places: &Places) {
        self.unknown =
            Row { sums: std::array::from_fn(|at| if at == 0 { places.anywhere } else { (0, 0.0) }), ..Row::default() };
        if self.costs.is_empty() {
            return;
        }
        self.nowhere = Row::of(None, &self.costs, places);
        let row = |region: &Region| (region.clone(), Row::of(Some(region), &self.costs, places));
        self.rows = self.costs.regions().map(row).collect();
    }

    /// The row of a client.
    pub(super) fn of(&self, client: Option<&Region>) -> &Row {
        match client {
            _ if self.costs.is_empty() => &self.unknown,
            Some(region) => self.rows.get(region).unwrap_or(&self.unknown),
            None => &self.nowhere,
        }
    }
}
