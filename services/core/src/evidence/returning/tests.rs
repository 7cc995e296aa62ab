use proptest::prelude::*;

use super::*;

const CLIENT: ClientKey = ClientKey(0x1234_5678_9abc_def0);
const A: NodeKey = NodeKey(1);
const B: NodeKey = NodeKey(2);

fn at(millis: u64) -> Tick {
    Tick::from_origin(Duration::from_secs(1_000) + Duration::from_millis(millis))
}

fn avoids(returning: &Returning, node: NodeKey, millis: u64) -> bool {
    returning.avoided(CLIENT, false, at(millis)).contains(node)
}

fn sent_to_a() -> Returning {
    let mut returning = Returning::with_room(64);
    returning.sent(CLIENT, A, true, at(0));
    returning
}

#[test]
fn a_client_of_whom_nothing_is_heard_goes_to_the_next_node_and_further_only_when_that_failed_too() {
    let mut returning = sent_to_a();
    assert!(avoids(&returning, A, 1000));
    returning.sent(CLIENT, B, true, at(1000));
    assert!(avoids(&returning, A, 1500) && !avoids(&returning, B, 1500));
    returning.heard(CLIENT, B, Fate::UnderWay, at(1600));
    assert!(avoids(&returning, A, 4000) && !avoids(&returning, B, 4000), "it is served there");
    assert!(avoids(&returning, B, 4100), "of which there is no word any more");
}

#[test]
fn several_requests_at_once_are_one_attempt() {
    let mut returning = sent_to_a();
    for millis in [0, 1, 200, 900] {
        assert!(!avoids(&returning, A, millis), "{millis} ms");
        returning.sent(CLIENT, A, true, at(millis));
    }
    assert!(avoids(&returning, A, 1000), "however many there were, the first should have been heard of");
}

#[test]
fn what_a_node_says_that_it_failed_is_not_tried_again_however_soon() {
    let mut returning = sent_to_a();
    returning.heard(CLIENT, A, Fate::UnderWay, at(100));
    returning.heard(CLIENT, A, Fate::Failed, at(200));
    assert!(avoids(&returning, A, 200));
}

#[test]
fn where_no_word_can_come_its_absence_means_nothing() {
    let mut returning = sent_to_a();
    returning.sent(CLIENT, B, true, at(0));
    returning.heard(CLIENT, B, Fate::Failed, at(500));
    assert!(avoids(&returning, A, 5000) && avoids(&returning, B, 5000));
    let deaf = returning.avoided(CLIENT, true, at(5000));
    assert!(!deaf.contains(A) && deaf.contains(B), "what a node had said stands");

    let mut returning = Returning::with_room(64);
    for millis in [0, 2000, 4000] {
        assert!(!avoids(&returning, A, millis), "a node that reports nothing, after {millis} ms");
        returning.sent(CLIENT, A, false, at(millis));
    }
    returning.sent(CLIENT, A, true, at(5000));
    assert!(!avoids(&returning, A, 5500) && avoids(&returning, A, 6000), "it reports now");
}

#[test]
fn a_client_is_forgotten_after_two_minutes() {
    let mut returning = sent_to_a();
    assert!(avoids(&returning, A, 119_999));
    assert!(!avoids(&returning, A, 120_000));
    returning.sent(CLIENT, A, true, at(130_000));
    assert!(!avoids(&returning, A, 130_500), "it begins anew");
}

#[test]
fn a_video_that_seeks_stays() {
    let mut returning = sent_to_a();
    for second in 0..60 {
        let now = second * 1000;
        returning.heard(CLIENT, A, Fate::UnderWay, at(now + 500));
        returning.heard(CLIENT, A, Fate::BrokenOff, at(now + 900));
        assert!(!avoids(&returning, A, now + 1000), "after {second} s");
        returning.sent(CLIENT, A, true, at(now + 1000));
    }
}

#[test]
fn fifty_clients_behind_one_address_stay_while_all_goes_well_however_far_apart_they_come() {
    let mut returning = Returning::with_room(64);
    for client in 0..50 {
        let now = client * 2_300;
        assert!(!avoids(&returning, A, now), "client {client}");
        returning.sent(CLIENT, A, true, at(now));
        returning.heard(CLIENT, A, Fate::Complete, at(now + 400));
    }
    assert!(!avoids(&returning, A, 50 * 2_300 + 60_000), "a fact does not age as a sign of life does");
    returning.sent(CLIENT, A, true, at(200_000));
    assert!(avoids(&returning, A, 203_000), "of one there is no word");
}

#[test]
fn who_was_everywhere_begins_anew() {
    let mut returning = sent_to_a();
    assert!(avoids(&returning, A, 5000));
    returning.forget(CLIENT);
    assert!(returning.avoided(CLIENT, false, at(5000)).is_empty());
    returning.sent(CLIENT, A, true, at(5000));
    assert!(!avoids(&returning, A, 5500) && avoids(&returning, A, 6000));
}

#[test]
fn the_memory_for_one_client_is_its_last_four_nodes() {
    let mut returning = Returning::with_room(4);
    for node in 0..6 {
        returning.sent(CLIENT, NodeKey(node), true, at(u64::from(node)));
    }
    let avoided = returning.avoided(CLIENT, false, at(10_000));
    assert_eq!([0, 1, 2, 3, 4, 5].map(|node| avoided.contains(NodeKey(node))), [false, false, true, true, true, true]);
}

#[test]
fn a_client_takes_little_room() {
    assert!(size_of::<Slot>() <= 120, "a gateway keeps 131,072");
}

proptest! {
    /// Whoever brings many clients makes others forgotten, and nothing else: of a client that is remembered, nothing changes.
    #[test]
    fn others_can_only_make_a_client_forgotten(others in prop::collection::vec(any::<u64>(), 0..200)) {
        let mut returning = sent_to_a();
        for other in others.into_iter().map(ClientKey).filter(|other| *other != CLIENT) {
            returning.sent(other, B, true, at(500));
            returning.heard(other, A, Fate::Failed, at(500));
            let avoided = returning.avoided(CLIENT, false, at(2000));
            prop_assert!(avoided.is_empty() || (avoided.count == 1 && avoided.contains(A)));
        }
    }

    /// Nobody is sent away from a node of which a fresh word says that it serves him.
    #[test]
    fn a_fresh_good_word_keeps_the_client(script in prop::collection::vec((0_u8..5, 0_u64..3000), 1..60)) {
        let mut returning = Returning::with_room(16);
        let mut now = 0;
        for (step, passed) in script {
            now += passed;
            match step {
                0 => returning.sent(CLIENT, A, true, at(now)),
                1 => returning.heard(CLIENT, A, Fate::BrokenOff, at(now)),
                2 => returning.heard(CLIENT, A, Fate::Failed, at(now)),
                3 => {
                    returning.sent(CLIENT, A, true, at(now));
                    returning.heard(CLIENT, A, Fate::Complete, at(now));
                    prop_assert!(!avoids(&returning, A, now + 2499));
                }
                _ => returning.sent(CLIENT, B, true, at(now)),
            }
            prop_assert!(!returning.avoided(ClientKey(7), false, at(now)).contains(A), "nobody else is concerned");
        }
    }
}
