//! Two pictures that change places always show the same.

use std::time::Duration;

use ferry_core::{
    id::Incarnation,
    load::Load,
    merge::{Body, Epoch, Merge},
    node::{Freshness, Intent, NodeFacts, NodeState, NodeView},
    object::ObjectPath,
    place::Costs,
    selection::{Candidate, Client, Request, Scheme, select},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;

fn view(id: usize, zone: u8, state: NodeState, beat: u64, bytes_per_second: u64) -> NodeView {
    NodeView {
        facts: Arc::new(NodeFacts {
            address: Some("127.0.0.1:1".parse().expect("valid")),
            region: "r".parse().ok(),
            zone: format!("z{zone}").parse().ok(),
            ..NodeFacts::named(format!("n{id}").parse().expect("valid"))
        }),
        state,
        freshness: Freshness { incarnation: Incarnation(1), beat },
        load: Load { bytes_per_second, ..Load::default() },
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt: false,
    }
}

/// What a request would see of each node.
fn seen(table: &Table, corrections: &Corrections) -> Vec<String> {
    let node = |candidate: &Candidate| format!("{candidate:?} {}", corrections.of(candidate, Tick::default()));
    table.iter().map(node).collect()
}

#[test]
fn a_gateway_is_deaf_until_a_coordinator_is_heard_and_when_none_was_for_a_while() {
    let (current, at) = (Current::default(), |millis| Tick::from_origin(Duration::from_millis(millis)));
    assert!(current.is_deaf(at(0)));
    current.hear(at(1_000));
    assert!(!current.is_deaf(at(1_000)) && !current.is_deaf(at(3_500)));
    assert!(current.is_deaf(at(3_501)));
}

#[test]
fn a_picture_that_caught_up_is_the_one_that_was_always_changed() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut merge, mut always) = (Merge::default(), Table::default());
    let mut painter = Painter::new(Current::default());
    let mut held = Vec::new();
    for sequence in 1..400_u64 {
        let now = Tick::from_origin(Duration::from_millis(sequence * 300));
        let mut some = || {
            let state = [NodeState::Up, NodeState::Up, NodeState::Suspect, NodeState::Down][random.random_range(0..4)];
            let zone = u8::from(random.random_ratio(1, 20));
            view(random.random_range(0..6), zone, state, sequence, random.random_range(0..1_000_000))
        };
        let nodes = (0..3).map(|_| some()).collect();
        // The first word is a snapshot, and so is one now and then.
        let body = if sequence == 1 || random.random_ratio(1, 10) {
            Body::Snapshot { nodes, removed: Vec::new(), facts: GatewayFacts::default() }
        } else {
            Body::Delta { nodes, loads: Vec::new(), removed: Vec::new(), facts: None }
        };
        let epoch = Epoch { coordinator: "c".parse().expect("valid"), incarnation: Incarnation(1), sequence };
        merge.apply(now, &epoch, body).expect("a fresh word");
        let changed = merge.take_changes().nodes;
        always.apply(changed.iter().map(|id| (id, merge.view(id))), now);
        let published = painter.publish(merge.facts(), changed, |id| merge.view(id).map(Cow::Borrowed), now);
        let shown = seen(&published.table, &published.corrections);
        assert_eq!(shown, seen(&always, &published.corrections), "after {sequence} messages");
        assert_eq!(published.table.census(), &published.table.iter().map(Candidate::state).collect());
        // Now and then a request takes its time, and its picture does not change meanwhile.
        held.retain(|(shown, picture): &(Vec<String>, Arc<Snapshot>)| {
            assert_eq!(*shown, seen(&picture.table, &Corrections::for_table(&picture.table, None)));
            random.random_ratio(1, 2)
        });
        if random.random_ratio(1, 3) {
            held.push((seen(&published.table, &Corrections::for_table(&published.table, None)), published));
        }
    }
}

#[test]
fn what_was_sent_is_remembered_in_both_pictures() {
    let (mut merge, mut painter) = (Merge::default(), Painter::new(Current::default()));
    let mut publish = |sequence, body| {
        let epoch = Epoch { coordinator: "c".parse().expect("valid"), incarnation: Incarnation(1), sequence };
        merge.apply(Tick::default(), &epoch, body).expect("a fresh word");
        let changed = merge.take_changes().nodes;
        painter.publish(merge.facts(), changed, |id| merge.view(id).map(Cow::Borrowed), Tick::default())
    };
    let nodes = vec![view(1, 0, NodeState::Up, 1, 0)];
    let mut last = publish(1, Body::Snapshot { nodes, removed: Vec::new(), facts: GatewayFacts::default() });
    for beat in 2..6 {
        let candidate = last.table.iter().next().expect("one node");
        last.corrections.sent(candidate, 1000, Tick::default());
        let nodes = vec![view(1, 0, NodeState::Up, beat, 0)];
        last = publish(beat, Body::Delta { nodes, loads: Vec::new(), removed: Vec::new(), facts: None });
        let candidate = last.table.iter().next().expect("one node");
        assert_eq!(last.corrections.of(candidate, Tick::default()) as u64, (beat - 1) * 1000);
    }
}

#[test]
fn what_regions_cost_each_other_outlasts_every_change_of_the_picture() {
    let region = |name: &str| name.parse().expect("a good name");
    let costs = [("east", "north", 10), ("east", "west", 90)].map(|(from, to, cost)| (region(from), region(to), cost));
    let costs = Costs::new(costs).expect("a good matrix");
    let current = Current::begin(Table::default().with_costs(Arc::new(costs)));
    let mut painter = Painter::new(current.clone());
    let key = ObjectPath::from_decoded("a").expect("a good path");
    let east = region("east");
    // Both pictures have their turn, also when nodes come.
    for beat in 1..5 {
        let at = |id: usize| {
            let mut view = view(id, 0, NodeState::Up, beat as u64, 0);
            Arc::make_mut(&mut view.facts).region = Some(region(if id.is_multiple_of(2) { "west" } else { "north" }));
            view
        };
        let ids = (0..6 * beat).map(|id| format!("n{id}").parse().expect("valid")).collect();
        let number = |id: &NodeId| id.as_str()[1..].parse().expect("a number");
        painter.publish(&GatewayFacts::default(), ids, |id| Some(Cow::Owned(at(number(id)))), Tick::default());
        let picture = current.load();
        for affinity in ["a", "b", "c", "d", "e", "f"] {
            let client = Client { region: Some(&east), zone: None, hash: 7 };
            let (scheme, now) = (Scheme::Http, Tick::default());
            let question = Request {
                affinity,
                key: &key,
                client,
                scheme,
                tried: &[],
                doubted: &[],
                cost: 1,
                bytes: 1,
                spread: 1,
                now,
            };
            let chosen = select(&picture.table, &picture.corrections, &question).primary.expect("somebody");
            assert_eq!(chosen.facts().region, Some(region("north")));
        }
    }
}
