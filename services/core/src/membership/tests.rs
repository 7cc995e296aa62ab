//! Scripts of events, told by hand and at random.

mod absence;
mod awaited;
mod doubt;
mod returning;

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    id::Incarnation,
    node::{Duty, Intent, NodeFacts},
    time::UnixMillis,
};

const OURS: SecretDigest = SecretDigest([1; 32]);
const THEIRS: SecretDigest = SecretDigest([2; 32]);

fn at(millis: u64) -> Tick {
    Tick::from_origin(Duration::from_millis(millis))
}

fn facts(id: &str, address: &str) -> Arc<NodeFacts> {
    Arc::new(NodeFacts {
        address: Some(address.parse().expect("valid")),
        ..NodeFacts::named(id.parse().expect("valid"))
    })
}

fn record(id: &str, revision: u64, drain: bool) -> Event {
    decided(id, revision, if drain { Duty::Drain } else { Duty::Serve })
}

fn decided(id: &str, revision: u64, duty: Duty) -> Event {
    Event::Record(Record {
        facts: facts(id, "a:1"),
        secret: OURS,
        first_seen: UnixMillis::default(),
        intent: Intent { duty, revision, ..Intent::default() },
    })
}

fn attend(id: &str, session: u64, incarnation: u64, secret: SecretDigest) -> Event {
    Event::Attend {
        session: SessionId(session),
        registration: Box::new(Registration {
            facts: facts(id, "a:1"),
            secret,
            incarnation: Incarnation(incarnation),
            draining: false,
        }),
    }
}

fn beat(session: u64, sequence: u64) -> Event {
    Event::Beat { session: SessionId(session), sequence, load: Load::default(), draining: false }
}

fn state(membership: &Membership, now: Tick, id: &str) -> Option<NodeState> {
    membership.view(now, &id.parse().expect("valid")).map(|view| view.state)
}

/// A membership in which node `n` attends on session 1 since 0 ms.
fn one_node() -> Membership {
    let mut membership = Membership::new(Timing::default(), at(0));
    let _ = membership.step(at(0), record("n", 1, false));
    let effects = membership.step(at(0), attend("n", 1, 7, OURS));
    assert!(matches!(effects[0], Effect::Welcome { session: SessionId(1), .. }), "{effects:?}");
    membership
}

/// Lets time pass as it does for an observer that is there all the time.
fn advance(membership: &mut Membership, now: Tick) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut at = membership.observer.looked().unwrap_or_default();
    while at < now {
        at = now.min(at + Duration::from_millis(100));
        effects.extend(membership.step(at, Event::TimePassed));
    }
    effects
}

/// Lets time pass until something is said at `now`.
fn say(membership: &mut Membership, now: Tick, event: Event) -> Vec<Effect> {
    let mut effects = advance(membership, now);
    effects.extend(membership.step(now, event));
    effects
}

fn ended(session: u64, end: End) -> Event {
    Event::Ended { session: SessionId(session), end }
}

fn probed(id: &str, incarnation: u64, probe: Probe) -> Event {
    Event::Probed { id: id.parse().expect("valid"), incarnation: Incarnation(incarnation), probe }
}

/// Which nodes are to be probed.
fn probes(effects: &[Effect]) -> Vec<&str> {
    let ids = effects.iter().map(|effect| if let Effect::Probe { id, .. } = effect { Some(id.as_str()) } else { None });
    ids.flatten().collect()
}

#[test]
fn a_stranger_is_created_before_it_is_welcomed() {
    let mut membership = Membership::new(Timing::default(), at(0));
    let effects = membership.step(at(0), attend("n", 1, 7, OURS));
    assert!(matches!(effects[..], [Effect::Create { session: SessionId(1), .. }]), "{effects:?}");
    assert_eq!(state(&membership, at(0), "n"), None);
}

#[test]
fn silence_makes_suspect_then_down() {
    let mut membership = one_node();
    let _ = membership.step(at(1000), beat(1, 1));
    for (now, expected) in [(3499, NodeState::Up), (3500, NodeState::Suspect)] {
        let effects = advance(&mut membership, at(now));
        assert_eq!(state(&membership, at(now), "n"), Some(expected), "at {now} ms");
        assert_eq!(probes(&effects).len(), usize::from(expected == NodeState::Suspect), "who is silent is looked at");
    }
    let _ = membership.step(at(4000), probed("n", 7, Probe::Unwell));
    for (now, expected) in [(4999, NodeState::Suspect), (5000, NodeState::Down)] {
        let _ = advance(&mut membership, at(now));
        assert_eq!(state(&membership, at(now), "n"), Some(expected), "at {now} ms");
    }
}

