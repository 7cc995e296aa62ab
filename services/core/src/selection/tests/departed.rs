//! What holds where most of those who are registered get no clients.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::place::Costs;

/// From the cheapest to the dearest for a client of the first.
const REGIONS: [&str; 4] = ["east", "north", "south", "west"];
const GONE: [NodeState; 5] =
    [NodeState::Down, NodeState::Draining, NodeState::Maintenance, NodeState::Probation, NodeState::Suspect];

fn costs() -> Arc<Costs> {
    let named = |name: &str| name.parse().expect("a good name");
    let given = REGIONS[1..].iter().zip([10, 40, 90]).map(|(to, cost)| (named(REGIONS[0]), named(to), cost));
    Arc::new(Costs::new(given).expect("a good matrix"))
}

/// So many nodes of each region that are UP, and others that are gone: a region and a state for each.
fn views(live: &[usize], gone: &[(usize, NodeState)]) -> Vec<NodeView> {
    let up = live.iter().enumerate().flat_map(|(region, &count)| (0..count).map(move |_| (region, NodeState::Up)));
    let placed = gone.iter().copied().chain(up).enumerate();
    placed
        .map(|(number, (region, state))| {
            let id = format!("{}-{number}", REGIONS[region]);
            in_state(at(node(&id), REGIONS[region], ["a", "b"][number % 2]), state)
        })
        .collect()
}

/// The table of these views, and two others that came to be the same: one whose nodes were all the other way round before, and one that follows that one.
fn tables(views: &[NodeView]) -> [Table; 3] {
    let other_way_round = |view: &NodeView| {
        let state = if view.state.is_well() { NodeState::Down } else { NodeState::Up };
        in_state(view.clone(), state)
    };
    let before: Vec<_> = views.iter().map(other_way_round).collect();
    let mut changed = table(&before).with_costs(costs());
    let mut following = changed.clone();
    let words: Vec<_> = views.iter().map(|view| (&view.facts.id, Some(view))).collect();
    changed.apply(words, NOW);
    following.follow(&changed, views.iter().map(|view| &view.facts.id));
    [table(views).with_costs(costs()), changed, following]
}

proptest! {
    #[test]
    fn the_nearest_who_is_left_serves_and_all_who_are_left_stand_by(
        live in proptest::array::uniform4(0_usize..6),
        gone in proptest::collection::vec((0_usize..4, proptest::sample::select(GONE.to_vec())), 40..100),
        key in "[a-z]{1,8}",
        client in any::<u64>(),
    ) {
        let question = Question { client, ..Question::about(&key).from(REGIONS[0], "c") };
        let left = live.iter().sum::<usize>();
        prop_assume!(left > 0);
        let nearest = live.iter().position(|&count| count > 0).expect("somebody is left");
        for table in tables(&views(&live, &gone)) {
            let chosen = primary(&table, &question).expect("somebody is left");
            prop_assert!(chosen.starts_with(REGIONS[nearest]), "{chosen} for {live:?}");
            prop_assert_eq!(alternates(&table, &question).len(), (left - 1).min(Selection::MOST_ALTERNATES));
        }
    }
}

#[test]
fn clients_stay_in_a_region_most_of_which_is_gone_where_no_costs_are_known() {
    // More than there is room for among those who are looked at.
    let views = views(&[4, 2], &[(0, NodeState::Down); 400]);
    let table = table(&views);
    let served: BTreeSet<_> = (0..200)
        .map(|key| {
            let question = Question::about(&format!("key-{key}")).from(REGIONS[0], "a");
            assert_eq!(alternates(&table, &question).len(), 3);
            ask(&table, &question).tier
        })
        .collect();
    assert_eq!(served, BTreeSet::from([Some(Tier::Zone)]));
}

#[test]
fn where_nobody_is_well_those_whose_beats_are_late_serve() {
    let gone: Vec<_> = (0..80).map(|number| (0, GONE[number % GONE.len()])).collect();
    for table in tables(&views(&[0], &gone)) {
        let selection = ask(&table, &Question::about("a").from(REGIONS[0], "a"));
        assert_eq!(selection.primary.map(Candidate::state), Some(NodeState::Suspect));
        assert_eq!(selection.alternates().count(), 3);
    }
}
