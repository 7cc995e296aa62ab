//! The way back of a node that was down, and what keeps a node out besides.

use super::*;

/// A node whose stream broke at 1000 ms, and that is DOWN since.
fn fallen() -> Membership {
    let mut membership = one_node();
    let _ = say(&mut membership, at(1000), ended(1, End::Broken));
    let _ = advance(&mut membership, at(2000));
    assert_eq!(state(&membership, at(2000), "n"), Some(NodeState::Down));
    membership
}

#[test]
fn a_node_that_was_down_is_back_after_three_beats_and_a_good_probe() {
    let mut membership = fallen();
    let _ = say(&mut membership, at(2100), attend("n", 2, 8, OURS));
    assert_eq!(state(&membership, at(2100), "n"), Some(NodeState::Probation));
    for (now, sequence) in [(2200, 1), (3200, 2)] {
        let effects = say(&mut membership, at(now), beat(2, sequence));
        assert_eq!(probes(&effects), [""; 0], "it was not heard for long enough");
    }
    let effects = say(&mut membership, at(4200), beat(2, 3));
    assert_eq!(probes(&effects), ["n"]);
    assert_eq!(state(&membership, at(4200), "n"), Some(NodeState::Probation), "nobody has looked yet");
    let effects = say(&mut membership, at(4300), probed("n", 7, Probe::Well));
    assert_eq!(effects, [], "that was another life");
    let effects = say(&mut membership, at(4400), probed("n", 8, Probe::Well));
    assert!(effects.contains(&Effect::Publish { id: "n".parse().expect("valid") }), "{effects:?}");
    assert_eq!(state(&membership, at(4400), "n"), Some(NodeState::Up));
}

#[test]
fn a_node_whose_roots_cannot_be_read_stays_out_and_is_looked_at_again() {
    let mut membership = fallen();
    let _ = say(&mut membership, at(2100), attend("n", 2, 8, OURS));
    let mut looked = 0;
    for second in 3..40 {
        let effects = say(&mut membership, at(second * 1000), beat(2, second));
        for _ in probes(&effects) {
            looked += 1;
            let _ = membership.step(at(second * 1000), probed("n", 8, Probe::Unwell));
        }
        assert_eq!(state(&membership, at(second * 1000), "n"), Some(NodeState::Probation));
    }
    assert!((15..20).contains(&looked), "every other second: {looked}");
}

#[test]
fn a_coordinator_that_cannot_reach_the_data_path_keeps_nobody_out_for_ever() {
    let mut membership = fallen();
    let _ = say(&mut membership, at(2000), attend("n", 2, 8, OURS));
    let mut back = None;
    for second in 3..60 {
        let effects = say(&mut membership, at(second * 1000), beat(2, second));
        for _ in probes(&effects) {
            let _ = membership.step(at(second * 1000), probed("n", 8, Probe::Unreached));
        }
        if state(&membership, at(second * 1000), "n") == Some(NodeState::Up) {
            back.get_or_insert(second);
        }
    }
    assert_eq!(back, Some(32), "thirty seconds after it came");
}

#[test]
fn another_life_proves_itself_anew_and_waits_for_no_probe_of_the_last_one() {
    let mut membership = fallen();
    let _ = say(&mut membership, at(2000), attend("n", 2, 8, OURS));
    for (now, sequence) in [(2100, 1), (3100, 2)] {
        let _ = say(&mut membership, at(now), beat(2, sequence));
    }
    assert_eq!(probes(&say(&mut membership, at(4100), beat(2, 3))), ["n"]);
    // While that probe is under way the process is replaced, too quickly to be missed.
    let _ = say(&mut membership, at(4200), ended(2, End::Broken));
    let _ = say(&mut membership, at(4300), attend("n", 3, 9, OURS));
    let _ = say(&mut membership, at(4800), probed("n", 8, Probe::Well));
    for (now, sequence) in [(5000, 1), (6000, 2)] {
        assert_eq!(probes(&say(&mut membership, at(now), beat(3, sequence))), [""; 0], "three beats of its own");
        assert_eq!(state(&membership, at(now), "n"), Some(NodeState::Probation));
    }
    assert_eq!(probes(&say(&mut membership, at(7000), beat(3, 3))), ["n"]);
    let _ = say(&mut membership, at(7100), probed("n", 9, Probe::Well));
    assert_eq!(state(&membership, at(7100), "n"), Some(NodeState::Up));
}

#[test]
fn a_life_that_comes_back_while_it_is_looked_at_is_not_looked_at_twice_at_once() {
    let mut membership = one_node();
    assert_eq!(probes(&advance(&mut membership, at(2500))), ["n"], "it fell silent, and that probe hangs");
    let _ = say(&mut membership, at(2600), ended(1, End::Goodbye));
    assert_eq!(state(&membership, at(2600), "n"), Some(NodeState::Down));
    let _ = say(&mut membership, at(4000), attend("n", 2, 7, OURS));
    for (now, sequence) in [(4100, 1), (5100, 2), (6100, 3), (7100, 4)] {
        assert_eq!(probes(&say(&mut membership, at(now), beat(2, sequence))), [""; 0], "after {now} ms");
    }
    let effects = say(&mut membership, at(7200), probed("n", 7, Probe::Unwell));
    assert_eq!(state(&membership, at(7200), "n"), Some(NodeState::Probation));
    assert_eq!(probes(&effects), ["n"], "the next one has its turn");
}

