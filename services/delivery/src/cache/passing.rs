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
    /// The last answer under that key was not to be kept; or the last part was not, which says nothing of the whole.
    pub(super) fn remember(&self, key: &str, part: bool) {
        let name = if part { of_parts(key) } else { key.to_owned() };
        self.0.insert(name.into(), Instant::now());
    }

    /// Whether the last answer under that key was not to be kept, a short time ago; or the last part, where it is a part that is wanted.
    pub(super) fn recall(&self, key: &str, part: bool) -> bool {
        let recalled = |name: &str| self.0.get(name).is_some_and(|when| when.elapsed() < REMEMBERED);
        recalled(key) || (part && recalled(&of_parts(key)))
    }

    pub(super) fn forget(&self, key: &str) {
        self.0.remove(key);
        self.0.remove(of_parts(key).as_str());
    }
}

/// What no key is: none ends with an empty line.
fn of_parts(key: &str) -> String {
    format!("{key}\n\n\n\n")
}
