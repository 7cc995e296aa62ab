//! When many fall silent at once.

use super::*;

/// So many nodes, each heard every second; what is done to them is told by the caller, second by second.
pub(super) struct Fleet {
    pub(super) membership: Membership,
    pub(super) count: u64,
    pub(super) now: u64,
    beats: u64,
    /// How long each node beats after the one before it.
    apart: u64,
    /// When which probe comes to its end.
    probing: Vec<(u64, String, u64)>,
    /// How many were begun.
    pub(super) probes: usize,
}

impl Fleet {
    pub(super) fn new(count: u64) -> Self {
        Self::spread(count, 0)
    }

    /// On record, with an observer that has just begun and heard none of them.
    pub(super) fn on_record(count: u64) -> Self {
        let mut membership = Membership::new(Timing::default(), at(0));
        for n in 0..count {
            let _ = membership.step(at(0), record(&name(n), n + 1, false));
        }
        Self { membership, count, now: 0, beats: 0, apart: 0, probing: Vec::new(), probes: 0 }
    }

    pub(super) fn attend(&mut self, which: std::ops::Range<u64>) {
        for n in which {
            let _ = self.membership.step(at(self.now), attend(&name(n), n, 7, OURS));
        }
    }

    fn spread(count: u64, apart: u64) -> Self {
        let mut fleet = Self { apart, ..Self::on_record(count) };
        fleet.attend(0..count);
        fleet.run(5000, |_| true, |_| Probe::Well);
        fleet
    }

    /// Lets time pass, in which those beat that are `heard`, and probes come out as told, 700 ms after they were asked for.
    pub(super) fn run(&mut self, millis: u64, heard: impl Fn(u64) -> bool, outcome: impl Fn(u64) -> Probe) {
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
            let due: Vec<_> = self.probing.extract_if(.., |(when, ..)| *when <= now).collect();
            for (_, id, life) in due {
                let n = id.trim_start_matches('n').parse().expect("a number");
                effects.extend(self.membership.step(at(self.now), probed(&id, life, outcome(n))));
            }
            let begun = effects.into_iter().filter_map(|effect| match effect {
                Effect::Probe { id, incarnation } => Some((self.now + 700, id.to_string(), incarnation.0)),
                _ => None,
            });
            let before = self.probing.len();
            self.probing.extend(begun);
            self.probes += self.probing.len() - before;
        }
    }

    pub(super) fn states(&self) -> Vec<NodeState> {
        let state = |n| state(&self.membership, at(self.now), &name(n)).expect("known");
        (0..self.count).map(state).collect()
    }

    pub(super) fn in_doubt(&self) -> usize {
        self.membership.views(at(self.now)).filter(|view| view.in_doubt).count()
    }
}

pub(super) fn name(n: u64) -> String {
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
fn who_gave_its_stream_up_since_it_heard_nothing_is_judged_by_its_silence() {
    let mut fleet = Fleet::new(10);
    let effects = fleet.membership.step(at(fleet.now), ended(0, End::Unheard));
    assert_eq!(probes(&effects), ["n0"], "it is looked at at once");
    fleet.run(1400, |n| n > 0, |_| Probe::Unreached);
    assert_eq!(fleet.states()[0], NodeState::Suspect);
    fleet.run(100, |n| n > 0, |_| Probe::Unreached);
    assert_eq!(fleet.states()[0], NodeState::Down, "and did not come back");

    let mut fleet = Fleet::new(10);
    for n in 0..10 {
        let _ = fleet.membership.step(at(fleet.now), ended(n, End::Unheard));
    }
    fleet.run(60_000, |_| false, |_| Probe::Unreached);
    assert_eq!(
        (fleet.states(), fleet.in_doubt()),
        (vec![NodeState::Suspect; 10], 10),
        "all of them: nobody hears this observer"
    );
}

#[test]
fn a_probe_that_was_begun_in_a_cut_says_nothing_when_the_cut_has_healed() {
    let mut fleet = Fleet::spread(10, 500);
    fleet.run(60_000, |_| false, |_| Probe::Unreached);
    let begun = fleet.probes;
    while fleet.probes == begun {
        fleet.run(100, |_| false, |_| Probe::Unreached);
    }
    // Now they are under way. One node is heard, and then they fail.
    fleet.run(1000, |n| n == 0, |_| Probe::Unreached);
    assert!(!fleet.states().contains(&NodeState::Down), "{:?}", fleet.states());
    fleet.run(5000, |n| n == 0, |n| if n < 5 { Probe::Well } else { Probe::Unreached });
    let down = |states: &[NodeState]| states.iter().filter(|state| **state == NodeState::Down).count();
    let states = fleet.states();
    assert_eq!((down(&states[..5]), down(&states[5..])), (0, 5), "they are all looked at again at once: {states:?}");
}

#[test]
fn one_that_is_heard_once_in_a_cut_does_not_prove_that_the_others_are_dead() {
    let mut fleet = Fleet::new(10);
    fleet.run(10_000, |_| false, |_| Probe::Unreached);
    fleet.run(1000, |n| n == 0, |_| Probe::Unreached);
    fleet.run(10_000, |_| false, |_| Probe::Unreached);
    assert!(!fleet.states().contains(&NodeState::Down), "{:?}", fleet.states());
}

#[test]
fn those_that_gave_their_streams_up_are_down_as_soon_as_another_one_is_heard_after_that() {
    let mut fleet = Fleet::new(4);
    fleet.run(100, |_| true, |_| Probe::Unreached);
    for n in 2..4 {
        let effects = fleet.membership.step(at(fleet.now), ended(n, End::Unheard));
        assert_eq!(probes(&effects).len(), 1);
    }
    fleet.run(700, |n| n < 2, |_| Probe::Unreached);
    for n in 2..4 {
        let _ = fleet.membership.step(at(fleet.now), probed(&name(n), 7, Probe::Unreached));
    }
    // The others beat 1 s after the last beat of these, which is too soon to mean anything, and after 2 s.
    fleet.run(1400, |n| n < 2, |_| Probe::Unreached);
    assert_eq!(fleet.states(), [NodeState::Up, NodeState::Up, NodeState::Down, NodeState::Down]);
}
