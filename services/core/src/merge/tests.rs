//! Several coordinators, some of them gone, some of them wrong.

mod incremental;

use std::{collections::HashMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    load::Load,
    node::{Duty, Freshness, Intent, NodeFacts, NodeState, Weight},
};

fn at(millis: u64) -> Tick {
    Tick::from_origin(Duration::from_millis(millis))
}

fn view(id: &str, state: NodeState, incarnation: u64, beat: u64, revision: u64) -> NodeView {
    NodeView {
        facts: Arc::new(NodeFacts::named(id.parse().expect("valid"))),
        state,
        freshness: Freshness { incarnation: Incarnation(incarnation), beat },
        load: Load::default(),
        heard_ago: Duration::ZERO,
        intent: Intent { revision, ..Intent::default() },
        in_doubt: false,
    }
}

fn epoch(coordinator: &str, sequence: u64) -> Epoch {
    Epoch { coordinator: coordinator.parse().expect("valid"), incarnation: Incarnation(1), sequence }
}

fn snapshot(nodes: Vec<NodeView>) -> Body {
    Body::Snapshot { nodes, removed: Vec::new(), facts: GatewayFacts::default() }
}

fn delta(nodes: Vec<NodeView>) -> Body {
    Body::Delta { nodes, loads: Vec::new(), removed: Vec::new(), facts: None }
}

/// Streams to `c` and `d` stand.
fn on_streams() -> Merge {
    let mut merge = Merge::default();
    for coordinator in ["c", "d"] {
        merge.opened(&coordinator.parse().expect("valid"), StreamId(1));
    }
    merge
}

/// Such a stream breaks.
fn close(merge: &mut Merge, now: Tick, coordinator: &str) {
    merge.closed(now, &coordinator.parse().expect("valid"), StreamId(1));
}

fn states(merge: &Merge) -> Vec<(&str, NodeState)> {
    merge.views().map(|view| (view.facts.id.as_str(), view.state)).collect()
}

#[test]
fn one_coordinators_words_are_taken_as_they_are() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 1, 1)])).expect("fresh");
    merge.apply(at(10), &epoch("c", 2), delta(vec![view("a", NodeState::Down, 1, 1, 1)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Down)]);
}

#[test]
fn a_node_lives_while_any_live_coordinator_hears_it() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Down, 1, 5, 1)])).expect("fresh");
    merge.apply(at(0), &epoch("d", 1), snapshot(vec![view("a", NodeState::Up, 1, 3, 1)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Up)], "even with an older report: c lost its stream");
    // d falls silent: its word no longer counts.
    merge.apply(at(1000), &epoch("c", 2), Body::Mark).expect("fresh");
    merge.apply(at(1500), &epoch("c", 3), Body::Mark).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Down)]);
}

#[test]
fn a_death_that_was_found_without_ever_hearing_the_node_counts_more_than_a_doubt_and_no_more() {
    let never_heard = view("a", NodeState::Down, 0, 0, 1);
    let doubt = NodeView { in_doubt: true, ..view("a", NodeState::Suspect, 1, 9, 1) };
    for (word, merged) in [(doubt, NodeState::Down), (view("a", NodeState::Suspect, 1, 9, 1), NodeState::Suspect)] {
        let mut merge = Merge::default();
        merge.apply(at(0), &epoch("d", 1), snapshot(vec![never_heard.clone()])).expect("fresh");
        merge.apply(at(1), &epoch("c", 1), snapshot(vec![word])).expect("fresh");
        assert_eq!(states(&merge), [("a", merged)]);
    }
}

#[test]
fn a_doubt_speaks_against_nobody_and_whoever_was_away_raises_nobody_from_the_dead() {
    let doubt = |incarnation, beat| NodeView { in_doubt: true, ..view("a", NodeState::Suspect, incarnation, beat, 1) };
    // c was away, or has just begun; d heard the node all the time, as it lived and as it died.
    for doubt in [doubt(1, 9), doubt(0, 0)] {
        for state in [NodeState::Up, NodeState::Down] {
            let mut merge = Merge::default();
            merge.apply(at(0), &epoch("d", 1), snapshot(vec![view("a", state, 1, 5, 1)])).expect("fresh");
            merge.apply(at(1), &epoch("c", 1), snapshot(vec![doubt.clone()])).expect("fresh");
            assert_eq!(states(&merge), [("a", state)]);
            assert!(merge.views().all(|view| !view.in_doubt), "nobody has to look");
        }
        let mut merge = Merge::default();
        merge.apply(at(1), &epoch("c", 1), snapshot(vec![doubt])).expect("fresh");
        assert_eq!(states(&merge), [("a", NodeState::Suspect)]);
        assert!(merge.views().all(|view| view.in_doubt), "with nobody else there, gateways look");
    }
}

