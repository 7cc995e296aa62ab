//! A handful of seeds at a small size, in every run of the tests; `FERRY_SIMULATION_SEED` chooses another one.

use std::{env, time::Duration};

use ferry_simulation::{Settings, Sizes, run};

const SEED: &str = "FERRY_SIMULATION_SEED";

/// Small, and with a majority that can be lost.
const SMALL: Sizes = Sizes { coordinators: 3, gateways: 3, nodes: 10 };
const MINUTES: u64 = 10;

fn settings(seed: u64, minutes: u64) -> Settings {
    Settings { seed, sizes: SMALL, length: Duration::from_secs(minutes * 60), clocks_jump: true }
}

/// The seed that was asked for, or else these.
fn seeds(usual: std::ops::Range<u64>) -> Vec<u64> {
    match env::var(SEED) {
        Ok(asked) => vec![asked.parse().expect("a seed is a number")],
        Err(_) => usual.collect(),
    }
}

#[test]
fn every_promise_holds_whatever_goes_wrong() {
    for seed in seeds(1..5) {
        let report = run(settings(seed, MINUTES));
        if let Some(violation) = &report.violation {
            panic!("{SEED}={seed}, {SMALL:?}, {MINUTES} minutes\n{}{violation}", report.history);
        }
        assert!(report.faults > 50 && report.tested > 300, "hardly anything was put to the test: {report:?}");
    }
}

#[test]
fn one_seed_is_one_course_of_events() {
    let digest = |seed| run(settings(seed, 3)).digest;
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn clocks_that_jump_change_nothing() {
    for seed in seeds(1..3) {
        let still = run(Settings { clocks_jump: false, ..settings(seed, 5) });
        let jumping = run(settings(seed, 5));
        assert_eq!(still.digest, jumping.digest, "seed {seed}");
    }
}
