//! When the observer itself was away.

use super::{
    doubt::{Fleet, name},
    *,
};

/// Nothing at all happens here for so long; then it goes on. Returns whose word was published at that moment.
fn stop(fleet: &mut Fleet, millis: u64) -> usize {
    fleet.now += millis;
    let effects = fleet.membership.step(at(fleet.now), Event::TimePassed);
    effects.iter().filter(|effect| matches!(effect, Effect::Publish { .. })).count()
}

#[test]
fn an_observer_that_was_away_knows_of_nobody_until_they_are_heard_anew() {
    let mut fleet = Fleet::new(3);
    assert_eq!(stop(&mut fleet, 10_000), 3, "before anything else is said");
    // What lay in the sockets: beats, the end of a stream, and another one.
    for n in 0..3 {
        let _ = fleet.membership.step(at(fleet.now + 100), beat(n, 1000));
    }
    let _ = fleet.membership.step(at(fleet.now + 100), ended(1, End::Broken));
    let _ = fleet.membership.step(at(fleet.now + 100), attend("n1", 10, 7, OURS));
    fleet.now += 100;
    assert_eq!((fleet.states(), fleet.in_doubt()), (vec![NodeState::Suspect; 3], 3));
    fleet.now += 600;
    let _ = fleet.membership.step(at(fleet.now), beat(0, 1001));
    let _ = fleet.membership.step(at(fleet.now), beat(10, 1001));
    assert_eq!(fleet.states(), [NodeState::Up, NodeState::Up, NodeState::Suspect], "what comes later is new");
    assert_eq!(fleet.in_doubt(), 1);
}

#[test]
fn a_stream_that_broke_during_a_short_absence_leaves_its_node_in_doubt() {
    let mut fleet = Fleet::new(2);
    assert_eq!(stop(&mut fleet, 1300), 0, "so short a one changes nothing");
    let _ = fleet.membership.step(at(fleet.now), ended(0, End::Broken));
    assert_eq!((fleet.states(), fleet.in_doubt()), (vec![NodeState::Suspect, NodeState::Up], 1));
    fleet.run(4100, |n| n == 1, |_| Probe::Well);
    assert_eq!((fleet.states(), fleet.in_doubt()), (vec![NodeState::Down, NodeState::Up], 0));
}

#[test]
fn an_absence_makes_nobody_selectable_who_was_not() {
    let mut fleet = Fleet::new(4);
    let _ = fleet.membership.step(at(fleet.now), ended(0, End::Broken));
    let _ = fleet.membership.step(at(fleet.now), record(&name(1), 10, true));
    fleet.run(1000, |n| n > 0, |_| Probe::Well);
    let before = fleet.states();
    assert_eq!(before, [NodeState::Down, NodeState::Draining, NodeState::Up, NodeState::Up]);
    stop(&mut fleet, 5000);
    assert_eq!(fleet.states(), [NodeState::Down, NodeState::Draining, NodeState::Suspect, NodeState::Suspect]);
}

#[test]
fn the_observers_own_absence_is_nobodys_silence() {
    let mut fleet = Fleet::new(3);
    // Nothing at all happens here for a minute.
    fleet.now += 60_000;
    let _ = fleet.membership.step(at(fleet.now), Event::TimePassed);
    assert_eq!(fleet.states(), [NodeState::Suspect; 3]);
    fleet.run(2000, |_| true, |_| Probe::Well);
    assert_eq!((fleet.states(), fleet.in_doubt()), (vec![NodeState::Up; 3], 0));
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
