//! Examples of who is eligible and how near; `balance` has those of load, `departed` those of nodes that are registered and gone, `explained` those of what is said of it, and `laws` what holds for any table.

mod balance;
mod departed;
mod explained;
mod laws;
mod regions;

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

use super::*;
use crate::{
    id::Incarnation,
    load::{Load, Share},
    node::{Duty, Freshness, Intent, NodeFacts, NodeState, NodeView, Weight},
};

const NOW: Tick = Tick::from_origin(Duration::from_secs(1_000));
const GIGABIT: u64 = 125_000_000;
const COST: u64 = 1_000_000;
/// So long a transfer that the lower bound holds.
const BYTES: u64 = 1_000_000_000;

/// A node that is UP, idle, and reached at `ID.example:8001`.
fn node(id: &str) -> NodeView {
    NodeView {
        facts: Arc::new(NodeFacts {
            address: format!("{id}.example:8001").parse().ok(),
            capacity: NonZeroU64::new(GIGABIT),
            software: "test".to_owned(),
            ..NodeFacts::named(id.parse().expect("a good name"))
        }),
        state: NodeState::Up,
        freshness: Freshness { incarnation: Incarnation(1), beat: 1 },
        load: Load::default(),
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt: false,
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
    client: u64,
    region: Option<Region>,
    zone: Option<Zone>,
    scheme: Scheme,
    tried: Vec<NodeId>,
    doubted: Vec<NodeId>,
}

impl Question {
    fn about(key: &str) -> Self {
        Self {
            affinity: key.to_owned(),
            key: ObjectPath::from_decoded(key).expect("a good path"),
            client: 0,
            region: None,
            zone: None,
            scheme: Scheme::Http,
            tried: Vec::new(),
            doubted: Vec::new(),
        }
    }

    fn from(mut self, region: &str, zone: &str) -> Self {
        (self.region, self.zone) = (region.parse().ok(), zone.parse().ok());
        self
    }

    fn request(&self) -> Request<'_> {
        let Self { affinity, key, client, region, zone, scheme, tried, doubted } = self;
        let client = Client { region: region.as_ref(), zone: zone.as_ref(), hash: *client };
        Request {
            affinity,
            key,
            client,
            scheme: *scheme,
            tried,
            doubted,
            cost: COST,
            bytes: BYTES,
            spread: 1,
            now: NOW,
        }
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
    drained.intent.duty = Duty::Drain;
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
    let table = table(&[only("a", "video"), only("b", "/video/hd/"), only("c", "other"), only("d", "/")]);
    let served_by = |key: &str| {
        let question = Question::about(key);
        let mut ids: Vec<_> = primary(&table, &question).into_iter().chain(alternates(&table, &question)).collect();
        ids.sort();
        ids.join(" ")
    };
    for (key, ids) in [
        ("video/x", "a d"),
        ("video/hd/x", "a b d"),
        ("video/hdx", "a d"),
        ("videos/x", "d"),
        ("other", "c d"),
        ("x/video", "d"),
    ] {
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
fn of_two_words_on_one_node_the_fresher_counts() {
    let mut late = in_state(node("n"), NodeState::Down);
    late.freshness.beat = 0;
    for views in [[node("n"), late.clone()], [late, node("n")]] {
        let table = table(&views);
        assert_eq!(table.len(), 1);
        assert_eq!(primary(&table, &Question::about("a")).as_deref(), Some("n"));
    }
}

#[test]
fn evidence_leaves_a_node_out_but_never_more_than_half_of_a_tier() {
    let table = table(&nodes(4));
    let doubting = |ids: &[&str]| {
        let doubted: Vec<NodeId> = ids.iter().map(|id| id.parse().expect("a good name")).collect();
        let ask = |key: u32| {
            let question = Question { doubted: doubted.clone(), ..Question::about(&format!("key-{key}")) };
            primary(&table, &question).expect("somebody")
        };
        (0..50).map(ask).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(doubting(&["n0", "n1"]).into_iter().collect::<Vec<_>>(), ["n2", "n3"]);
    assert_eq!(doubting(&["n0", "n1", "n2"]).len(), 4, "a bad signal must not empty the table");
}

#[test]
fn a_key_that_is_spread_has_as_many_nodes_and_keeps_its_first() {
    let table = table(&nodes(50));
    let corrections = Corrections::for_table(&table, None);
    let mut question = Question::about("hot");
    let first = primary(&table, &question).expect("fifty nodes");
    let served: std::collections::BTreeSet<_> = (0..200_u64)
        .map(|client| {
            question.client = client.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let request = Request { spread: 5, ..question.request() };
            select(&table, &corrections, &request).primary.expect("fifty nodes").id().to_string()
        })
        .collect();
    assert!((4..=5).contains(&served.len()) && served.contains(&first), "{served:?}, first {first}");
}
