mod laws;

use std::sync::Arc;

use super::*;
use crate::{
    load::Load,
    node::{Duty, Freshness, Intent, NodeFacts},
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
    alone: bool,
}

impl Watch {
    fn of(views: Vec<NodeView>) -> Self {
        let mut watch = Self { probing: Probing::default(), views, alone: false };
        watch.note(0);
        watch
    }

    fn note(&mut self, now: u64) {
        self.views.iter().for_each(|view| self.probing.note(at(now), view));
        self.probing.attend(at(now), self.alone);
    }

    /// From here on no coordinator is live, or one is.
    fn leave(&mut self, now: u64, alone: bool) {
        self.alone = alone;
        self.probing.attend(at(now), alone);
    }

    fn say(&mut self, now: u64, state: NodeState, in_doubt: bool) {
        self.views.iter_mut().for_each(|view| (view.state, view.in_doubt) = (state, in_doubt));
        self.note(now);
    }

    /// Lets time pass, in which every probe comes out as told 500 ms after it was begun; returns how many were begun.
    fn run(&mut self, from: u64, until: u64, outcome: impl Fn(&str) -> Probe) -> usize {
        let (mut begun, mut under_way) = (0, Vec::new());
        for now in (from..=until).step_by(100) {
            let due: Vec<_> =
                under_way.extract_if(.., |(when, ..): &mut (u64, NodeId, Incarnation)| *when <= now).collect();
            for (_, id, life) in due {
                self.end(now, &id, life, outcome(id.as_str()));
            }
            for (id, life) in self.probing.take_due(at(now)) {
                begun += 1;
                under_way.push((now + 500, id, life));
            }
        }
        // What is left comes to its end.
        for (when, id, life) in under_way {
            self.end(when, &id, life, outcome(id.as_str()));
        }
        begun
    }

    fn end(&mut self, now: u64, id: &NodeId, life: Incarnation, probe: Probe) {
        let _ = self.probing.probed(at(now), id, life, Some(probe));
        self.probing.attend(at(now), self.alone);
    }

    /// Goes on until a node is looked at, which answers so; all others are well. Returns when that is.
    fn ask(&mut self, id: &str, probe: Probe) -> u64 {
        loop {
            let now = self.probing.next_deadline().expect("somebody is looked at");
            let millis = u64::try_from(now.since_origin().as_millis()).expect("short");
            let due = self.probing.take_due(now);
            for (node, life) in &due {
                let answer = if node.as_str() == id { probe } else { Probe::Well };
                let _ = self.probing.probed(now, node, *life, Some(answer));
                self.probing.attend(now, self.alone);
            }
            if due.iter().any(|(node, _)| node.as_str() == id) {
                return millis;
            }
        }
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
fn one_in_doubt_is_looked_at_at_once_and_its_answer_is_believed() {
    let mut watch = two(NodeState::Up);
    watch.say(1000, NodeState::Suspect, true);
    assert_eq!(watch.states(), [NodeState::Suspect; 2]);
    assert_eq!(watch.run(1000, 1000, |id| if id == "a" { Probe::Unwell } else { Probe::Well }), 2);
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Up]);
    assert_eq!(watch.run(1600, 3600, |_| Probe::Well), 2, "and again after two seconds");
    assert_eq!(watch.states(), [NodeState::Up; 2]);
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
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Up]);
    let mut lone = Watch::of(vec![view("a", NodeState::Suspect, true)]);
    let _ = lone.run(0, 1000, |_| Probe::Unreached);
    assert_eq!(lone.states(), [NodeState::Down], "there is nobody else whom it could reach");
}

#[test]
fn who_answered_while_nobody_spoke_is_not_doubted_when_somebody_does_who_was_away() {
    let mut watch = two(NodeState::Up);
    watch.leave(20_000, true);
    let _ = watch.run(20_000, 30_000, |id| if id == "a" { Probe::Well } else { Probe::Unwell });
    watch.alone = false;
    watch.say(30_000, NodeState::Suspect, true);
    assert_eq!(watch.states(), [NodeState::Up, NodeState::Down], "they are what this gateway saw");
    watch.say(31_000, NodeState::Up, false);
    assert_eq!(watch.states(), [NodeState::Up; 2]);
}

#[test]
fn a_gateway_that_loses_its_way_to_all_holds_that_against_nobody() {
    let mut watch = two(NodeState::Up);
    watch.leave(20_000, true);
    let _ = watch.run(20_000, 60_000, |_| Probe::Well);
    for until in (61_000..90_000).step_by(1000) {
        let _ = watch.run(until - 900, until, |_| Probe::Unreached);
        assert_eq!(watch.states(), [NodeState::Up; 2], "at {until}: whoever was reached was reached before");
    }
}