#[test]
fn a_redial_in_time_proves_nothing_and_has_to_prove_nothing() {
    let mut membership = one_node();
    let _ = say(&mut membership, at(1000), ended(1, End::Broken));
    let _ = say(&mut membership, at(1400), attend("n", 2, 7, OURS));
    assert_eq!(state(&membership, at(1400), "n"), Some(NodeState::Up));
}

#[test]
fn each_fall_makes_the_way_back_longer() {
    let mut membership = one_node();
    let (mut now, mut session) = (1000, 1);
    let mut ways = Vec::new();
    for life in 0..6 {
        let _ = say(&mut membership, at(now), ended(session, End::Broken));
        (now, session) = (now + 1000, session + 1);
        let _ = say(&mut membership, at(now), attend("n", session, 8 + life, OURS));
        let came = now;
        let mut sequence = 0;
        while state(&membership, at(now), "n") != Some(NodeState::Up) {
            (now, sequence) = (now + 500, sequence + 1);
            let effects = say(&mut membership, at(now), beat(session, sequence));
            for _ in probes(&effects) {
                let _ = membership.step(at(now), probed("n", 8 + life, Probe::Well));
            }
        }
        ways.push(now - came);
    }
    assert_eq!(ways, [1500, 2000, 4000, 8000, 10_000, 10_000]);
}

#[test]
fn maintenance_covers_a_node_that_is_away_and_one_that_comes_back_from_it_proves_itself() {
    let mut membership = one_node();
    let effects = say(&mut membership, at(100), decided("n", 2, Duty::Maintenance));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Command { intent, .. } if intent.drains())),
        "{effects:?}"
    );
    for now in [200, 10_000] {
        let effects = advance(&mut membership, at(now));
        assert_eq!(state(&membership, at(now), "n"), Some(NodeState::Maintenance), "whether it beats or not");
        assert_eq!(probes(&effects), [""; 0], "nobody misses it");
    }
    let _ = say(&mut membership, at(11_000), attend("n", 2, 8, OURS));
    assert_eq!(state(&membership, at(11_000), "n"), Some(NodeState::Maintenance), "a restart ends nothing");
    let _ = say(&mut membership, at(12_000), decided("n", 3, Duty::Serve));
    assert_eq!(state(&membership, at(12_000), "n"), Some(NodeState::Probation));
    let _ = advance(&mut membership, at(15_500));
    let _ = say(&mut membership, at(15_600), probed("n", 8, Probe::Unwell));
    let _ = advance(&mut membership, at(16_500));
    assert_eq!(state(&membership, at(16_500), "n"), Some(NodeState::Down), "and is missed again");

    let mut after_a_restart = Membership::new(Timing::default(), at(0));
    let _ = after_a_restart.step(at(0), decided("n", 2, Duty::Maintenance));
    assert_eq!(
        state(&after_a_restart, at(0), "n"),
        Some(NodeState::Maintenance),
        "also for a coordinator that never heard it"
    );
}

#[test]
fn a_node_that_was_silent_in_maintenance_is_missed_again_afterwards() {
    let mut membership = one_node();
    let _ = say(&mut membership, at(500), decided("n", 2, Duty::Maintenance));
    // Its stream stands all the time.
    for second in 10..20 {
        let _ = say(&mut membership, at(second * 1000), beat(1, second));
    }
    let _ = say(&mut membership, at(19_100), decided("n", 3, Duty::Serve));
    for second in 20..30 {
        let effects = say(&mut membership, at(second * 1000), beat(1, second));
        if !probes(&effects).is_empty() {
            let _ = membership.step(at(second * 1000), probed("n", 7, Probe::Well));
        }
    }
    assert_eq!(state(&membership, at(29_000), "n"), Some(NodeState::Up));
    let effects = advance(&mut membership, at(32_000));
    assert_eq!(probes(&effects), ["n"], "its silence is looked into");
    let _ = membership.step(at(32_000), probed("n", 7, Probe::Unwell));
    let _ = advance(&mut membership, at(33_100));
    assert_eq!(state(&membership, at(33_100), "n"), Some(NodeState::Down));
}

#[test]
fn two_living_processes_with_one_identity_are_reported() {
    let mut membership = one_node();
    let _ = membership.step(at(100), beat(1, 1));
    let contested = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Contested { .. }));
    let effects = say(&mut membership, at(200), attend("n", 2, 9, OURS));
    assert!(contested(&effects), "the newer one comes while the older one beats: {effects:?}");
    let _ = membership.step(at(300), beat(2, 1));
    let effects = say(&mut membership, at(400), attend("n", 3, 7, OURS));
    assert!(contested(&effects), "and the older one comes back: {effects:?}");

    let mut membership = one_node();
    let _ = membership.step(at(100), beat(1, 1));
    let _ = membership.step(at(200), ended(1, End::Broken));
    let effects = say(&mut membership, at(300), attend("n", 2, 9, OURS));
    assert!(!contested(&effects), "a restart is none: {effects:?}");
}

#[test]
fn a_node_that_says_it_is_full_is_degraded_and_still_gets_clients() {
    let mut membership = one_node();
    let full = Load { disk: crate::load::Share::clamped(1.0), ..Load::default() };
    for sequence in 1..=3 {
        let event = Event::Beat { session: SessionId(1), sequence, load: full, draining: false };
        let _ = say(&mut membership, at(sequence * 1000), event);
    }
    assert_eq!(state(&membership, at(3000), "n"), Some(NodeState::Degraded));
    assert!(NodeState::Degraded.selectable() && NodeState::Degraded.is_well());
}
