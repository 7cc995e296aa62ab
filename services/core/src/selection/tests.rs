//! Examples of selection; the laws that hold for any table are in `laws`.

mod laws;

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use super::*;
use crate::{
    id::Incarnation,
    load::{Load, Share},
    node::{Freshness, Intent, NodeFacts, NodeState, NodeView, Weight},
};

const NOW: Tick = Tick::from_origin(Duration::from_secs(1_000));
const GIGABIT: u64 = 125_000_000;
const COST: u64 = 1_000_000;

/// A node that is UP, idle, and reached at `ID.example:8001`.
fn node(id: &str) -> NodeView {
    NodeView {
        facts: Arc::new(NodeFacts {
            id: id.parse().expect("a good name"),
            address: format!("{id}.example:8001").parse().ok(),
            tls_address: None,
            admin_address: None,
            region: None,
            zone: None,
            weight: Weight::default(),
            capacity: NonZeroU64::new(GIGABIT),
            max_transfers: None,
            prefixes: Vec::new(),
            software: "test".to_owned(),
        }),
        state: NodeState::Up,
        freshness: Freshness { incarnation: Incarnation(1), beat: 1 },
        load: Load::default(),
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
    }
}

fn nodes(count: usize) -> Vec<NodeView> {
    (0..count).map(|index| node(&format!("n{index}"))).collect()
}

fn with_facts(mut view: NodeView, change: impl FnOnce(&mut NodeFacts)) -> NodeView {
    change(Arc::make_mut(&mut view.facts));
    view
}

fn at(view: NodeView, region: &str, zone: &str) -> NodeView {
    with_facts(view, |facts| (facts.region, facts.zone) = (region.parse().ok(), zone.parse().ok()))
}

/// With so many transfers under way that the link is all that counts, `share` of it in use.
fn loaded(mut view: NodeView, share: f64) -> NodeView {
    let capacity = view.facts.capacity.expect("set").get();
    view.load = Load { bytes_per_second: (capacity as f64 * share) as u64, transfers: 1_000, ..Load::default() };
    view
}

fn in_state(view: NodeView, state: NodeState) -> NodeView {
    NodeView { state, ..view }
}

/// A question that the tests change piece by piece.
#[derive(Clone)]
struct Question {
    affinity: String,
    key: ObjectPath,
    client: Client,
    scheme: Scheme,
    tried: Vec<NodeId>,
}

impl Question {
    fn about(key: &str) -> Self {
        Self {
            affinity: key.to_owned(),
            key: ObjectPath::from_decoded(key).expect("a good path"),
            client: Client::default(),
            scheme: Scheme::Http,
            tried: Vec::new(),
        }
    }

    fn from(mut self, region: &str, zone: &str) -> Self {
        (self.client.region, self.client.zone) = (region.parse().ok(), zone.parse().ok());
        self
    }

    fn request(&self) -> Request<'_> {
        let Self { affinity, key, client, scheme, tried } = self;
        Request { affinity, key, client, scheme: *scheme, tried, cost: COST, now: NOW }
    }
}

fn table(views: &[NodeView]) -> Table {
    Table::from_views(views, None, NOW)
}

/// Asks once, and has `explain` confirm it.
fn ask<'t>(table: &'t Table, question: &Question) -> Selection<'t> {
    let corrections = Corrections::for_table(table, None);
    let selection = select(table, &corrections, &question.request());
    laws::confirm(&selection, &explain(table, &corrections, &question.request()));
    selection
}

fn primary(table: &Table, question: &Question) -> Option<String> {
    ask(table, question).primary.map(|candidate| candidate.id().to_string())
}

fn alternates(table: &Table, question: &Question) -> Vec<String> {
    ask(table, question).alternates().map(|candidate| candidate.id().to_string()).collect()
}

fn role(table: &Table, question: &Question, id: &str) -> Role {
    let explanation = explain(table, &Corrections::for_table(table, None), &question.request());
    explanation.nodes.into_iter().find(|explained| explained.node.as_str() == id).expect("a known node").role
}

#[test]
fn an_empty_table_gives_nobody() {
    let table = Table::default();
    assert!(ask(&table, &Question::about("a")).primary.is_none());
}