#[test]
fn a_gateway_that_is_cut_off_is_not_left_with_the_word_of_whoever_goes_last() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 5, 1)])).expect("fresh");
    merge.apply(at(400), &epoch("d", 1), snapshot(vec![view("a", NodeState::Down, 1, 5, 1)])).expect("fresh");
    // c is silent for long enough, and so is d but for what it said before c could speak again.
    for millis in [1500, 1700, 1899, 1900, 600_000] {
        merge.pass(at(millis));
        assert_eq!(states(&merge), [("a", NodeState::Up)], "after {millis} ms");
    }
    assert_eq!((merge.live_coordinators(at(1899)), merge.live_coordinators(at(1900))), (1, 0));
}

#[test]
fn a_gateway_whose_streams_all_break_is_not_left_with_the_word_of_whoever_breaks_last() {
    let mut merge = on_streams();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 5, 1)])).expect("fresh");
    merge.apply(at(10), &epoch("d", 1), snapshot(vec![view("a", NodeState::Down, 1, 5, 1)])).expect("fresh");
    close(&mut merge, at(20), "c");
    assert_eq!(states(&merge), [("a", NodeState::Up)], "d has not spoken since");
    close(&mut merge, at(21), "d");
    assert_eq!(states(&merge), [("a", NodeState::Up)]);
}

#[test]
fn a_coordinator_whose_stream_broke_keeps_no_dead_node_alive() {
    let mut merge = on_streams();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 5, 1)])).expect("fresh");
    merge.apply(at(0), &epoch("d", 1), snapshot(vec![view("a", NodeState::Up, 1, 5, 1)])).expect("fresh");
    close(&mut merge, at(100), "c");
    merge.apply(at(600), &epoch("d", 2), delta(vec![view("a", NodeState::Down, 1, 5, 1)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Down)], "c died, and its last words with it");
    close(&mut merge, at(700), "d");
    assert_eq!(states(&merge), [("a", NodeState::Down)], "the last words of the last one stand");
}

#[test]
fn an_older_life_says_nothing_about_the_present_one() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 900, 1)])).expect("fresh");
    merge.apply(at(0), &epoch("d", 1), snapshot(vec![view("a", NodeState::Down, 2, 1, 1)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Down)], "the new life ended; the old one cannot be up");
}

#[test]
fn the_last_words_stand_while_no_coordinator_is_live() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 1, 1)])).expect("fresh");
    merge.pass(at(3_600_000));
    assert_eq!(merge.live_coordinators(at(3_600_000)), 0);
    assert_eq!(states(&merge), [("a", NodeState::Up)]);
    assert_eq!(merge.age(at(3_600_000)), Some(Duration::from_secs(3600)));
}

#[test]
fn a_saved_table_stands_until_somebody_speaks() {
    let mut merge = Merge::from_saved(vec![view("a", NodeState::Up, 1, 1, 1)], Vec::new(), GatewayFacts::default());
    merge.pass(at(10_000));
    assert_eq!(states(&merge), [("a", NodeState::Up)]);
    merge.apply(at(10_000), &epoch("c", 1), snapshot(vec![view("b", NodeState::Up, 1, 1, 1)])).expect("fresh");
    assert_eq!(states(&merge), [("b", NodeState::Up)]);
}

#[test]
fn an_operators_newest_decision_wins() {
    let mut merge = Merge::default();
    let drained = NodeView {
        intent: Intent { duty: Duty::Drain, revision: 7, ..Intent::default() },
        state: NodeState::Draining,
        ..view("a", NodeState::Up, 1, 1, 7)
    };
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![drained])).expect("fresh");
    merge.apply(at(0), &epoch("d", 1), snapshot(vec![view("a", NodeState::Up, 1, 9, 6)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Draining)], "d has not read the drain yet");
    merge.apply(at(1), &epoch("d", 2), delta(vec![view("a", NodeState::Up, 1, 10, 8)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Up)], "d has read the resume, c has not");
    let late = NodeView {
        intent: Intent { duty: Duty::Drain, revision: 7, ..Intent::default() },
        state: NodeState::Draining,
        ..view("a", NodeState::Up, 1, 11, 7)
    };
    merge.apply(at(2), &epoch("c", 2), delta(vec![late])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Up)], "however fresh c's report of the node is");
}

