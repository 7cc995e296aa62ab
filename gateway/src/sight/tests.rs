//! One gateway, one coordinator that falls silent and comes back.

use std::sync::Arc;

use ferry_core::{
    load::Load,
    merge::{Body, Epoch, GatewayFacts},
    node::{Freshness, Intent, NodeFacts, NodeState},
};

use super::*;

fn at(millis: u64) -> Tick {
    Tick::from_origin(Duration::from_millis(millis))
}

fn view(id: &str, bytes_per_second: u64) -> NodeView {
    NodeView {
        facts: Arc::new(NodeFacts {
            address: Some("127.0.0.1:1".parse().expect("valid")),
            ..NodeFacts::named(id.parse().expect("valid"))
        }),
        state: NodeState::Up,
        freshness: Freshness { incarnation: Incarnation(1), beat: 1 },
        load: Load { bytes_per_second, ..Load::default() },
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt: false,
    }
}

struct Gateway {
    merge: Merge,
    sight: Sight,
    now: u64,
    /// How often anything was painted.
    painted: usize,
}

impl Gateway {
    fn new() -> Self {
        Self { merge: Merge::default(), sight: Sight::new(at(0)), now: 0, painted: 0 }
    }

    fn hear(&mut self, sequence: u64) {
        let epoch = Epoch { coordinator: "c".parse().expect("valid"), incarnation: Incarnation(1), sequence };
        let nodes = vec![view("a", 1000), view("b", 3000)];
        let body = Body::Snapshot { nodes, removed: Vec::new(), facts: GatewayFacts::default() };
        self.merge.apply(at(self.now), &epoch, body).expect("a fresh word");
        self.look();
    }

    fn look(&mut self) {
        self.merge.pass(at(self.now));
        let changed = self.merge.take_changes().nodes;
        let repainted = self.sight.look(at(self.now), &self.merge, &changed);
        self.painted += usize::from(!(changed.is_empty() && repainted.is_empty()));
    }

    /// Goes from deadline to deadline, as the keeper does; who is probed answers as told.
    fn run(&mut self, until: u64, outcome: impl Fn(&str) -> Probe) {
        loop {
            let deadlines =
                [self.merge.next_deadline(at(self.now)), self.sight.next_deadline(at(self.now), &self.merge)];
            let next = deadlines.into_iter().flatten().min().map(|at| at.since_origin().as_millis() as u64);
            let Some(next) = next.filter(|next| *next < until) else { break };
            self.now = next.max(self.now + 1);
            self.look();
            for (id, life) in self.sight.take_due(at(self.now)) {
                self.sight.probed(at(self.now), &id, life, Some(outcome(id.as_str())));
            }
        }
        self.now = until;
        self.look();
    }

    fn seen(&self) -> Vec<(NodeState, u64)> {
        let word = |id: &str| self.sight.word(at(self.now), &self.merge, &id.parse().expect("valid")).expect("known");
        ["a", "b"].map(|id| (word(id).state, word(id).load.bytes_per_second)).to_vec()
    }
}

#[test]
fn loads_fade_and_nodes_are_looked_at_when_nobody_speaks_and_all_stands_as_said_when_somebody_does() {
    let mut gateway = Gateway::new();
    gateway.hear(1);
    assert_eq!(gateway.seen(), [(NodeState::Up, 1000), (NodeState::Up, 3000)]);
    gateway.run(2000, |_| Probe::Well);
    assert_eq!(gateway.seen(), [(NodeState::Up, 1000), (NodeState::Up, 3000)], "two seconds are no age");
    gateway.run(9_000, |_| Probe::Well);
    let [(NodeState::Up, a), (NodeState::Up, b)] = gateway.seen()[..] else {
        panic!("nobody was looked at: {:?}", gateway.seen())
    };
    assert!(1000 < a && a < 2000 && 2000 < b && b < 3000, "between what was said and the average: {a} {b}");
    let outcome = |id: &str| if id == "a" { Probe::Unwell } else { Probe::Well };
    gateway.run(12_000, outcome);
    assert_eq!(gateway.seen().iter().map(|(state, _)| *state).collect::<Vec<_>>(), [NodeState::Down, NodeState::Up]);
    gateway.run(100_000, outcome);
    assert_eq!(gateway.seen(), [(NodeState::Down, 2000), (NodeState::Up, 2000)]);
    gateway.hear(2);
    assert_eq!(gateway.seen(), [(NodeState::Up, 1000), (NodeState::Up, 3000)], "no flap, no empty table");
}

#[test]
fn a_node_that_crashes_with_the_last_coordinator_is_out_five_seconds_later() {
    let mut gateway = Gateway::new();
    gateway.hear(1);
    let outcome = |id: &str| if id == "a" { Probe::Unwell } else { Probe::Well };
    gateway.run(1400, outcome);
    assert_eq!(gateway.seen()[0].0, NodeState::Up, "a stream that broke may be redialled");
    gateway.run(5000, outcome);
    assert_eq!(gateway.seen()[0].0, NodeState::Down);
}

#[test]
fn what_has_faded_costs_nothing_more() {
    let mut gateway = Gateway::new();
    gateway.hear(1);
    gateway.run(100_000, |_| Probe::Well);
    let painted = gateway.painted;
    assert!((55..=70).contains(&painted), "once a second for a minute: {painted}");
    gateway.run(200_000, |_| Probe::Well);
    assert_eq!(gateway.painted, painted);
}

#[test]
fn a_gateway_that_starts_from_a_copy_looks_at_its_nodes_before_it_would_miss_a_coordinator() {
    let mut gateway = Gateway::new();
    gateway.merge = Merge::from_saved(vec![view("a", 0), view("b", 0)], Vec::new(), GatewayFacts::default());
    gateway.look();
    gateway.run(1500, |id| if id == "a" { Probe::Well } else { Probe::Unwell });
    let state = |gateway: &Gateway, id: &str| {
        let id = id.parse().expect("valid");
        gateway.sight.word(at(gateway.now), &gateway.merge, &id).map(|view| view.state)
    };
    assert_eq!(state(&gateway, "a"), Some(NodeState::Up));
    assert_eq!(state(&gateway, "b"), Some(NodeState::Down), "it had died before the copy was read");
    gateway.hear(1);
    assert_eq!(state(&gateway, "b"), Some(NodeState::Up), "a coordinator knows better");
}