#[test]
fn nobody_who_is_down_draining_or_drained_gets_a_client() {
    let mut drained = node("drained");
    drained.intent.drain = true;
    let table =
        table(&[in_state(node("down"), NodeState::Down), in_state(node("draining"), NodeState::Draining), drained]);
    let question = Question::about("a");
    assert_eq!(primary(&table, &question), None);
    assert_eq!(role(&table, &question, "down"), Role::Excluded(Exclusion::Down));
    assert_eq!(role(&table, &question, "draining"), Role::Excluded(Exclusion::Draining));
    assert_eq!(role(&table, &question, "drained"), Role::Excluded(Exclusion::Draining));
}

#[test]
fn a_suspect_is_chosen_only_if_nobody_else_is_left() {
    let suspect = in_state(node("suspect"), NodeState::Suspect);
    let question = Question::about("a");
    let both = table(&[suspect.clone(), node("up")]);
    assert_eq!(primary(&both, &question).as_deref(), Some("up"));
    assert!(alternates(&both, &question).is_empty());
    assert_eq!(role(&both, &question, "suspect"), Role::Excluded(Exclusion::Suspect));
    assert_eq!(primary(&table(std::slice::from_ref(&suspect)), &question).as_deref(), Some("suspect"));
    let tried = Question { tried: vec!["up".parse().expect("a good name")], ..question };
    assert_eq!(primary(&table(&[suspect, node("up")]), &tried).as_deref(), Some("suspect"));
}

#[test]
fn whoever_was_tried_is_left_out_even_if_that_leaves_nobody() {
    let table = table(&nodes(2));
    let mut question = Question::about("a");
    let first = ask(&table, &question).primary.expect("two nodes").id().clone();
    question.tried.push(first.clone());
    let selection = ask(&table, &question);
    let second = selection.primary.expect("one node").id().clone();
    assert_ne!(first, second);
    assert!(selection.tried_left_out);
    question.tried.push(second);
    let selection = ask(&table, &question);
    assert!(selection.primary.is_none() && selection.tried_left_out);
}

#[test]
fn a_node_gets_only_keys_below_its_prefixes() {
    let only = |id: &str, prefix: &str| with_facts(node(id), |facts| facts.prefixes = vec![prefix.to_owned()]);
    let table = table(&[only("a", "video"), only("b", "/video/hd/"), only("c", "other")]);
    let served_by = |key: &str| {
        let question = Question::about(key);
        let mut ids: Vec<_> = primary(&table, &question).into_iter().chain(alternates(&table, &question)).collect();
        ids.sort();
        ids.join(" ")
    };
    for (key, ids) in
        [("video/x", "a"), ("video/hd/x", "a b"), ("video/hdx", "a"), ("videos/x", ""), ("other", "c"), ("x/video", "")]
    {
        assert_eq!(served_by(key), ids, "{key}");
    }
}

#[test]
fn a_client_on_tls_is_sent_to_tls_only() {
    let secure = with_facts(node("secure"), |facts| {
        facts.address = None;
        facts.tls_address = "secure.example:8443".parse().ok();
    });
    let table = table(&[node("plain"), secure]);
    let question = Question { scheme: Scheme::Https, ..Question::about("a") };
    let selection = ask(&table, &question);
    let endpoints: Vec<_> = selection.endpoints(Scheme::Https).collect();
    assert_eq!(endpoints.len(), 1);
    assert_eq!((endpoints[0].authority.as_str(), endpoints[0].scheme()), ("secure.example:8443", "https"));
    assert_eq!(role(&table, &question, "plain"), Role::Excluded(Exclusion::Unreachable));
    assert_eq!(ask(&table, &Question::about("a")).endpoints(Scheme::Http).count(), 2, "plain HTTP may be upgraded");
}

#[test]
fn the_nearest_tier_serves_and_others_stand_by_in_other_failure_domains() {
    let table = table(&[
        at(node("eu-a1"), "eu", "a"),
        at(node("eu-a2"), "eu", "a"),
        at(node("eu-b1"), "eu", "b"),
        at(node("us-a1"), "us", "a"),
    ]);
    for key in ["a", "b", "c", "d", "e", "f"] {
        let question = Question::about(key).from("eu", "a");
        let selection = ask(&table, &question);
        let first = selection.primary.expect("four nodes").id().to_string();
        assert!(first.starts_with("eu-a"), "{first} for {key}");
        assert_eq!(selection.tier, Some(Tier::Zone));
        let twin = if first == "eu-a1" { "eu-a2" } else { "eu-a1" };
        assert_eq!(alternates(&table, &question), ["eu-b1", "us-a1", twin]);
    }
    let from = |region: &str, zone: &str| primary(&table, &Question::about("x").from(region, zone));
    assert_eq!(from("us", "z").as_deref(), Some("us-a1"));
    assert_eq!(from("eu", "b").as_deref(), Some("eu-b1"));
    assert!(from("asia", "a").is_some());
}