#[test]
fn an_operators_newest_weight_counts_whoever_tells_of_it_and_when() {
    let weighed = |beat, weight, revision| NodeView {
        intent: Intent { weight: Weight::new(weight), revision, ..Intent::default() },
        ..view("a", NodeState::Up, 1, beat, revision)
    };
    let of = |merge: &Merge| merge.view(&"a".parse().expect("valid")).expect("known").weight().get();
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![weighed(1, 500, 7)])).expect("fresh");
    merge.apply(at(0), &epoch("d", 1), snapshot(vec![weighed(9, 20, 6)])).expect("fresh");
    assert_eq!(of(&merge), 500, "d has the fresher beat, and an older decision");
    let _ = merge.take_changes();
    merge.apply(at(1), &epoch("d", 2), delta(vec![weighed(10, 0, 8)])).expect("fresh");
    assert_eq!(of(&merge), 100, "taken back: what the node registered");
    assert!(merge.take_changes().lasting, "a decision goes into the saved copy");
    merge.apply(at(2), &epoch("c", 2), delta(vec![weighed(11, 500, 7)])).expect("fresh");
    assert_eq!(of(&merge), 100, "c has not read it yet");
}

#[test]
fn a_coordinator_whose_clock_went_back_is_heard_on_a_new_stream() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 5), snapshot(vec![view("a", NodeState::Up, 1, 1, 1)])).expect("fresh");
    merge.opened(&"c".parse().expect("valid"), StreamId(2));
    let earlier = Epoch { incarnation: Incarnation(0), ..epoch("c", 1) };
    merge.apply(at(1), &earlier, snapshot(Vec::new())).expect("a new stream");
    assert_eq!(states(&merge), []);
}

#[test]
fn a_gateway_that_was_away_learns_of_a_removal_with_the_snapshot() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("d", 1), snapshot(vec![view("a", NodeState::Up, 1, 1, 3)])).expect("fresh");
    let removed = vec![Tombstone { id: "a".parse().expect("valid"), revision: 4 }];
    let body = Body::Snapshot { nodes: Vec::new(), removed, facts: GatewayFacts::default() };
    merge.apply(at(1), &epoch("c", 1), body).expect("fresh");
    assert_eq!(states(&merge), [], "whatever d still says");
}

#[test]
fn a_removed_node_stays_removed_until_it_registers_anew() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 1, 3)])).expect("fresh");
    merge.apply(at(0), &epoch("d", 1), snapshot(vec![view("a", NodeState::Up, 1, 1, 3)])).expect("fresh");
    let removed = Body::Delta {
        nodes: Vec::new(),
        loads: Vec::new(),
        removed: vec![Tombstone { id: "a".parse().expect("valid"), revision: 4 }],
        facts: None,
    };
    merge.apply(at(1), &epoch("c", 2), removed).expect("fresh");
    assert_eq!(states(&merge), [], "whatever d still says");
    merge.apply(at(2), &epoch("d", 2), delta(vec![view("a", NodeState::Up, 2, 1, 5)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Up)]);
}

#[test]
fn a_load_renews_what_is_known_of_that_life_and_nothing_else() {
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Suspect, 2, 5, 1)])).expect("fresh");
    let report = |id: &str, life, beat, load| Report {
        id: id.parse().expect("valid"),
        freshness: Freshness { incarnation: Incarnation(life), beat },
        load: Load { bytes_per_second: load, ..Load::default() },
        heard_ago: Duration::ZERO,
    };
    let loads = vec![report("a", 2, 6, 60), report("a", 2, 4, 40), report("a", 1, 900, 9), report("stranger", 1, 1, 1)];
    let body = Body::Delta { nodes: Vec::new(), loads, removed: Vec::new(), facts: None };
    merge.apply(at(1), &epoch("c", 2), body).expect("fresh");
    let held = merge.view(&"a".parse().expect("valid")).expect("known");
    assert_eq!(
        (held.load.bytes_per_second, held.freshness.beat),
        (60, 6),
        "not an older report, nor one of another life"
    );
    assert_eq!(states(&merge), [("a", NodeState::Suspect)], "and a stranger's load makes no node");
}