#[test]
fn the_next_deadline_is_when_time_alone_changes_something() {
    let mut membership = one_node();
    assert_eq!(membership.next_deadline(), Some(at(2500)));
    let _ = membership.step(at(1000), beat(1, 1));
    let _ = advance(&mut membership, at(2500));
    assert_eq!(membership.next_deadline(), Some(at(3500)));
    let _ = advance(&mut membership, at(3500));
    assert_eq!(membership.next_deadline(), Some(at(5000)));
    let _ = membership.step(at(3600), probed("n", 7, Probe::Unwell));
    let _ = advance(&mut membership, at(5000));
    assert_eq!(membership.next_deadline(), None);
}

#[test]
fn a_broken_stream_is_death_unless_the_node_redials() {
    let mut membership = one_node();
    let _ = membership.step(at(1000), ended(1, End::Broken));
    let _ = advance(&mut membership, at(1499));
    assert_eq!(state(&membership, at(1499), "n"), Some(NodeState::Up));
    let _ = advance(&mut membership, at(1500));
    assert_eq!(state(&membership, at(1500), "n"), Some(NodeState::Down));

    let mut membership = one_node();
    let _ = membership.step(at(1000), ended(1, End::Broken));
    let _ = membership.step(at(1300), attend("n", 2, 7, OURS));
    let _ = advance(&mut membership, at(1600));
    assert_eq!(state(&membership, at(1600), "n"), Some(NodeState::Up));
}

#[test]
fn a_goodbye_is_believed_at_once() {
    let mut membership = one_node();
    let effects = membership.step(at(10), Event::Ended { session: SessionId(1), end: End::Goodbye });
    assert_eq!(state(&membership, at(10), "n"), Some(NodeState::Down));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Publish { .. })), "{effects:?}");
}

#[test]
fn a_taken_id_without_its_secret_is_refused() {
    let mut membership = one_node();
    let effects = membership.step(at(10), attend("n", 2, 8, THEIRS));
    let why = "node id n is taken by the node at a:1, whose secret the one at a:1 does not have";
    assert!(matches!(&effects[..], [Effect::Refuse { why: refusal, .. }] if refusal.to_string().starts_with(why)));
    assert!(membership.is_attending(&"n".parse().expect("valid")), "the rightful node stays");
}

#[test]
fn the_same_node_may_come_back_at_another_address() {
    let mut membership = one_node();
    let moved = Event::Attend {
        session: SessionId(2),
        registration: Box::new(Registration {
            facts: facts("n", "b:2"),
            secret: OURS,
            incarnation: Incarnation(8),
            draining: false,
        }),
    };
    let effects = membership.step(at(10), moved);
    assert_eq!(effects[0], Effect::End { session: SessionId(1), why: Refusal::Superseded });
    assert!(
        matches!(&effects[1], Effect::Save { facts, .. } if facts.address.as_ref().expect("set").as_str() == "b:2")
    );
    let view = membership.view(at(10), &"n".parse().expect("valid")).expect("known");
    assert_eq!(view.facts.address.as_ref().expect("set").as_str(), "b:2");
    // The old life's last words change nothing.
    let _ = membership.step(at(20), Event::Ended { session: SessionId(1), end: End::Goodbye });
    assert_eq!(state(&membership, at(20), "n"), Some(NodeState::Up));
    // Nor does the old life itself.
    let effects = membership.step(at(30), attend("n", 3, 7, OURS));
    assert_eq!(effects, [Effect::Refuse { session: SessionId(3), why: Refusal::Superseded }]);
}

#[test]
fn a_node_that_registers_over_and_over_is_taken_at_a_pace_and_others_do_not_use_it_up() {
    let mut membership = one_node();
    let mut welcomes = |now, secret| {
        let tries = (0..100).map(|_| membership.step(at(now), attend("n", now, 7, secret)));
        tries.flatten().filter(|effect| matches!(effect, Effect::Welcome { .. })).count()
    };
    assert_eq!(welcomes(100, THEIRS), 0);
    assert_eq!(welcomes(110, OURS), 15, "and the one that began it");
    assert_eq!(welcomes(1050, OURS), 1);
}

