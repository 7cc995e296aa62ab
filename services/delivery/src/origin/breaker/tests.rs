use proptest::prelude::*;

use super::*;

/// A failure that is like no other.
fn any(number: u64) -> Failure {
    of(number, number)
}

fn of(exchange: u64, target: u64) -> Failure {
    Failure::Unanswered(Witness { exchange, target })
}

fn at(millis: u64) -> Tick {
    Tick::from_origin(Duration::from_millis(1_000_000 + millis))
}

/// A breaker that opened at that moment.
fn open_at(millis: u64) -> Breaker {
    let mut breaker = Breaker::new();
    for number in 0..IN_A_ROW {
        let pass = breaker.admit(at(millis)).expect("closed");
        breaker.failed(at(millis), pass, any(number as u64));
    }
    breaker
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let mut breaker = Breaker::new();
    for round in 0..3 {
        for number in 1..IN_A_ROW {
            breaker.failed(at(round), Pass::Ordinary, any(number as u64));
        }
        assert_eq!(breaker.state(at(round)), BreakerState::Closed);
        breaker.succeeded(at(round), Pass::Ordinary);
        breaker.recent = Recent::default();
    }
    for number in 0..IN_A_ROW {
        assert_eq!(breaker.admit(at(9)), Ok(Pass::Ordinary));
        breaker.failed(at(9), Pass::Ordinary, any(number as u64));
    }
    assert_eq!(breaker.admit(at(9)), Err(FIRST_WAIT));
}

#[test]
fn half_of_twenty_within_ten_seconds_open_it() {
    for (results, apart, opens) in [(20, 400, true), (19, 400, false), (20, 1100, false)] {
        let mut breaker = Breaker::new();
        let mut now = at(0);
        for index in 0..results {
            now = at(index * apart);
            // Failures last, so that the half is complete with the last result; never five of them in a row.
            if index % 2 == 1 {
                breaker.failed(now, Pass::Ordinary, any(index));
            } else {
                breaker.succeeded(now, Pass::Ordinary);
            }
        }
        assert_eq!(breaker.state(now) == BreakerState::Open, opens, "{results} results, {apart} ms apart");
    }
}

#[test]
fn a_third_of_many_does_not_open_it() {
    let mut breaker = Breaker::new();
    for index in 0..300 {
        match index % 3 {
            0 => breaker.failed(at(index), Pass::Ordinary, any(index)),
            _ => breaker.succeeded(at(index), Pass::Ordinary),
        }
    }
    assert_eq!(breaker.state(at(300)), BreakerState::Closed);
}

#[test]
fn one_target_does_not_open_it_however_often_it_fails() {
    let (mut alone, mut among) = (Breaker::new(), Breaker::new());
    for number in 0..500 {
        let now = at(number * 100);
        alone.failed(now, Pass::Ordinary, of(number, 7));
        assert_eq!(alone.state(now), BreakerState::Closed, "failure {number}");
        // Its head comes, and its body breaks off; another object is asked for now and then.
        among.succeeded(now, Pass::Ordinary);
        among.failed(now, Pass::Ordinary, of(number, 7));
        assert_eq!(among.state(now), BreakerState::Closed, "failure {number}");
    }
    // It is still known that something is wrong: two others are enough.
    for (number, target) in [(500, 8), (501, 8), (502, 9)] {
        assert_eq!(alone.state(at(50_000)), BreakerState::Closed);
        alone.failed(at(50_000), Pass::Ordinary, of(number, target));
    }
    assert_eq!(alone.state(at(50_000)), BreakerState::Open);
}

#[test]
fn what_one_exchange_tries_again_counts_once() {
    let mut breaker = Breaker::new();
    for exchange in 0..IN_A_ROW as u64 {
        assert_eq!(breaker.state(at(0)), BreakerState::Closed, "exchange {exchange}");
        for _ in 0..10 {
            breaker.failed(at(0), Pass::Ordinary, any(exchange));
        }
    }
    assert_eq!(breaker.state(at(0)), BreakerState::Open);
}

#[test]
fn connections_that_do_not_come_about_speak_of_no_target() {
    let mut breaker = Breaker::new();
    for exchange in 0..IN_A_ROW as u64 {
        assert_eq!(breaker.state(at(0)), BreakerState::Closed);
        let witness = Witness { exchange, target: 7 };
        // Tried again, it is the same evidence.
        breaker.failed(at(0), Pass::Ordinary, Failure::Unreached(witness));
        breaker.failed(at(0), Pass::Ordinary, Failure::Unreached(witness));
    }
    assert_eq!(breaker.state(at(0)), BreakerState::Open);
}