/// A coordinator has two names, and the newer link's first word overtakes the end of the older one.
#[test]
fn the_end_of_an_older_stream_silences_nobody_who_speaks_on_a_newer_one() {
    let (mut merge, c) = (on_streams(), "c".parse().expect("valid"));
    merge.apply(at(0), &epoch("c", 1), snapshot(vec![view("a", NodeState::Up, 1, 1, 1)])).expect("fresh");
    merge.opened(&c, StreamId(2));
    merge.apply(at(10), &epoch("c", 2), snapshot(vec![view("a", NodeState::Up, 1, 1, 1)])).expect("a new stream");
    merge.closed(at(11), &c, StreamId(1));
    assert_eq!(merge.live_coordinators(at(11)), 1);
    merge.apply(at(20), &epoch("c", 3), delta(vec![view("a", NodeState::Down, 1, 1, 1)])).expect("fresh");
    assert_eq!(states(&merge), [("a", NodeState::Down)]);
    merge.closed(at(30), &c, StreamId(2));
    assert_eq!(merge.live_coordinators(at(30)), 0, "that was the last one");
}

#[test]
fn replays_and_words_without_a_snapshot_are_refused() {
    let mut merge = Merge::default();
    assert_eq!(merge.apply(at(0), &epoch("c", 1), Body::Mark), Err(Stale::NoSnapshot));
    merge.apply(at(0), &epoch("c", 5), snapshot(vec![view("a", NodeState::Up, 1, 1, 1)])).expect("fresh");
    for sequence in [4, 5] {
        let old = delta(vec![view("a", NodeState::Down, 1, 1, 1)]);
        assert_eq!(merge.apply(at(0), &epoch("c", sequence), old), Err(Stale::Replayed));
    }
    assert_eq!(merge.apply(at(0), &epoch("c", 5), snapshot(Vec::new())), Err(Stale::Replayed));
    assert_eq!(states(&merge), [("a", NodeState::Up)]);
    // A new stream counts from the beginning, and needs a snapshot first.
    merge.opened(&"c".parse().expect("valid"), StreamId(2));
    assert_eq!(merge.apply(at(0), &epoch("c", 6), Body::Mark), Err(Stale::NoSnapshot));
    merge.apply(at(0), &epoch("c", 1), snapshot(Vec::new())).expect("a new stream");
    assert_eq!(states(&merge), []);
}

#[test]
fn the_ring_of_the_highest_revision_wins() {
    let ring = |kid: &str, revision| KeyRing {
        previous: None,
        current: crate::ring::Key::new(kid.parse().expect("valid"), vec![0; 32]).expect("long enough"),
        next: None,
        revision,
    };
    let with = |ring| Body::Snapshot {
        nodes: Vec::new(),
        removed: Vec::new(),
        facts: GatewayFacts { node_ring: Some(ring), ..GatewayFacts::default() },
    };
    let mut merge = Merge::default();
    merge.apply(at(0), &epoch("c", 1), with(ring("new", 9))).expect("fresh");
    merge.apply(at(0), &epoch("d", 1), with(ring("old", 8))).expect("fresh");
    assert_eq!(merge.facts().node_ring.as_ref().map(|ring| ring.current.kid().as_str()), Some("new"));
}

#[test]
fn what_was_removed_long_ago_does_not_come_back_when_its_removal_is_forgotten() {
    let mut merge = on_streams();
    let count = crate::tombstones::MOST as u64 + 5;
    let nodes = (0..count).map(|n| view(&format!("n{n}"), NodeState::Up, 1, 1, 1)).collect();
    merge.apply(at(0), &epoch("c", 1), snapshot(nodes)).expect("fresh");
    for n in 0..count {
        let removed = vec![Tombstone { id: format!("n{n}").parse().expect("valid"), revision: 10 + n }];
        let body = Body::Delta { nodes: Vec::new(), loads: Vec::new(), removed, facts: None };
        merge.apply(at(0), &epoch("c", 2 + n), body).expect("fresh");
    }
    close(&mut merge, at(1), "d");
    assert_eq!(states(&merge), []);
}

/// A state, and whether it is in doubt.
fn any_state() -> impl Strategy<Value = (NodeState, bool)> {
    use NodeState::{Down, Probation, Suspect, Up};
    let sure = prop::sample::select(&[Up, Down, Probation, Suspect][..]).prop_map(|state| (state, false));
    prop_oneof![4 => sure, 1 => Just((Suspect, true))]
}

