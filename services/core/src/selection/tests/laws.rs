//! What holds for every table, load and client.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A selection and its explanation tell the same story.
pub(super) fn confirm(selection: &Selection<'_>, explanation: &Explanation) {
    let with = |wanted: fn(&Role) -> bool| {
        explanation.nodes.iter().filter(move |explained| wanted(&explained.role)).map(|explained| &explained.node)
    };
    let primaries: Vec<_> = with(|role| matches!(role, Role::Primary(_))).collect();
    assert_eq!(primaries, selection.primary.map(Candidate::id).into_iter().collect::<Vec<_>>());
    let alternates: Vec<_> = with(|role| matches!(role, Role::Alternate(_))).collect();
    assert_eq!(alternates, selection.alternates().map(Candidate::id).collect::<Vec<_>>());
    assert_eq!((explanation.tier, explanation.spilled), (selection.tier, selection.spilled));
    assert_eq!(explanation.choice, selection.choice);
    let Some(primary) = explanation.nodes.first().filter(|_| selection.primary.is_some()) else { return };
    for node in &explanation.nodes {
        let Role::Passed(why) = node.role else { continue };
        let nearness = node.tier.cmp(&primary.tier);
        let true_of_it = match why {
            Passed::Farther => nearness.is_gt(),
            Passed::Spilled => nearness.is_lt() && explanation.spilled,
            Passed::Full => nearness.is_eq() && node.full && !primary.full,
            Passed::OverBound => nearness.is_eq() && !within(node) && within(primary),
            Passed::Busier => node.score > primary.score && selection.choice == Some(Choice::SecondChoice),
            Passed::NotPicked => nearness.is_eq() && matches!(selection.choice, Some(Choice::Spread | Choice::Panic)),
            Passed::Outscored => nearness.is_eq() && node.score <= primary.score,
        };
        assert!(true_of_it, "{why:?}: {node:?} beside {primary:?}");
    }
}

/// Whether the node has no more than its share with the transfer.
fn within(explained: &Explained) -> bool {
    explained.bound.is_none_or(|bound| explained.load + COST as f64 <= bound)
}

/// S1 to S3, judged from the explanation alone.
fn obeys(selection: &Selection<'_>, explanation: &Explanation) {
    confirm(selection, explanation);
    let eligible: Vec<_> =
        explanation.nodes.iter().filter(|explained| !matches!(explained.role, Role::Excluded(_))).collect();
    assert_eq!(selection.primary.is_none(), eligible.is_empty(), "S1");

    let mut chosen: Vec<_> = selection.primary.into_iter().chain(selection.alternates()).map(Candidate::id).collect();
    assert_eq!(chosen.len(), eligible.len().min(1 + Selection::MOST_ALTERNATES), "as many as there are");
    chosen.sort();
    chosen.dedup();
    assert_eq!(chosen.len(), eligible.len().min(1 + Selection::MOST_ALTERNATES), "S3");

    let Some(primary) = eligible.first() else { return };
    let others_in_tier = || eligible.iter().filter(|explained| explained.tier == primary.tier);
    match selection.choice.expect("there is a primary") {
        Choice::Panic => assert!(eligible.iter().all(|explained| explained.full), "panic only if everybody is full"),
        Choice::Unbounded => {
            assert!(!primary.full);
            assert!(others_in_tier().all(|explained| explained.full || !within(explained)), "S2");
        }
        Choice::Affinity | Choice::Bounded | Choice::SecondChoice | Choice::Spread => {
            assert!(!primary.full);
            assert!(within(primary), "S2");
        }
    }
}

#[derive(Debug, Clone)]
struct AnyNode {
    state: NodeState,
    place: (u8, u8),
    weight: u32,
    load: (u64, u32, f32, f32),
    sent: u64,
}