#[test]
fn alone_two_failures_in_a_row_take_a_node_out_and_two_answers_bring_it_back() {
    let mut watch = two(NodeState::Up);
    watch.leave(0, true);
    let failed = watch.ask("a", Probe::Unwell);
    assert_eq!(watch.states(), [NodeState::Up; 2], "once is not enough");
    assert_eq!(watch.ask("a", Probe::Unwell), failed + 400, "but it is looked at again at once");
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Up]);
    let answered = watch.ask("a", Probe::Well);
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Up], "once is not enough for that, either");
    assert_eq!(watch.ask("a", Probe::Well), answered + 400);
    assert_eq!(watch.states(), [NodeState::Up; 2]);
}

#[test]
fn alone_a_crash_is_seen_within_five_seconds_of_the_last_word() {
    let mut watch = Watch::of((0..1000).map(|n| view(&format!("n{n}"), NodeState::Up, false)).collect());
    let alone = u64::try_from(ALONE_AFTER.as_millis()).expect("short");
    watch.leave(alone, true);
    let _ = watch.run(alone, 4500, |id| if id.ends_with('7') { Probe::Unwell } else { Probe::Well });
    let down = watch.states().iter().filter(|state| **state == NodeState::Down).count();
    assert_eq!(down, 100);
}

#[test]
fn alone_one_that_says_that_it_stops_is_out_at_its_first_answer_and_back_when_it_says_otherwise() {
    let mut watch = two(NodeState::Up);
    watch.leave(0, true);
    assert_eq!(watch.run(0, 1000, |id| if id == "a" { Probe::Declined } else { Probe::Well }), 2);
    assert_eq!(watch.states(), [NodeState::Draining, NodeState::Up]);
    let _ = watch.run(1600, 10_000, |_| Probe::Well);
    assert_eq!(watch.states(), [NodeState::Up; 2], "it was started again");
}

#[test]
fn alone_one_that_said_that_it_stops_is_back_when_it_answers_twice() {
    let mut watch = Watch::of(vec![view("a", NodeState::Draining, false), view("b", NodeState::Up, false)]);
    watch.leave(0, true);
    let _ = watch.run(0, 10_000, |_| Probe::Declined);
    assert_eq!(watch.states(), [NodeState::Draining; 2]);
    let _ = watch.run(10_600, 20_000, |_| Probe::Well);
    assert_eq!(watch.states(), [NodeState::Up; 2]);
}

#[test]
fn a_coordinator_that_speaks_again_is_believed() {
    let mut watch = Watch::of(vec![view("a", NodeState::Up, false), view("b", NodeState::Down, false)]);
    watch.leave(0, true);
    let _ = watch.run(0, 10_000, |id| if id == "a" { Probe::Unwell } else { Probe::Well });
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Up]);
    watch.leave(10_600, false);
    assert_eq!(watch.states(), [NodeState::Up, NodeState::Down]);
    assert_eq!(watch.run(10_600, 60_000, |_| Probe::Unwell), 0);
}

#[test]
fn while_nobody_can_be_had_by_what_is_said_those_that_answer_are_better_than_none() {
    let mut watch = two(NodeState::Down);
    let outcome = |id: &str| if id == "a" { Probe::Well } else { Probe::Unwell };
    let _ = watch.run(0, 1000, outcome);
    assert_eq!(watch.states(), [NodeState::Suspect, NodeState::Down]);
    let begun = watch.run(1600, 61_600, outcome);
    assert!((48..=60).contains(&begun), "each every two seconds and what a probe takes here: {begun}");
    let _ = watch.run(62_200, 70_000, |_| Probe::Unwell);
    assert_eq!(watch.states(), [NodeState::Down; 2]);
    let _ = watch.run(70_600, 80_000, outcome);
    watch.views[1].state = NodeState::Up;
    watch.note(80_600);
    assert_eq!(watch.states(), [NodeState::Down, NodeState::Up], "whoever has one node knows why the other is out");
    assert_eq!(watch.run(80_600, 90_000, |_| Probe::Well), 0);
}

