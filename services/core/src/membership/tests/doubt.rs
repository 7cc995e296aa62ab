//! When many fall silent at once, and when the observer itself was away.

use super::*;

/// So many nodes, each heard every second; what is done to them is told by the caller, second by second.
struct Fleet {
    membership: Membership,
    count: u64,
    now: u64,
    beats: u64,
    /// How long each node beats after the one before it.
    apart: u64,
    /// When which probe comes to its end.
    probing: Vec<(u64, String)>,
}

impl Fleet {
    fn new(count: u64) -> Self {
        Self::spread(count, 0)
    }

    fn spread(count: u64, apart: u64) -> Self {
        let mut membership = Membership::new(Timing::default(), at(0));
        for n in 0..count {
            let id = name(n);
            let _ = membership.step(at(0), record(&id, n + 1, false));
            let _ = membership.step(at(0), attend(&id, n, 7, OURS));
        }
        let mut fleet = Self { membership, count, now: 0, beats: 0, apart, probing: Vec::new() };
        fleet.run(5000, |_| true, |_| Probe::Well);
        fleet
    }

    /// Lets time pass, in which those beat that are `heard`, and probes come out as told, 700 ms after they were asked for.
    fn run(&mut self, millis: u64, heard: impl Fn(u64) -> bool, outcome: impl Fn(u64) -> Probe) {
        let until = self.now + millis;
        while self.now < until {
            self.now += 100;
            let mut effects = self.membership.step(at(self.now), Event::TimePassed);
            self.beats += 1;
            for n in (0..self.count).filter(|n| heard(*n)) {
                if (self.now + n * self.apart).is_multiple_of(1000) {
                    effects.extend(self.membership.step(at(self.now), beat(n, self.beats)));
                }
            }
            let now = self.now;
            let due: Vec<_> = self.probing.extract_if(.., |(when, _)| *when <= now).collect();
            for (_, id) in due {
                let n = id.trim_start_matches('n').parse().expect("a number");
                effects.extend(self.membership.step(at(self.now), probed(&id, 7, outcome(n))));
            }
            self.probing.extend(probes(&effects).into_iter().map(|id| (self.now + 700, id.to_owned())));
        }
    }

    fn states(&self) -> Vec<NodeState> {
        let state = |n| state(&self.membership, at(self.now), &name(n)).expect("known");
        (0..self.count).map(state).collect()
    }

    fn in_doubt(&self) -> usize {
        self.membership.views(at(self.now)).filter(|view| view.in_doubt).count()
    }
}

fn name(n: u64) -> String {
    format!("n{n}")
}

#[test]
fn one_of_two_nodes_that_hangs_is_down_in_time() {
    let mut fleet = Fleet::new(2);
    fleet.run(3000, |n| n == 0, |_| Probe::Unwell);
    assert_eq!((fleet.states(), fleet.in_doubt()), (vec![NodeState::Up, NodeState::Suspect], 1));
    fleet.run(2000, |n| n == 0, |_| Probe::Unwell);
    assert_eq!(fleet.states(), [NodeState::Up, NodeState::Down], "within five seconds");
    assert_eq!(fleet.in_doubt(), 0);
}

#[test]
fn a_region_whose_cable_is_cut_is_down_in_time_since_others_are_heard() {
    let mut fleet = Fleet::new(10);
    fleet.run(5000, |n| n >= 6, |_| Probe::Unreached);
    let expected: Vec<_> = (0..10).map(|n| if n >= 6 { NodeState::Up } else { NodeState::Down }).collect();
    assert_eq!(fleet.states(), expected);
}

#[test]
fn an_observer_that_is_cut_off_declares_nobody_dead() {
    let mut fleet = Fleet::new(10);
    for _ in 0..20 {
        fleet.run(30_000, |_| false, |_| Probe::Unreached);
        assert_eq!(fleet.states(), [NodeState::Suspect; 10]);
        assert_eq!(fleet.in_doubt(), 10, "gateways are told to look for themselves");
    }
    fleet.run(1000, |n| n < 7, |_| Probe::Well);
    assert!(!fleet.states().contains(&NodeState::Down), "not everybody has spoken yet: {:?}", fleet.states());
    fleet.run(3000, |_| true, |_| Probe::Well);
    assert_eq!(
        (fleet.states(), fleet.in_doubt()),
        (vec![NodeState::Up; 10], 0),
        "nobody has to prove himself for that"
    );
}

