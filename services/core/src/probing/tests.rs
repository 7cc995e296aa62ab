use std::sync::Arc;

use super::*;
use crate::{
    load::Load,
    node::{Freshness, Intent, NodeFacts},
};

fn at(millis: u64) -> Tick {
    Tick::from_origin(Duration::from_millis(millis))
}

fn view(id: &str, state: NodeState, in_doubt: bool) -> NodeView {
    let facts = NodeFacts::named(id.parse().expect("valid"));
    NodeView {
        facts: Arc::new(facts),
        state,
        freshness: Freshness { incarnation: Incarnation(1), beat: 1 },
        load: Load::default(),
        heard_ago: Duration::ZERO,
        intent: Intent::default(),
        in_doubt,
    }
}

/// A gateway's own eyes, and what coordinators say.
struct Watch {
    probing: Probing,
    views: Vec<NodeView>,
}

impl Watch {
    fn of(views: Vec<NodeView>) -> Self {
        let mut probing = Probing::default();
        views.iter().for_each(|view| probing.note(at(0), view));
        Self { probing, views }
    }

    fn say(&mut self, now: u64, state: NodeState, in_doubt: bool) {
        for view in &mut self.views {
            (view.state, view.in_doubt) = (state, in_doubt);
            self.probing.note(at(now), view);
        }
    }

    /// Lets time pass, in which every probe comes out as told 500 ms after it was begun; returns how many were begun.
    fn run(&mut self, from: u64, until: u64, outcome: impl Fn(&str) -> Probe) -> usize {
        let (mut begun, mut under_way) = (0, Vec::new());
        for now in (from..=until).step_by(100) {
            let due: Vec<_> =
                under_way.extract_if(.., |(when, ..): &mut (u64, NodeId, Incarnation)| *when <= now).collect();
            for (_, id, life) in due {
                self.probing.probed(at(now), &id, life, outcome(id.as_str()));
            }
            for (id, life) in self.probing.take_due(at(now)) {
                begun += 1;
                under_way.push((now + 500, id, life));
            }
        }
        // What is left comes to its end.
        for (when, id, life) in under_way {
            self.probing.probed(at(when), &id, life, outcome(id.as_str()));
        }
        begun
    }

    fn states(&self) -> Vec<NodeState> {
        self.views.iter().map(|view| self.probing.judge(view)).collect()
    }
}

fn two(state: NodeState) -> Watch {
    Watch::of(vec![view("a", state, false), view("b", state, false)])
}

#[test]
fn while_coordinators_are_sure_nobody_is_looked_at() {
    let mut watch = two(NodeState::Up);
    assert_eq!(watch.run(0, 60_000, |_| Probe::Unwell), 0);
    assert_eq!((watch.states(), watch.probing.next_deadline()), (vec![NodeState::Up; 2], None));
}

#[test]
fn one_in_doubt_is_looked_at_at_once_and_one_failure_is_believed() {
    let mut watch = two(NodeState::Up);
    watch.say(1000, NodeState::Suspect, true);
    assert_eq!(watch.states(), [NodeState::Suspect; 2]);
    assert_eq!(watch.run(1000, 1000, |id| if id == "a" { Probe::Unwell } else { Probe::Well }), 2);
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Suspect]);
    assert_eq!(watch.run(1600, 3600, |_| Probe::Well), 2, "and again after two seconds");
    assert_eq!(watch.states(), [NodeState::Suspect; 2]);
    let _ = watch.run(3700, 6000, |_| Probe::Unwell);
    watch.say(7000, NodeState::Up, false);
    assert_eq!(watch.states(), [NodeState::Up; 2], "who is heard again is taken as that");
    assert_eq!(watch.run(7000, 60_000, |_| Probe::Unwell), 0);
}

#[test]
fn a_gateway_that_reaches_nobody_blames_itself() {
    let mut watch = two(NodeState::Up);
    watch.say(1000, NodeState::Suspect, true);
    let _ = watch.run(1000, 10_000, |_| Probe::Unreached);
    assert_eq!(watch.states(), [NodeState::Suspect; 2]);
    let _ = watch.run(10_100, 20_000, |id| if id == "a" { Probe::Unreached } else { Probe::Well });
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Suspect]);
    let mut lone = Watch::of(vec![view("a", NodeState::Suspect, true)]);
    let _ = lone.run(0, 1000, |_| Probe::Unreached);
    assert_eq!(lone.states(), [NodeState::Down], "there is nobody else whom it could reach");
}

#[test]
fn a_gateway_that_loses_its_way_to_all_holds_that_against_nobody() {
    let mut watch = two(NodeState::Up);
    watch.probing.set_old(at(20_000), true);
    let _ = watch.run(20_000, 60_000, |_| Probe::Well);
    for until in (61_000..90_000).step_by(1000) {
        let _ = watch.run(until - 900, until, |_| Probe::Unreached);
        assert_eq!(watch.states(), [NodeState::Up; 2], "at {until}: whoever was reached was reached before");
    }
}

#[test]
fn when_nobody_speaks_all_are_looked_at_and_two_outcomes_in_a_row_count() {
    let mut watch = Watch::of(vec![view("a", NodeState::Up, false), view("b", NodeState::Down, false)]);
    watch.probing.set_old(at(20_000), true);
    let outcome = |id: &str| if id == "a" { Probe::Unwell } else { Probe::Well };
    let _ = watch.run(20_000, 24_000, outcome);
    assert_eq!(watch.states(), [NodeState::Up, NodeState::Down], "once is not enough");
    let _ = watch.run(24_100, 30_000, outcome);
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Up]);
    watch.probing.set_old(at(31_000), false);
    assert_eq!(watch.states(), [NodeState::Up, NodeState::Down], "a coordinator that speaks again knows better");
}

#[test]
fn operators_decisions_stand() {
    for state in [NodeState::Draining, NodeState::Maintenance] {
        let mut watch = two(state);
        watch.probing.set_old(at(0), true);
        let _ = watch.run(0, 60_000, |id| if id == "a" { Probe::Unwell } else { Probe::Well });
        assert_eq!(watch.states(), [state; 2]);
    }
}

#[test]
fn very_many_nodes_are_looked_at_no_faster_than_fifty_a_second() {
    let mut watch = Watch::of((0..1000).map(|n| view(&format!("n{n}"), NodeState::Up, false)).collect());
    watch.probing.set_old(at(0), true);
    let begun = watch.run(0, 20_000, |_| Probe::Well);
    assert!((950..=1050).contains(&begun), "{begun} in twenty seconds");
    let mut few = two(NodeState::Up);
    few.probing.set_old(at(0), true);
    let begun = few.run(0, 20_000, |_| Probe::Well);
    assert!((7..=9).contains(&begun), "each every five seconds: {begun}");
}

#[test]
fn what_was_seen_of_another_life_says_nothing() {
    let mut watch = two(NodeState::Suspect);
    watch.say(0, NodeState::Suspect, true);
    let due = watch.probing.take_due(at(0));
    assert_eq!(due.len(), 2);
    for view in &mut watch.views {
        view.freshness.incarnation = Incarnation(2);
        watch.probing.note(at(100), view);
    }
    for (id, life) in due {
        watch.probing.probed(at(200), &id, life, Probe::Unwell);
    }
    assert_eq!(watch.states(), [NodeState::Suspect; 2]);
}