#[test]
fn a_coordinator_that_is_back_and_hears_nobody_empties_no_table() {
    let mut watch = two(NodeState::Up);
    watch.leave(0, true);
    let _ = watch.run(0, 10_000, |_| Probe::Well);
    watch.views.iter_mut().for_each(|view| view.state = NodeState::Down);
    watch.alone = false;
    watch.note(10_600);
    assert_eq!(watch.states(), [NodeState::Suspect; 2], "they have just answered");
}

#[test]
fn a_coordinator_that_first_says_what_it_said_before_empties_no_table_when_it_says_what_it_knows() {
    let mut watch = two(NodeState::Down);
    let _ = watch.run(0, 2000, |_| Probe::Well);
    assert_eq!(watch.states(), [NodeState::Suspect; 2]);
    watch.say(2700, NodeState::Up, false);
    watch.say(2710, NodeState::Down, false);
    assert_eq!(watch.states(), [NodeState::Suspect; 2], "they answered a moment ago");
    watch.say(2720, NodeState::Up, false);
    watch.say(60_000, NodeState::Down, false);
    assert_eq!(watch.states(), [NodeState::Down; 2], "that is too long ago");
}

#[test]
fn whoever_failed_when_it_was_in_doubt_is_no_better_when_it_is_called_dead_and_nobody_can_be_had() {
    let mut watch = two(NodeState::Up);
    watch.say(1000, NodeState::Suspect, true);
    let _ = watch.run(1000, 1500, |_| Probe::Unwell);
    assert_eq!(watch.states(), [NodeState::Down; 2]);
    watch.say(2000, NodeState::Down, false);
    assert_eq!(watch.states(), [NodeState::Down; 2]);
}

#[test]
fn operators_decisions_stand() {
    for (duty, state) in [(Duty::Drain, NodeState::Draining), (Duty::Maintenance, NodeState::Maintenance)] {
        for state in [state, NodeState::Down] {
            let mut watch = two(state);
            watch.views.iter_mut().for_each(|view| view.intent = Intent { duty, revision: 7, ..Intent::default() });
            watch.note(0);
            watch.leave(0, true);
            assert_eq!(watch.run(0, 60_000, |id| if id == "a" { Probe::Unwell } else { Probe::Well }), 0);
            assert_eq!(watch.states(), [state; 2]);
        }
    }
}

#[test]
fn very_many_nodes_are_looked_at_no_faster_than_two_thousand_a_second() {
    let mut watch = Watch::of((0..10_000).map(|n| view(&format!("n{n}"), NodeState::Up, false)).collect());
    watch.leave(0, true);
    let begun = watch.run(0, 20_000, |_| Probe::Well);
    assert!((36_000..=44_000).contains(&begun), "{begun} in twenty seconds");
    let mut few = two(NodeState::Up);
    few.leave(0, true);
    let begun = few.run(0, 20_000, |_| Probe::Well);
    assert!((24..=32).contains(&begun), "each every second and a half, which a probe takes here: {begun}");
}

#[test]
fn what_came_of_a_look_during_which_the_gateway_was_away_counts_for_nothing() {
    let mut watch = two(NodeState::Up);
    watch.leave(0, true);
    for now in (0..60_000).step_by(100) {
        for (id, life) in watch.probing.take_due(at(now)) {
            let _ = watch.probing.probed(at(now + 50), &id, life, None);
        }
    }
    assert_eq!(watch.states(), [NodeState::Up; 2]);
    assert!(watch.probing.next_deadline().is_some(), "it goes on looking");
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
        watch.end(200, &id, life, Probe::Unwell);
    }
    assert_eq!(watch.states(), [NodeState::Suspect; 2]);
}

#[test]
fn a_coordinator_that_never_heard_a_node_does_not_make_it_another_one() {
    let mut watch = two(NodeState::Up);
    watch.leave(20_000, true);
    let _ = watch.run(20_000, 30_000, |_| Probe::Well);
    let life = |watch: &mut Watch, life| {
        watch.views.iter_mut().for_each(|view| view.freshness.incarnation = Incarnation(life));
    };
    life(&mut watch, 0);
    watch.alone = false;
    watch.say(30_000, NodeState::Down, false);
    assert_eq!(watch.states(), [NodeState::Suspect; 2], "they have just answered, whatever number they had");
    life(&mut watch, 1);
    watch.say(30_100, NodeState::Probation, false);
    assert_eq!(watch.states(), [NodeState::Suspect; 2], "and are heard now");
    life(&mut watch, 2);
    watch.say(30_200, NodeState::Probation, false);
    assert_eq!(watch.states(), [NodeState::Probation; 2], "of that life nothing is known");
}
