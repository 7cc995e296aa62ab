//! Nodes on record that a coordinator has not heard since its start.

use super::{
    doubt::{Fleet, name},
    *,
};

#[test]
fn a_coordinator_that_is_cut_off_from_its_start_on_declares_nobody_dead() {
    let mut fleet = Fleet::on_record(10);
    fleet.run(4000, |_| false, |_| Probe::Unreached);
    assert!(fleet.membership.has_learned(at(fleet.now)), "it speaks");
    for _ in 0..10 {
        assert_eq!((fleet.states(), fleet.in_doubt()), (vec![NodeState::Suspect; 10], 10));
        fleet.run(360_000, |_| false, |_| Probe::Unreached);
    }
    let in_an_hour = fleet.probes;
    assert!(in_an_hour < 1000, "ever more seldom: {in_an_hour}");
    // The cut heals.
    fleet.attend(0..10);
    assert_eq!(
        (fleet.states(), fleet.in_doubt()),
        (vec![NodeState::Up; 10], 0),
        "nobody has to prove himself for that"
    );
}

#[test]
fn whom_it_reaches_though_it_does_not_hear_them_stays_in_doubt() {
    let mut fleet = Fleet::on_record(10);
    fleet.attend(0..1);
    fleet.run(60_000, |n| n == 0, |n| if n < 9 { Probe::Well } else { Probe::Unreached });
    let mut expected = vec![NodeState::Suspect; 10];
    (expected[0], expected[9]) = (NodeState::Up, NodeState::Down);
    assert_eq!((fleet.states(), fleet.in_doubt()), (expected, 8));
}

#[test]
fn nodes_that_are_dead_for_days_are_down_soon_after_a_start_and_cost_nothing() {
    let mut fleet = Fleet::on_record(100);
    fleet.attend(0..60);
    fleet.run(4000, |n| n < 60, |n| if n % 2 == 0 { Probe::Unwell } else { Probe::Unreached });
    assert!(fleet.states()[..60].iter().all(|state| *state == NodeState::Up));
    assert!(fleet.states()[60..].iter().all(|state| *state == NodeState::Down), "{:?}", fleet.states());
    assert_eq!(fleet.probes, 40);
    fleet.run(60_000, |n| n < 60, |_| Probe::Unreached);
    assert_eq!(fleet.probes, 40, "nobody looks any more");
}

#[test]
fn a_few_that_do_not_come_are_down_when_they_had_their_time() {
    let mut fleet = Fleet::on_record(10);
    fleet.attend(0..8);
    fleet.run(3900, |n| n < 8, |_| Probe::Well);
    assert_eq!((&fleet.states()[8..], fleet.in_doubt()), (&[NodeState::Suspect; 2][..], 2));
    fleet.run(100, |n| n < 8, |_| Probe::Well);
    assert_eq!((&fleet.states()[8..], fleet.in_doubt()), (&[NodeState::Down; 2][..], 0));
    fleet.attend(8..9);
    assert_eq!(fleet.states()[8], NodeState::Probation, "whoever comes later proves itself");
}

#[test]
fn nobody_awaits_a_node_in_maintenance_and_one_that_drains_is_not_selectable() {
    let mut fleet = Fleet::on_record(2);
    let _ = fleet.membership.step(at(0), decided(&name(0), 10, Duty::Maintenance));
    let _ = fleet.membership.step(at(0), record(&name(1), 11, true));
    fleet.run(600_000, |_| false, |_| Probe::Unreached);
    assert_eq!(fleet.states(), [NodeState::Maintenance, NodeState::Draining]);
    assert!(fleet.probes < 40, "one of them is looked at: {}", fleet.probes);
    let _ = fleet.membership.step(at(fleet.now), decided(&name(0), 12, Duty::Serve));
    let _ = fleet.membership.step(at(fleet.now), record(&name(1), 13, false));
    assert_eq!(
        fleet.states(),
        [NodeState::Probation, NodeState::Suspect],
        "who was away proves itself, who drained is in doubt"
    );
    assert!(fleet.membership.is_sound(at(fleet.now)));
}