#[test]
fn after_the_wait_one_probe_at_a_time_decides() {
    let mut breaker = open_at(0);
    assert_eq!(breaker.admit(at(999)), Err(Duration::from_millis(1)));
    assert_eq!((breaker.admit(at(1000)), breaker.state(at(1000))), (Ok(Pass::Probe), BreakerState::HalfOpen));
    assert!(breaker.admit(at(1000)).is_err(), "a probe is under way");
    breaker.succeeded(at(1001), Pass::Probe);
    assert_eq!((breaker.admit(at(1001)), breaker.state(at(1001))), (Ok(Pass::Ordinary), BreakerState::Closed));
}

#[test]
fn a_probe_that_nobody_waits_for_any_more_makes_room_for_another() {
    let mut breaker = open_at(0);
    assert_eq!(breaker.admit(at(1000)), Ok(Pass::Probe));
    breaker.abandoned(Pass::Ordinary);
    assert!(breaker.admit(at(1000)).is_err(), "that was another request's end");
    breaker.abandoned(Pass::Probe);
    assert_eq!(breaker.admit(at(1000)), Ok(Pass::Probe));
}

#[test]
fn each_probe_that_fails_doubles_the_wait_up_to_a_minute() {
    let (mut breaker, mut now) = (open_at(0), at(0));
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let wait = Duration::from_secs(seconds);
        assert_eq!(breaker.admit(now), Err(wait));
        now = now + wait;
        assert_eq!(breaker.admit(now), Ok(Pass::Probe));
        breaker.failed(now, Pass::Probe, any(0));
    }
    now = now + LONGEST_WAIT;
    assert_eq!(breaker.admit(now), Ok(Pass::Probe));
    breaker.succeeded(now, Pass::Probe);
    for number in 0..IN_A_ROW {
        breaker.failed(now, Pass::Ordinary, any(number as u64));
    }
    assert_eq!(breaker.admit(now), Err(FIRST_WAIT), "a success makes it forget");
}

#[test]
fn what_began_before_it_opened_changes_nothing() {
    let mut breaker = open_at(0);
    breaker.succeeded(at(10), Pass::Ordinary);
    assert_eq!(breaker.state(at(10)), BreakerState::Open);
    breaker.failed(at(900), Pass::Ordinary, any(9));
    assert_eq!(breaker.admit(at(1000)), Ok(Pass::Probe), "the wait is as long as it was");
}

#[test]
fn an_address_that_failed_lately_is_suspect_until_it_answers_or_time_passes() {
    let mut breaker = Breaker::new();
    breaker.failed(at(0), Pass::Ordinary, any(0));
    assert!(breaker.is_suspect(at(9_999)) && !breaker.is_suspect(at(10_000)));
    breaker.succeeded(at(1), Pass::Ordinary);
    assert!(!breaker.is_suspect(at(2)));
}

proptest! {
    /// Invariant B1, whatever happens in whatever order.
    #[test]
    fn nothing_passes_an_open_breaker_but_one_probe_at_a_time(events in prop::collection::vec((0_u8..5, 0_u64..3000), 1..300)) {
        let (mut breaker, mut now) = (Breaker::new(), at(0));
        let (mut ordinary, mut probes) = (0_usize, 0_usize);
        for (event, pause) in events {
            now = now + Duration::from_millis(pause);
            let before = breaker.state(now);
            match event {
                0 | 1 => match breaker.admit(now) {
                    Ok(Pass::Ordinary) => {
                        prop_assert_eq!(before, BreakerState::Closed);
                        ordinary += 1;
                    }
                    Ok(Pass::Probe) => {
                        prop_assert_eq!(before, BreakerState::HalfOpen);
                        probes += 1;
                    }
                    Err(wait) => {
                        prop_assert!(before != BreakerState::Closed);
                        prop_assert!(wait > Duration::ZERO && wait <= LONGEST_WAIT);
                    }
                },
                ending => {
                    // Probes end first, so that both kinds of ends meet all states.
                    let pass = if probes > 0 { Pass::Probe } else { Pass::Ordinary };
                    let left = if probes > 0 { &mut probes } else { &mut ordinary };
                    if *left > 0 {
                        *left -= 1;
                        match ending {
                            2 => breaker.succeeded(now, pass),
                            3 => breaker.failed(now, pass, any(pause)),
                            _ => breaker.abandoned(pass),
                        }
                    }
                }
            }
            prop_assert!(probes <= 1, "two probes at one time");
        }
    }
}
