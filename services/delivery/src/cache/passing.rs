//! Keys of which the last answer was not to be kept: whoever asks for one next does not wait for another's answer in vain.

use std::{hash::RandomState, time::Duration};

use quick_cache::sync;
use tokio::time::Instant;

/// How many are remembered.
const MOST: usize = 10_000;

/// For how long.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Those keys.
#[derive(Debug)]
pub(super) struct Passing(sync::Cache<Box<str>, Instant, quick_cache::UnitWeighter, RandomState>);

impl Default for Passing {
    fn default() -> Self {
        let lifecycle = sync::DefaultLifecycle::default();
        Self(sync::Cache::with(MOST, MOST as u64, quick_cache::UnitWeighter, RandomState::new(), lifecycle))
    }
}

impl Passing {
    pub(super) fn remember(&self, key: &str) {
        self.0.insert(key.into(), Instant::now());
    }

    /// Whether the last answer under that key was not to be kept, a short time ago.
    pub(super) fn recall(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|when| when.elapsed() < REMEMBERED)
    }

    pub(super) fn forget(&self, key: &str) {
        self.0.remove(key);
    }
}