/// One coordinator's word on a node of two lives.
fn any_word() -> impl Strategy<Value = NodeView> {
    (prop::sample::select(&NodeState::ALL[..]), 1_u64..3, 1_u64..5, 1_u64..4, any::<bool>()).prop_map(
        |(state, incarnation, beat, revision, in_doubt)| {
            let mut word = view("a", state, incarnation, beat, revision);
            // One revision is one decision.
            word.intent.duty = [Duty::Serve, Duty::Drain, Duty::Maintenance][revision as usize % 3];
            word.intent.weight = Weight::new(revision as u32 - 1);
            word.in_doubt = in_doubt && state == NodeState::Suspect;
            word
        },
    )
}

proptest! {
    #[test]
    fn whose_word_is_asked_for_first_makes_no_difference(mut words in prop::collection::vec(any_word(), 1..5)) {
        let of = |words: &[NodeView]| {
            let joined = combine::combine(&words.iter().collect::<Vec<_>>()).expect("there is one");
            (joined.state, joined.in_doubt, joined.intent, joined.freshness)
        };
        // Two reports of one beat are one report.
        words.sort_by_key(|word| word.freshness);
        words.dedup_by_key(|word| word.freshness);
        let joined = of(&words);
        words.reverse();
        prop_assert_eq!(of(&words), joined);
        words.rotate_left(1);
        prop_assert_eq!(of(&words), joined);
        // G1: somebody who hears it in time is not outvoted.
        let life = joined.3.incarnation;
        let heard = |word: &NodeView| word.freshness.incarnation == life && word.state.is_well() && !word.intent.drains();
        if words.iter().any(heard) && !joined.2.drains() {
            prop_assert!(joined.0 != NodeState::Down && joined.0 != NodeState::Suspect, "{:?}", joined.0);
        }
    }

    /// G1 and G2 over random words of three coordinators.
    #[test]
    fn a_node_is_selectable_only_if_a_live_coordinator_hears_it(
        script in prop::collection::vec((0_u64..900, 0_usize..3, 0_usize..2, any_state(), any::<bool>()), 1..60),
    ) {
        let mut merge = Merge::default();
        let mut now = at(0);
        let mut sequences = [0_u64; 3];
        let mut beats = [0_u64; 2];
        let mut said: HashMap<(usize, usize), (NodeState, bool)> = HashMap::new();
        let mut spoke: HashMap<usize, Tick> = HashMap::new();
        for (pause, coordinator, node, (state, in_doubt), whole) in script {
            now = now + Duration::from_millis(pause);
            let before: Vec<_> = merge.views().cloned().collect();
            merge.pass(now);
            if merge.live_coordinators(now) == 0 {
                let after: Vec<_> = merge.views().cloned().collect();
                prop_assert_eq!(before, after, "G2");
            }
            sequences[coordinator] += 1;
            beats[node] += 1;
            let word = NodeView { in_doubt, ..view(["a", "b"][node], state, 1, beats[node], 1) };
            let epoch = epoch(["c", "d", "e"][coordinator], sequences[coordinator]);
            let body = if whole { snapshot(vec![word]) } else { delta(vec![word]) };
            if merge.apply(now, &epoch, body).is_ok() {
                if whole {
                    said.retain(|(who, _), _| *who != coordinator);
                }
                said.insert((coordinator, node), (state, in_doubt));
                spoke.insert(coordinator, now);
            }
            // Silence counts from when anybody was last heard.
            let judged = spoke.values().copied().max().filter(|last| now < *last + LIVE_FOR).unwrap_or(now);
            let live = |who: &usize| spoke.get(who).is_some_and(|at| judged < *at + LIVE_FOR);
            for (index, name) in ["a", "b"].iter().enumerate() {
                let words: Vec<_> =
                    said.iter().filter(|((who, which), _)| live(who) && *which == index).map(|(_, word)| *word).collect();
                let says = |wanted: NodeState| words.contains(&(wanted, false));
                let doubted = words.contains(&(NodeState::Suspect, true));
                // Heard well by one is enough; heard late counts as much as on its way back; a doubt, only where nobody is surer.
                let heard = says(NodeState::Up) || !says(NodeState::Down) && doubted && words.len() == 1;
                let unheard = !says(NodeState::Up) && !says(NodeState::Suspect) && (says(NodeState::Down) || !doubted);
                let merged = merge.views().find(|view| view.facts.id.as_str() == *name);
                if spoke.keys().any(live) {
                    let selectable = merged.is_some_and(|view| view.state.selectable());
                    prop_assert!((selectable || !heard) && (!selectable || !unheard), "G1: {:?} of {:?}", merged, words);
                }
            }
        }
    }
}