#[test]
fn a_tier_spills_in_proportion_to_its_utilisation_and_the_same_requests_each_time() {
    let spilled = |utilisation: f64| {
        let table = table(&[loaded(at(node("near"), "eu", "a"), utilisation), loaded(at(node("far"), "us", "a"), 0.1)]);
        let far = |client: u64| {
            let mut question = Question::about("a").from("eu", "a");
            question.client.hash = client;
            let selection = ask(&table, &question);
            assert_eq!(selection.spilled, selection.tier == Some(Tier::Elsewhere));
            selection.spilled
        };
        let once: Vec<bool> = (0..2_000).map(far).collect();
        assert_eq!(once, (0..2_000).map(far).collect::<Vec<_>>());
        once.into_iter().filter(|&far| far).count() as f64 / 2_000.0
    };
    assert_eq!(spilled(0.5), 0.0);
    assert_eq!(spilled(0.79), 0.0);
    assert!((spilled(0.875) - 0.5).abs() < 0.04);
    assert_eq!(spilled(0.96), 1.0);
}

#[test]
fn a_tier_does_not_spill_into_one_that_is_worse_off() {
    let table = table(&[loaded(at(node("near"), "eu", "a"), 0.93), loaded(at(node("far"), "us", "a"), 0.94)]);
    for client in 0..100 {
        let mut question = Question::about("a").from("eu", "a");
        question.client.hash = client;
        assert_eq!(primary(&table, &question).as_deref(), Some("near"));
    }
}

#[test]
fn a_busy_node_takes_no_more_than_its_share() {
    let idle = table(&nodes(4));
    let question = Question::about("popular");
    let owner = primary(&idle, &question).expect("four nodes");
    let mut views = nodes(4);
    for view in &mut views {
        *view = loaded(view.clone(), if view.facts.id.as_str() == owner { 0.7 } else { 0.5 });
    }
    let busy = table(&views);
    let selection = ask(&busy, &question);
    assert_ne!(selection.primary.expect("four nodes").id().as_str(), owner);
    assert_eq!(selection.choice, Some(Choice::Bounded));
}

#[test]
fn an_idle_cluster_keeps_a_key_where_it_is() {
    let question = Question::about("popular");
    let owner = primary(&table(&nodes(4)), &question).expect("four nodes");
    let mut views = nodes(4);
    for view in views.iter_mut().filter(|view| view.facts.id.as_str() == owner) {
        *view = loaded(view.clone(), 0.29);
    }
    assert_eq!(primary(&table(&views), &question), Some(owner));
}

#[test]
fn of_two_choices_the_clearly_less_loaded_one_wins() {
    let question = Question::about("popular");
    let owner = primary(&table(&nodes(8)), &question).expect("eight nodes");
    let second = alternates(&table(&nodes(8)), &question).swap_remove(0);
    let with = |second_share: f64| {
        let mut views = nodes(8);
        for view in &mut views {
            *view = loaded(view.clone(), if view.facts.id.as_str() == second { second_share } else { 0.5 });
        }
        let table = table(&views);
        let selection = ask(&table, &question);
        (selection.primary.expect("eight nodes").id().to_string(), selection.choice)
    };
    assert_eq!(with(0.40), (owner, Some(Choice::Affinity)));
    assert_eq!(with(0.35), (second, Some(Choice::SecondChoice)));
}