/// A disk was cloned, and the copy has died. Its original lives on.
#[test]
fn an_older_life_may_come_back_as_a_newer_one_once_the_newer_one_is_dead() {
    let outlived = Refusal::Outlived { newest: Incarnation(7) };
    let refused = |session, why: &Refusal| [Effect::Refuse { session: SessionId(session), why: why.clone() }];
    for duty in [Duty::Serve, Duty::Maintenance] {
        let mut membership = one_node();
        let Event::Record(record) = record("n", 2, false) else { unreachable!("a record") };
        let intent = Intent { duty, ..record.intent };
        let _ = membership.step(at(0), Event::Record(Record { intent, ..record }));
        let _ = say(&mut membership, at(1000), beat(1, 1));
        let _ = membership.step(at(1000), ended(1, End::Broken));
        let alive = membership.step(at(1100), attend("n", 2, 6, OURS));
        assert_eq!(alive, refused(2, &Refusal::Superseded), "it may redial");
        let _ = advance(&mut membership, at(5000));
        let dead = membership.step(at(5000), attend("n", 3, 6, OURS));
        assert_eq!(dead, refused(3, &outlived), "{duty:?}");
        let effects = membership.step(at(5100), attend("n", 4, 8, OURS));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Welcome { .. })), "{effects:?}");
        // The copy is started again where it was: it has its turn when this one is dead, and not before.
        let _ = membership.step(at(5200), beat(4, 1));
        let again = membership.step(at(5300), attend("n", 5, 7, OURS));
        assert!(again.contains(&refused(5, &Refusal::Superseded)[0]), "{again:?}");
        assert!(again.iter().any(|effect| matches!(effect, Effect::Contested { .. })), "{again:?}");
    }
}

#[test]
fn what_a_refused_copy_is_told_names_the_cure() {
    let told = Refusal::Superseded.to_string();
    assert!(told.contains("remove the copy or delete its `identity`"), "{told}");
}

#[test]
fn a_drain_is_commanded_published_and_survives_the_nodes_restart() {
    let mut membership = one_node();
    let effects = membership.step(at(10), record("n", 2, true));
    assert!(
        effects.contains(&Effect::Command {
            session: SessionId(1),
            intent: Intent { duty: Duty::Drain, revision: 2, ..Intent::default() }
        }),
        "{effects:?}"
    );
    assert_eq!(state(&membership, at(10), "n"), Some(NodeState::Draining));
    let effects = membership.step(at(20), attend("n", 2, 8, OURS));
    assert!(effects.contains(&Effect::Welcome {
        session: SessionId(2),
        intent: Intent { duty: Duty::Drain, revision: 2, ..Intent::default() }
    }));
    assert_eq!(state(&membership, at(20), "n"), Some(NodeState::Draining));
    let _ = membership.step(at(30), record("n", 3, false));
    assert_eq!(state(&membership, at(30), "n"), Some(NodeState::Up));
    let effects = membership.step(at(40), record("n", 2, true));
    assert_eq!(effects, [], "an older record changes nothing");
}

#[test]
fn a_removed_node_is_unpublished_and_its_stream_ended() {
    let mut membership = one_node();
    let id: NodeId = "n".parse().expect("valid");
    let effects = membership.step(at(10), Event::Forgotten { id: id.clone(), revision: 5 });
    assert_eq!(
        effects,
        [
            Effect::End { session: SessionId(1), why: Refusal::Removed },
            Effect::Unpublish { id: id.clone(), revision: 5 }
        ]
    );
    assert_eq!(membership.view(at(10), &id), None);
}

/// The answer to a write takes another way than the watch: it may come after the removal that followed the write.
#[test]
fn an_answer_that_comes_after_a_later_removal_brings_nobody_back() {
    for known in [true, false] {
        let mut membership = if known { one_node() } else { Membership::new(Timing::default(), at(0)) };
        let _ = membership.step(at(10), Event::Forgotten { id: "n".parse().expect("valid"), revision: 5 });
        for revision in [4, 5] {
            assert_eq!(membership.step(at(20), record("n", revision, false)), [], "known: {known}");
        }
        assert_eq!(state(&membership, at(20), "n"), None);
        let _ = membership.step(at(30), record("n", 6, false));
        assert_eq!(state(&membership, at(30), "n"), Some(NodeState::Suspect), "it registered anew");
    }
}

#[test]
fn replayed_beats_are_no_sign_of_life() {
    let mut membership = one_node();
    let _ = membership.step(at(100), beat(1, 5));
    let _ = say(&mut membership, at(2600), probed("n", 7, Probe::Unwell));
    for old in [5, 4] {
        let effects = say(&mut membership, at(3000), beat(1, old));
        assert!(effects.contains(&Effect::Ignored { session: SessionId(1) }), "{effects:?}");
    }
    let _ = advance(&mut membership, at(4100));
    assert_eq!(state(&membership, at(4100), "n"), Some(NodeState::Down));
}