#[test]
fn nobody_is_dead_for_having_been_heard_a_moment_before_the_others_when_all_are_cut_off() {
    let mut fleet = Fleet::spread(10, 100);
    fleet.run(30_000, |_| false, |_| Probe::Unreached);
    assert_eq!(fleet.states(), [NodeState::Suspect; 10]);
}

#[test]
fn one_of_two_nodes_whose_cable_is_cut_is_down_in_time_whenever_the_other_beats() {
    for apart in [100, 300, 500, 700, 900] {
        let mut fleet = Fleet::spread(2, apart);
        fleet.run(5000, |n| n == 0, |_| Probe::Unreached);
        assert_eq!(fleet.states(), [NodeState::Up, NodeState::Down], "{apart} ms apart");
    }
}

#[test]
fn an_observers_own_pings_end_no_lives_while_it_is_cut_off() {
    let mut fleet = Fleet::new(10);
    fleet.run(6000, |_| false, |_| Probe::Unreached);
    for n in 0..10 {
        let _ = fleet.membership.step(at(fleet.now), ended(n, End::Broken));
    }
    fleet.run(10_000, |_| false, |_| Probe::Unreached);
    assert_eq!(fleet.states(), [NodeState::Suspect; 10]);
}

#[test]
fn streams_that_end_are_believed_however_many_they_are() {
    let mut fleet = Fleet::new(10);
    for n in 0..10 {
        let _ = fleet.membership.step(at(fleet.now), ended(n, End::Broken));
    }
    fleet.run(600, |_| false, |_| Probe::Unreached);
    assert_eq!(fleet.states(), [NodeState::Down; 10]);
}

#[test]
fn a_few_silent_nodes_are_no_reason_to_doubt() {
    let mut fleet = Fleet::new(10);
    fleet.run(5000, |n| n >= 3, |_| Probe::Well);
    assert_eq!(fleet.states()[..4], [NodeState::Down, NodeState::Down, NodeState::Down, NodeState::Up]);
}

#[test]
fn a_machine_that_is_reached_and_does_not_answer_is_believed_though_nobody_else_is_heard() {
    let mut fleet = Fleet::new(1);
    fleet.run(5000, |_| false, |_| Probe::Unwell);
    assert_eq!(fleet.states(), [NodeState::Down]);
}

#[test]
fn the_observers_own_absence_is_nobodys_silence() {
    let mut fleet = Fleet::new(3);
    // Nothing at all happens here for a minute.
    fleet.now += 60_000;
    let _ = fleet.membership.step(at(fleet.now), Event::TimePassed);
    assert_eq!(fleet.states(), [NodeState::Up; 3]);
    fleet.run(1000, |_| true, |_| Probe::Well);
    assert_eq!(fleet.states(), [NodeState::Up; 3]);
    fleet.run(5000, |n| n > 0, |_| Probe::Unwell);
    assert_eq!(fleet.states(), [NodeState::Down, NodeState::Up, NodeState::Up], "and it hears as well as before");
}

#[test]
fn streams_that_broke_while_the_observer_was_away_have_time_to_be_redialled() {
    let mut fleet = Fleet::new(2);
    fleet.now += 20_000;
    for n in 0..2 {
        let _ = fleet.membership.step(at(fleet.now), ended(n, End::Broken));
    }
    fleet.run(2000, |_| false, |_| Probe::Well);
    assert!(fleet.states()[0].selectable(), "its redial may take a moment");
    let _ = fleet.membership.step(at(fleet.now), attend("n0", 100, 7, OURS));
    fleet.run(2500, |_| false, |_| Probe::Well);
    assert!(fleet.states()[0].selectable(), "it came");
    assert_eq!(fleet.states()[1], NodeState::Down, "the other did not");
}

#[test]
fn what_an_observer_forgives_after_a_stall_raises_nobody_from_the_dead() {
    let mut membership = one_node();
    let _ = say(&mut membership, at(900), beat(1, 1));
    let _ = say(&mut membership, at(1000), ended(1, End::Broken));
    let _ = advance(&mut membership, at(1600));
    assert_eq!(state(&membership, at(1600), "n"), Some(NodeState::Down));
    // Two seconds are lost, and broken streams have four seconds from now on. An operator's word makes it look at the node again.
    let back = at(4600);
    let _ = membership.step(back, record("n", 2, true));
    let _ = membership.step(back, record("n", 3, false));
    assert_eq!(state(&membership, back, "n"), Some(NodeState::Down), "its death was before");
    assert!(membership.is_sound(back));
}