fn any_node() -> impl Strategy<Value = AnyNode> {
    let states =
        [NodeState::Up, NodeState::Up, NodeState::Up, NodeState::Suspect, NodeState::Draining, NodeState::Down];
    let load = (0..2 * GIGABIT, 0_u32..300, 0.0_f32..1.0, 0.0_f32..1.0);
    let fields = (proptest::sample::select(states.to_vec()), (0_u8..3, 0_u8..3), 1_u32..1_000, load, 0..GIGABIT);
    fields.prop_map(|(state, place, weight, load, sent)| AnyNode { state, place, weight, load, sent })
}

impl AnyNode {
    fn view(&self, id: usize) -> NodeView {
        let (bytes_per_second, transfers, cpu, disk) = self.load;
        let view = with_facts(node(&format!("n{id}")), |facts| {
            facts.weight = Weight::new(self.weight).expect("in bounds");
            facts.region = (self.place.0 > 0).then(|| format!("r{}", self.place.0).parse().expect("a good name"));
            facts.zone = (self.place.1 > 0).then(|| format!("z{}", self.place.1).parse().expect("a good name"));
        });
        let load = Load {
            bytes_per_second,
            transfers,
            cpu: Share::clamped(cpu),
            disk: Share::clamped(disk),
            ..Load::default()
        };
        NodeView { state: self.state, load, ..view }
    }
}

proptest! {
    #[test]
    fn every_selection_obeys_the_invariants(
        some in proptest::collection::vec(any_node(), 0..12),
        key in "[a-z]{1,8}",
        client in (0_u8..4, 0_u8..4, any::<u64>()),
        tried in proptest::collection::vec(0_usize..12, 0..3),
        spread in 1_u32..20,
    ) {
        let views: Vec<_> = some.iter().enumerate().map(|(id, node)| node.view(id)).collect();
        let table = table(&views);
        let corrections = Corrections::for_table(&table, None);
        for (id, node) in some.iter().enumerate() {
            let id = format!("n{id}").parse().expect("a good name");
            corrections.sent(table.find(&id).expect("in the table"), node.sent, NOW);
        }
        let mut question = Question::about(&key).from(&format!("r{}", client.0), &format!("z{}", client.1));
        question.client = client.2;
        question.tried = tried.iter().map(|id| format!("n{id}").parse().expect("a good name")).collect();

        let request = Request { spread, ..question.request() };
        let selection = select(&table, &corrections, &request);
        obeys(&selection, &explain(&table, &corrections, &request));
        let ids = |selection: &Selection<'_>| {
            selection.primary.into_iter().chain(selection.alternates()).map(|node| node.id().clone()).collect::<Vec<_>>()
        };
        // S4, also for the same words in another order.
        prop_assert_eq!(ids(&selection), ids(&select(&table, &corrections, &request)));
        let reversed = Table::from_views(views.iter().rev(), None, NOW);
        let again = Corrections::for_table(&reversed, Some(&corrections));
        prop_assert_eq!(ids(&selection), ids(&select(&reversed, &again, &request)));
        // S1, told from the views alone.
        let could = some.iter().enumerate().any(|(id, node)| node.state.selectable() && !tried.contains(&id));
        prop_assert_eq!(selection.primary.is_some(), could);
    }
}

fn placement(table: &Table, keys: usize) -> Vec<String> {
    (0..keys).map(|key| primary(table, &Question::about(&format!("key-{key}"))).expect("somebody")).collect()
}

#[test]
fn only_the_keys_of_a_node_that_leaves_move() {
    let views = nodes(10);
    let before = placement(&table(&views), 5_000);
    let after = placement(&table(&views[1..]), 5_000);
    let moved: BTreeSet<_> =
        before.iter().zip(&after).filter(|(before, after)| before != after).map(|(before, _)| before).collect();
    assert_eq!(moved, BTreeSet::from([&"n0".to_owned()]), "others' keys moved");
    let share = before.iter().filter(|owner| *owner == "n0").count() as f64 / 5_000.0;
    assert!((share - 0.1).abs() < 0.02, "{share} of the keys moved");
}