#[test]
fn a_restarted_coordinator_learns_before_it_speaks() {
    let mut membership = Membership::new(Timing::default(), at(0));
    assert!(membership.has_learned(at(0)), "nobody is on record: nobody is missed");
    let _ = membership.step(at(0), record("n", 1, false));
    let _ = membership.step(at(0), record("m", 2, false));
    assert!(!membership.has_learned(at(3999)), "they have their time to come");
    assert!(membership.has_learned(at(4000)));
    let _ = membership.step(at(100), attend("n", 1, 7, OURS));
    assert!(!membership.has_learned(at(3999)));
    let _ = membership.step(at(200), attend("m", 2, 7, OURS));
    assert!(membership.has_learned(at(200)), "all were heard");
    assert_eq!(state(&membership, at(100), "n"), Some(NodeState::Up), "nobody has to prove himself to whoever is new");
}

#[test]
fn a_coordinator_whose_store_was_away_learns_from_its_first_reading_on() {
    let mut membership = Membership::new(Timing::default(), at(0));
    // Nobody could be let in before: an hour of silence means nothing.
    let read = at(3_600_000);
    let _ = membership.step(read, record("n", 1, false));
    membership.begin_learning(read);
    assert!(!membership.has_learned(at(3_603_999)));
    assert!(membership.has_learned(at(3_604_000)));
}

fn any_probe() -> impl Strategy<Value = Probe> {
    prop_oneof![Just(Probe::Well), Just(Probe::Unwell), Just(Probe::Unreached)]
}

fn any_duty() -> impl Strategy<Value = Duty> {
    prop_oneof![Just(Duty::Serve), Just(Duty::Drain), Just(Duty::Maintenance)]
}

/// A moment, a while, or an absence of the observer.
fn any_pause() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..900, 1 => 900_u64..3000, 1 => 3000_u64..30_000]
}

fn any_event() -> impl Strategy<Value = Event> {
    let node = prop_oneof![Just("a"), Just("b"), Just("c")];
    let session = 1_u64..12;
    prop_oneof![
        (node.clone(), 1_u64..30, any_duty()).prop_map(|(id, revision, duty)| decided(id, revision, duty)),
        (node.clone(), 1_u64..30)
            .prop_map(|(id, revision)| Event::Forgotten { id: id.parse().expect("valid"), revision }),
        (node, session.clone(), 1_u64..4, any::<bool>()).prop_map(|(id, session, incarnation, ours)| attend(
            id,
            session,
            incarnation,
            if ours { OURS } else { THEIRS }
        )),
        (session.clone(), 1_u64..20, any::<bool>()).prop_map(|(session, sequence, draining)| Event::Beat {
            session: SessionId(session),
            sequence,
            load: Load::default(),
            draining
        }),
        (session, prop::sample::select(&[End::Goodbye, End::Broken, End::Unheard][..]))
            .prop_map(|(session, end)| ended(session, end)),
        (prop_oneof![Just("a"), Just("b"), Just("c")], 1_u64..4, any_probe())
            .prop_map(|(id, incarnation, probe)| probed(id, incarnation, probe)),
        Just(Event::TimePassed),
    ]
}

proptest! {
    /// `step` itself asserts the invariants; here every change of state must also have been published.
    #[test]
    fn no_script_of_events_breaks_an_invariant(script in prop::collection::vec((any_pause(), any_event()), 1..80)) {
        let mut membership = Membership::new(Timing::default(), at(0));
        let mut published = HashMap::new();
        let mut used = std::collections::BTreeSet::new();
        let mut now = at(0);
        for (pause, event) in script {
            now = now + Duration::from_millis(pause);
            if let Event::Attend { session, .. } = &event && !used.insert(*session) {
                continue; // Sessions are never reused.
            }
            for effect in membership.step(now, event) {
                match effect {
                    Effect::Publish { id } => { published.insert(id.clone(), membership.view(now, &id).map(|view| (view.state, view.in_doubt))); }
                    Effect::Unpublish { id, .. } => { published.remove(&id); }
                    _ => {}
                }
            }
            prop_assert!(membership.is_sound(now));
            for view in membership.views(now) {
                prop_assert_eq!(published.get(&view.facts.id), Some(&Some((view.state, view.in_doubt))));
            }
        }
    }
}