#[test]
fn a_full_node_gets_nothing_unless_that_leaves_nobody() {
    let question = Question::about("a");
    let owner = primary(&table(&nodes(5)), &question).expect("five nodes");
    let second = alternates(&table(&nodes(5)), &question).swap_remove(0);
    let fill = |full: &[&str]| {
        let mut views = nodes(5);
        for view in &mut views {
            *view = loaded(view.clone(), 0.2);
            let share = if full.contains(&view.facts.id.as_str()) { 0.96 } else { 0.0 };
            view.load.disk = Share::clamped(share);
        }
        table(&views)
    };
    // The owner is within its bound: nothing but its disk keeps the key away.
    assert_eq!(primary(&fill(&[]), &question).as_ref(), Some(&owner));
    assert_ne!(primary(&fill(&[&owner]), &question).as_ref(), Some(&owner));
    assert!(!alternates(&fill(&[&owner]), &question).contains(&owner), "three others are not full");
    assert!(!alternates(&fill(&[&second]), &question).contains(&second), "three others are not full");
    let all = fill(&["n0", "n1", "n2", "n3", "n4"]);
    let selection = ask(&all, &question);
    assert_eq!(selection.primary.expect("five nodes").id().as_str(), owner);
    assert_eq!(selection.choice, Some(Choice::Panic));
}

#[test]
fn one_fast_client_does_not_make_a_node_full_but_many_that_starve_do() {
    let with = |transfers: u32| {
        let mut busy = node("busy");
        busy.load = Load { bytes_per_second: GIGABIT, transfers, ..Load::default() };
        let table = table(&[busy]);
        ask(&table, &Question::about("a")).choice
    };
    assert_eq!(with(1), Some(Choice::Affinity));
    assert_eq!(with(130), Some(Choice::Panic));
}

#[test]
fn what_a_gateway_sent_a_moment_ago_counts_as_load() {
    let table = table(&nodes(3));
    let corrections = Corrections::for_table(&table, None);
    let question = Question::about("popular");
    let mut hits = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..600 {
        let request = Request { cost: 5 * COST, ..question.request() };
        let chosen = select(&table, &corrections, &request).primary.expect("three nodes");
        corrections.sent(chosen, request.cost, NOW);
        *hits.entry(chosen.id().to_string()).or_default() += 1;
    }
    assert_eq!(hits.len(), 3, "one key herded onto one node: {hits:?}");
    assert!(hits.values().all(|&hits| hits < 300), "{hits:?}");

    // A new table forgets none of it, and finds each node's own whatever place it has now.
    let mut views = nodes(3);
    views.push(node("a-new-one"));
    let grown = Table::from_views(&views, Some(&table), NOW);
    let carried = Corrections::for_table(&grown, Some(&corrections));
    for (id, hits) in hits {
        let candidate = grown.find(&id.parse().expect("a good name")).expect("still there");
        let expected = f64::from(hits) * 5e6;
        assert!((carried.of(candidate, NOW) / expected - 1.0).abs() < 1e-3);
    }
}

#[test]
fn loads_rise_quickly_and_fall_slowly_however_often_the_table_is_built() {
    let beat = |beat: u64, bytes_per_second: u64| {
        let freshness = Freshness { incarnation: Incarnation(1), beat };
        NodeView { freshness, load: Load { bytes_per_second, ..Load::default() }, ..node("n") }
    };
    let load = |table: &Table| table.iter().next().expect("one node").load();
    let after = |earlier: &Table, view: &NodeView, steps: u32| {
        let step = Duration::from_secs(2) / steps;
        (1..=steps).fold(earlier.clone(), |table, passed| {
            Table::from_views([view], Some(&table), earlier.built() + step * passed)
        })
    };
    let idle = table(&[beat(1, 0)]);
    for steps in [1, 20] {
        let risen = after(&idle, &beat(2, 1_000_000), steps);
        assert!((load(&risen) / 632_121.0 - 1.0).abs() < 1e-3, "one time constant: {}", load(&risen));
        let falling = after(&risen, &beat(3, 0), steps);
        assert!((load(&falling) / 517_536.0 - 1.0).abs() < 1e-3, "a fifth of one: {}", load(&falling));
    }
    let mut reborn = beat(1, 7);
    reborn.freshness.incarnation = Incarnation(2);
    assert_eq!(load(&after(&table(&[beat(9, 1_000_000)]), &reborn, 1)), 7.0, "a new life owes nothing to the old one");
}

#[test]
fn of_two_words_on_one_node_the_fresher_counts() {
    let mut late = in_state(node("n"), NodeState::Down);
    late.freshness.beat = 0;
    for views in [[node("n"), late.clone()], [late, node("n")]] {
        let table = table(&views);
        assert_eq!(table.len(), 1);
        assert_eq!(primary(&table, &Question::about("a")).as_deref(), Some("n"));
    }
}
