//! What is said of those who were not chosen.

use std::collections::BTreeMap;

use super::*;

fn explained(table: &Table, question: &Question) -> Explanation {
    let corrections = Corrections::for_table(table, None);
    let explanation = explain(table, &corrections, &question.request());
    laws::confirm(&select(table, &corrections, &question.request()), &explanation);
    explanation
}

/// The reasons of all who could have been chosen and are not even alternates, for many keys.
fn reasons(views: &[NodeView], question: impl Fn(&str) -> Question) -> BTreeMap<&'static str, usize> {
    let rules = Rules { clearly_less: 0.5, ..Rules::default() };
    let (table, mut seen) = (table(views).with_rules(rules), BTreeMap::new());
    for key in 0..100 {
        for node in explained(&table, &question(&format!("key-{key}"))).nodes {
            if let Role::Passed(why) = node.role {
                *seen.entry(why.name()).or_default() += 1;
            }
        }
    }
    seen
}

#[test]
fn those_of_a_large_tier_who_were_not_looked_at_are_not_said_to_have_lost() {
    let mut views = nodes(600);
    views[3].state = NodeState::Down;
    let explanation = explained(&table(&views), &Question::about("a"));
    let with = |wanted: fn(&Role) -> bool| explanation.nodes.iter().filter(move |node| wanted(&node.role)).count();
    let (lost, not_drawn) = (with(|role| matches!(role, Role::Passed(_))), with(|role| *role == Role::NotDrawn));
    assert!(lost < 60, "{lost} of about 24 that are looked at");
    assert_eq!(lost + not_drawn + 4 + 1, 600, "with the chosen ones and the one that is down");
    assert_eq!(explanation.tiers[0].nodes, lost + 4, "what is said of the tier is of those who are looked at");
    let few = explained(&table(&nodes(32)), &Question::about("a"));
    assert!(few.nodes.iter().all(|node| node.role != Role::NotDrawn));
}

#[test]
fn in_an_idle_cluster_a_node_loses_by_its_score_or_by_its_distance() {
    let idle = reasons(&nodes(8), Question::about);
    assert_eq!(idle, BTreeMap::from([(Passed::Outscored.name(), 400)]));
    // Alternates come from other failure domains first: of the client's own region one node is left, too.
    let places: Vec<_> =
        nodes(8).into_iter().enumerate().map(|(i, view)| at(view, if i < 6 { "eu" } else { "us" }, "a")).collect();
    let apart = reasons(&places, |key| Question::about(key).from("us", "a"));
    assert_eq!(apart, BTreeMap::from([(Passed::Farther.name(), 300), (Passed::Outscored.name(), 100)]));
}

#[test]
fn in_a_busy_cluster_a_node_loses_by_its_load() {
    // Who is busier than the second choice is the first alternate, but where other failure domains have enough of them.
    let mut views: Vec<_> =
        (0..12).map(|i| at(loaded(node(&format!("n{i}")), 0.4), "eu", if i < 8 { "a" } else { "b" })).collect();
    for (number, share) in [(0, 0.97), (1, 0.9), (2, 0.01)] {
        views[number] = at(loaded(node(&format!("n{number}")), share), "eu", "a");
    }
    let seen = reasons(&views, |key| Question::about(key).from("eu", "a"));
    for why in [Passed::Full, Passed::OverBound, Passed::Busier, Passed::Outscored] {
        assert!(seen.contains_key(why.name()), "{why:?} is not among {seen:?}");
    }
}

#[test]
fn a_tier_that_passes_requests_on_says_how_many_and_what_was_drawn() {
    let mut views: Vec<_> = nodes(6).into_iter().map(|view| at(loaded(view, 0.875), "eu", "a")).collect();
    views.extend((6..8).map(|number| at(node(&format!("n{number}")), "us", "a")));
    let (table, mut spilled) = (table(&views), 0);
    for client in 0..100_u64 {
        let mut question = Question::about("a").from("eu", "a");
        question.client = client.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let explanation = explained(&table, &question);
        let [zone, elsewhere] = explanation.tiers[..] else { panic!("{:?}", explanation.tiers) };
        assert_eq!((zone.tier, elsewhere.tier), (Tier::Zone, Tier::Elsewhere));
        assert!((0.4..0.6).contains(&zone.passes_on), "{zone:?}");
        assert_eq!(explanation.spilled, zone.drawn < zone.passes_on, "{zone:?}");
        spilled += u32::from(explanation.spilled);
    }
    assert!((30..70).contains(&spilled), "{spilled}");
    assert!(reasons(&views, |key| Question::about(key).from("eu", "a")).contains_key(Passed::Spilled.name()));
}

#[test]
fn evidence_that_is_not_believed_is_still_told() {
    let doubted = |ids: &[&str]| Question {
        doubted: ids.iter().map(|id| id.parse().expect("a good name")).collect(),
        ..Question::about("a")
    };
    let table = table(&nodes(4));
    let counts = explained(&table, &doubted(&["n0"]));
    let of_n0 = counts.nodes.iter().find(|node| node.node.as_str() == "n0").expect("it is there");
    assert_eq!((of_n0.role, of_n0.doubted), (Role::Excluded(Exclusion::Doubted), true));
    assert!(!counts.tiers[0].evidence_ignored);
    let ignored = explained(&table, &doubted(&["n0", "n1", "n2"]));
    assert!(ignored.tiers[0].evidence_ignored);
    assert!(ignored.nodes.iter().all(|node| !matches!(node.role, Role::Excluded(_))));
    assert_eq!(ignored.nodes.iter().filter(|node| node.doubted).count(), 3);
}

#[test]
fn a_key_that_is_spread_says_whether_this_client_is_led_to_another_part_of_it() {
    let table = table(&nodes(8));
    let corrections = Corrections::for_table(&table, None);
    let question = Question::about("hot");
    let mut whole = 0;
    for client in 0..100_u64 {
        let question = Question { client: client.wrapping_mul(0x9e37_79b9_7f4a_7c15), ..question.clone() };
        let request = Request { spread: 4, ..question.request() };
        let explanation = explain(&table, &corrections, &request);
        whole += u32::from(explanation.whole);
    }
    assert!((10..60).contains(&whole), "{whole}: one of four, or one of two of four");
    assert!(explained(&table, &question).whole);
}

#[test]
fn suspects_that_serve_for_want_of_others_are_told_to_be_late() {
    let suspect = table(&[in_state(node("suspect"), NodeState::Suspect)]);
    assert!(explained(&suspect, &Question::about("a")).late);
    assert!(!explained(&table(&nodes(1)), &Question::about("a")).late);
    assert!(!explained(&Table::default(), &Question::about("a")).late, "nobody serves");
}
