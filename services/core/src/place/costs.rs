//! What it costs to serve a client of one region from another one: an operator's numbers, in whatever unit; only their order counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Region;

/// Costs between regions.
#[derive(Debug, Clone, Default)]
pub struct Costs {
    given: BTreeMap<Region, BTreeMap<Region, u32>>,
    regions: BTreeSet<Region>,
    /// Between regions of which nothing is said: more than any that is.
    unknown: f64,
}

/// What is wrong with a cost matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Said twice, perhaps differently.
    #[error("the cost from {0} to {1} is listed twice")]
    Duplicate(Region, Region),
    /// A region is at no distance from itself.
    #[error("the cost from {0} to itself is always 0")]
    Itself(Region),
}

impl Costs {
    /// Of `(client's region, node's region, cost)`. What is given one way holds the other way too, unless that is given as well.
    /// All that is wrong comes back at once.
    pub fn new(given: impl IntoIterator<Item = (Region, Region, u32)>) -> Result<Self, Vec<Fault>> {
        let (mut costs, mut faults) = (Self::default(), Vec::new());
        for (from, to, cost) in given {
            costs.regions.extend([from.clone(), to.clone()]);
            costs.unknown = costs.unknown.max(f64::from(cost));
            if from == to {
                faults.push(Fault::Itself(from));
            } else if costs.given.entry(from.clone()).or_default().insert(to.clone(), cost).is_some() {
                faults.push(Fault::Duplicate(from, to));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        costs.unknown += 1.0;
        Ok(costs)
    }

    /// From a client's region to a node's. Nobody knows where a client with no region is, so for it the mean over all regions of the matrix counts; a
    /// node with no region is as far away as an unknown one.
    #[must_use]
    pub fn between(&self, client: Option<&Region>, node: Option<&Region>) -> f64 {
        let Some(node) = node else { return self.unknown };
        match client {
            Some(client) => self.known(client, node),
            None if self.regions.is_empty() => self.unknown,
            None => self.regions.iter().map(|from| self.known(from, node)).sum::<f64>() / self.regions.len() as f64,
        }
    }

    /// The regions of which anything is said.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter()
    }

    /// Whether nothing is said of any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    fn known(&self, from: &Region, to: &Region) -> f64 {
        let given = |from, to| self.given.get(from).and_then(|row: &BTreeMap<_, _>| row.get(to)).copied();
        if from == to { 0.0 } else { given(from, to).or_else(|| given(to, from)).map_or(self.unknown, f64::from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        name.parse().expect("a good name")
    }

    fn costs(given: &[(&str, &str, u32)]) -> Result<Costs, Vec<Fault>> {
        Costs::new(given.iter().map(|(from, to, cost)| (region(from), region(to), *cost)))
    }

    #[test]
    fn a_cost_holds_both_ways_unless_it_is_given_both_ways() {
        let costs = costs(&[("eu", "us", 10), ("us", "asia", 30), ("asia", "us", 20)]).expect("a good matrix");
        let between = |from: &str, to: &str| costs.between(Some(&region(from)), Some(&region(to)));
        assert_eq!((between("eu", "us"), between("us", "eu")), (10.0, 10.0));
        assert_eq!((between("us", "asia"), between("asia", "us")), (30.0, 20.0));
        assert_eq!(between("eu", "eu"), 0.0);
        assert_eq!((between("eu", "asia"), between("eu", "mars")), (31.0, 31.0), "farther than anything known");
        assert_eq!(costs.between(Some(&region("eu")), None), 31.0);
    }

    #[test]
    fn a_client_with_no_region_is_served_from_the_middle_not_from_the_first_in_a_list() {
        let costs = costs(&[("asia", "eu", 20), ("asia", "us", 30), ("eu", "us", 10)]).expect("a good matrix");
        let from_nowhere = |to: &str| costs.between(None, Some(&region(to)));
        let mut regions = ["asia", "eu", "us"];
        regions.sort_by(|one, other| from_nowhere(one).total_cmp(&from_nowhere(other)));
        assert_eq!(regions, ["eu", "us", "asia"]);
        assert_eq!(from_nowhere("eu"), 10.0);
        assert_eq!(Costs::default().between(None, Some(&region("eu"))), Costs::default().between(None, None));
    }

    #[test]
    fn what_is_said_twice_or_of_itself_is_a_fault() {
        let faults = costs(&[("eu", "us", 10), ("eu", "us", 10), ("eu", "eu", 1)]).expect_err("two faults");
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["the cost from eu to us is listed twice", "the cost from eu to itself is always 0"]);
    }
}
