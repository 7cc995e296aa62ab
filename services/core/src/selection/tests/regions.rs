//! Examples of how the costs between regions decide.

use std::collections::BTreeSet;

use super::*;
use crate::place::Costs;

/// East and north are near each other, the south is far from both, and the west is farther still; the islands are on no map.
fn costs() -> Arc<Costs> {
    let named = |name: &str| name.parse().expect("a good name");
    let given = [("east", "north", 10), ("east", "south", 50), ("north", "south", 40), ("east", "west", 90)];
    Arc::new(Costs::new(given.map(|(from, to, cost)| (named(from), named(to), cost))).expect("a good matrix"))
}

fn region_of(id: &str) -> &str {
    id.split('-').next().expect("a text has a first part")
}

/// So many nodes in each region, named after it; changed as `change` says.
fn world(nodes: usize, regions: &[&str], change: impl Fn(&str, NodeView) -> NodeView) -> Table {
    let views: Vec<_> = regions
        .iter()
        .flat_map(|region| (0..nodes).map(move |number| (*region, format!("{region}-{number}"))))
        .map(|(region, id)| change(region, at(node(&id), region, "a")))
        .collect();
    table(&views).with_costs(costs())
}

/// The regions that clients from there are sent to, whatever they ask for.
fn served_from(table: &Table, region: &str) -> BTreeSet<String> {
    let serving = |key: u64| {
        let mut question = Question::about(&format!("key-{key}")).from(region, "b");
        question.client = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        region_of(&primary(table, &question).expect("somebody")).to_owned()
    };
    (0..100).map(serving).collect()
}

fn only(region: &str) -> BTreeSet<String> {
    BTreeSet::from([region.to_owned()])
}

const ALL: [&str; 5] = ["islands", "west", "south", "north", "east"];

#[test]
fn clients_whose_region_is_gone_go_to_the_cheapest_of_the_others() {
    // A few nodes, of which all are looked at, and many, of which some are.
    for nodes in [2, 100] {
        let without = |gone: &[&str]| {
            let down = |region: &str, view| match gone.contains(&region) {
                true => in_state(view, NodeState::Down),
                false => view,
            };
            world(nodes, &ALL, down)
        };
        assert_eq!(served_from(&without(&[]), "east"), only("east"));
        assert_eq!(served_from(&without(&["east"]), "east"), only("north"));
        assert_eq!(served_from(&without(&["east", "north"]), "east"), only("south"));
        assert_eq!(served_from(&without(&["east", "north", "south"]), "east"), only("west"));
        assert_eq!(served_from(&without(&["east", "north", "south", "west"]), "east"), only("islands"));
        // The other way round the same costs hold.
        assert_eq!(served_from(&without(&["west"]), "west"), only("east"));
    }
}

#[test]
fn a_client_with_no_region_gets_what_costs_the_least_on_average() {
    // (10 + 0 + 40 + 91) / 4, against (0 + 10 + 50 + 90) / 4 of the east.
    assert_eq!(served_from(&world(2, &ALL, |_, view| view), ""), only("north"));
    assert_eq!(served_from(&world(100, &["islands", "west", "east"], |_, view| view), ""), only("east"));
    let nobody_knows = served_from(&world(2, &ALL, |_, view| view), "moon");
    assert!(nobody_knows.len() > 1, "from where no way is known, all are alike: {nobody_knows:?}");
}

#[test]
fn a_region_passes_on_to_the_next_in_cost_that_is_better_off() {
    let loads = |pairs: &'static [(&str, f64)]| {
        world(3, &ALL, move |region, view| {
            let share = pairs.iter().find(|(name, _)| *name == region).map_or(0.1, |(_, share)| *share);
            loaded(view, share)
        })
    };
    let half = served_from(&loads(&[("east", 0.875)]), "east");
    assert_eq!(half, BTreeSet::from(["east".to_owned(), "north".to_owned()]));
    assert_eq!(served_from(&loads(&[("east", 0.97)]), "east"), only("north"));
    // One that is as busy is passed over, not a wall.
    let past = served_from(&loads(&[("east", 0.94), ("north", 0.945)]), "east");
    assert_eq!(past, BTreeSet::from(["east".to_owned(), "south".to_owned()]));
}

#[test]
fn without_costs_all_other_regions_are_alike() {
    let views: Vec<_> = ALL[1..].iter().map(|region| at(node(region), region, "a")).collect();
    assert_eq!(served_from(&table(&views), "islands").len(), 4);
}
