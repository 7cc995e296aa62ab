use std::time::Duration;

use ferry_core::object::{ObjectKey, ObjectPath};
use ferry_delivery::transfers::Transfer;

use super::*;

const KIB: u64 = 1024;

fn least(bytes: u64) -> NonZeroU64 {
    NonZeroU64::new(bytes).expect("not zero")
}

fn judge(capacity: u64, least_rate: u64) -> (Judge, Fullness) {
    let fullness = Fullness::of(Transfers::new());
    let capacity = Capacity::of(NonZeroU64::new(capacity));
    (Judge::new(fullness.clone(), capacity, NonZeroU64::new(least_rate)), fullness)
}

fn begin(fullness: &Fullness, count: usize) -> Vec<Transfer> {
    let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a path"));
    let begin = || fullness.0.transfers.begin(key.clone(), ([127, 0, 0, 1], 1).into(), None, std::time::UNIX_EPOCH);
    std::iter::repeat_with(begin).take(count).collect()
}

fn sending(bytes_per_second: u64) -> Load {
    Load { bytes_per_second, ..Load::default() }
}

#[test]
fn the_next_transfer_gets_its_equal_part_or_what_the_others_leave() {
    for (sent, under_way, expected, case) in [
        (0, 0, 10, "an idle link"),
        (640 * KIB, 1, 10, "one fast client makes room for the next"),
        (640 * KIB, 10, 10, "ten that share it all"),
        (64 * KIB, 10, 19, "ten slow ones leave nine parts"),
        (9999 * KIB, 3, 10, "more than there is"),
    ] {
        assert_eq!(too_many(640 * KIB, sent, under_way, least(64 * KIB)), expected, "{case}");
    }
    assert_eq!(too_many(1, 0, 0, least(64 * KIB)), 1, "a client there always is");
    assert_eq!(too_many(u64::MAX, 0, usize::MAX, least(1)), usize::MAX);
}

#[test]
fn a_link_that_is_spread_too_thin_makes_it_full_until_there_is_clearly_room() {
    let (mut judge, fullness) = judge(640 * KIB, 64 * KIB);
    let mut under_way = begin(&fullness, 9);
    judge.measured(&mut sending(640 * KIB));
    assert!(!fullness.is_full());
    under_way.extend(begin(&fullness, 1));
    assert!(fullness.is_full(), "without another measurement");
    let mut load = sending(640 * KIB);
    judge.measured(&mut load);
    assert_eq!(load.fullness, Share::clamped(1.0), "the beat says so");
    under_way.truncate(8);
    assert!(fullness.is_full(), "one less is no room");
    under_way.truncate(7);
    assert!(!fullness.is_full());
    under_way.extend(begin(&fullness, 1));
    judge.measured(&mut load);
    assert_eq!(load.fullness, Share::clamped(0.8), "and how near it is");
}

#[test]
fn a_burst_between_two_measurements_is_seen() {
    let (mut judge, fullness) = judge(640 * KIB, 64 * KIB);
    judge.measured(&mut sending(0));
    let burst = begin(&fullness, 10);
    assert!(fullness.is_full());
    drop(burst);
    assert!(!fullness.is_full());
}

#[test]
fn without_a_least_rate_any_number_will_do() {
    let (mut judge, fullness) = judge(1, 0);
    let mut load = sending(1 << 40);
    let _many = begin(&fullness, 1000);
    judge.measured(&mut load);
    assert!(!fullness.is_full());
    assert!(load.fullness.get() < 0.01);
}

#[test]
fn a_disk_that_has_become_slow_makes_it_full_and_one_that_is_usual_again_does_not() {
    let (mut judge, fullness) = judge(1_000_000, 0);
    let mut verdicts = |wait: u64, times: usize| -> Vec<bool> {
        let mut load = Load { disk_wait: Duration::from_millis(wait), ..Load::default() };
        let mut verdict = || {
            judge.measured(&mut load);
            fullness.is_full()
        };
        std::iter::repeat_with(&mut verdict).take(times).collect()
    };
    assert_eq!(verdicts(2, 20), [false; 20]);
    assert_eq!(verdicts(200, 2), [false; 2], "a moment");
    assert_eq!(verdicts(2, 1), [false]);
    assert_eq!(verdicts(200, 4), [false, false, true, true]);
    assert_eq!(verdicts(2, 4), [true, true, false, false]);
    assert!(verdicts(200, 100)[99], "however long it has been so");
}