#[test]
fn keys_are_spread_by_weight() {
    let views: Vec<_> = [100, 200, 300, 400]
        .iter()
        .enumerate()
        .map(|(id, &weight)| {
            with_facts(node(&format!("n{id}")), |facts| facts.weight = Weight::new(weight).expect("in bounds"))
        })
        .collect();
    let mut hits = BTreeMap::<String, u32>::new();
    for owner in placement(&table(&views), 10_000) {
        *hits.entry(owner).or_default() += 1;
    }
    for (id, hits) in hits {
        let expected = 1_000.0 * (f64::from(id[1..].parse::<u32>().expect("a number")) + 1.0);
        assert!((f64::from(hits) / expected - 1.0).abs() < 0.1, "{id} has {hits} keys instead of {expected}");
    }
}

#[test]
fn an_operators_weight_goes_before_the_registered_one() {
    let weighed = |id: &str, registered, decided: Option<u32>| {
        let mut view = with_facts(node(id), |facts| facts.weight = Weight::new(registered).expect("in bounds"));
        view.intent.weight = decided.and_then(Weight::new);
        view
    };
    let registered = table(&[weighed("n0", 300, None), weighed("n1", 100, None)]);
    let mut decided = table(&[weighed("n0", 1, None), weighed("n1", 100, None)]);
    assert_ne!(placement(&decided, 500), placement(&registered, 500));
    // A word that differs in the decision alone.
    let word = weighed("n0", 1, Some(300));
    decided.apply([(&word.facts.id, Some(&word))], NOW);
    assert_eq!(placement(&decided, 500), placement(&registered, 500));

    // Of many, only some are looked at, by what all of them weigh together.
    let many = |registered, decided| -> Vec<_> {
        (0..200).map(|id| weighed(&format!("n{id}"), registered, decided)).collect()
    };
    let (mut table_of_many, words) = (table(&many(1, None)), many(1, Some(100)));
    table_of_many.apply(words.iter().map(|word| (&word.facts.id, Some(word))), NOW);
    assert_eq!(placement(&table_of_many, 500), placement(&table(&many(100, None)), 500));
}

#[test]
fn alternates_of_one_node_are_spread_over_all_the_others() {
    let table = table(&nodes(8));
    let mut seconds = BTreeSet::new();
    for key in 0..400 {
        let question = Question::about(&format!("key-{key}"));
        if primary(&table, &question).as_deref() == Some("n0") {
            seconds.insert(alternates(&table, &question).swap_remove(0));
        }
    }
    assert_eq!(seconds.len(), 7, "a node that dies would load only {seconds:?}");
}

#[test]
fn in_a_large_table_too_only_the_keys_of_a_node_that_leaves_move() {
    let views: Vec<_> = (0..600).map(|number| node(&format!("n{number}"))).collect();
    let before = placement(&table(&views), 2_000);
    let after = placement(&table(&views[1..]), 2_000);
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
    assert!(moved.clone().all(|(before, _)| before == "n0"), "others' keys moved");
    assert!((1..=12).contains(&moved.count()), "about one in 600");
}

#[test]
fn who_is_looked_at_in_a_large_table_is_who_would_win_among_all() {
    let views: Vec<_> = (0..600)
        .map(|number| {
            with_facts(node(&format!("n{number}")), |facts| {
                facts.weight = Weight::new(1 + number % 300).expect("in bounds");
            })
        })
        .collect();
    let (large, mut hits) = (table(&views), 0);
    for key in 0..500 {
        let question = Question::about(&format!("key-{key}"));
        let explanation = explain(&large, &Corrections::for_table(&large, None), &question.request());
        let best = explanation.nodes.iter().max_by(|one, other| one.score.total_cmp(&other.score)).expect("600 nodes");
        hits += usize::from(primary(&large, &question).as_deref() == Some(best.node.as_str()));
    }
    assert_eq!(hits, 500);
}

#[test]
fn in_a_large_table_the_last_free_node_is_found() {
    let mut views: Vec<_> = (0..600).map(|number| loaded(node(&format!("n{number}")), 1.0)).collect();
    views[77] = node("n77");
    for key in 0..20 {
        assert_eq!(primary(&table(&views), &Question::about(&format!("key-{key}"))).as_deref(), Some("n77"));
    }
}
