//! Many runs at once, each of them once.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use super::{Outcome, Policy, Setting, run};

/// What was played, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<(Setting, Policy, Outcome)>);

impl Runs {
    /// Plays all of them, on as many threads as there are processors; each is alone with its seed, so that their order changes nothing.
    pub(super) fn play(wanted: &[(Setting, Policy)]) -> Self {
        let mut once = Vec::<(Setting, Policy)>::new();
        for run in wanted {
            if !once.contains(run) {
                once.push(run.clone());
            }
        }
        let (next, played) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some((setting, policy)) = once.get(next.fetch_add(1, Relaxed)) {
                        let outcome = run(setting, *policy);
                        let mut played = played.lock().expect("nobody panics with it");
                        played.push((setting.clone(), *policy, outcome));
                    }
                });
            }
        });
        Self(played.into_inner().expect("nobody panics with it"))
    }

    /// What came of one that was played.
    pub(super) fn of(&self, setting: &Setting, policy: Policy) -> &Outcome {
        let found = self.0.iter().find(|(its, by, _)| its == setting && *by == policy);
        &found.expect("it was played").2
    }
}
