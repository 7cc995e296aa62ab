//! Whether the node wants new clients: it was asked to stop, or an operator's word reached it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use ferry_core::node::{Duty, Intent};
use tokio::sync::watch;

/// The decision, seen by all who beat, answer `/health` or stop; a cheap clone of the same one.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    state: Arc<watch::Sender<State>>,
    /// Apart, since every request looks at them.
    draining: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    stopping: bool,
    intent: Intent,
}

impl State {
    const fn draining(self) -> bool {
        self.stopping || !matches!(self.intent.duty, Duty::Serve)
    }
}

impl Drain {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::default())),
            draining: Arc::default(),
            closing: Arc::default(),
        }
    }

    /// The process ends: nothing takes this back.
    pub(crate) fn stop(&self) {
        self.change(|state| state.stopping = true);
    }

    /// Its grace is over: from now on it serves nothing new, whoever asks.
    pub(crate) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    /// Whether it serves nothing new.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// What operators decided, as some coordinator knows it: the highest revision is the last word.
    pub(crate) fn heed(&self, intent: Intent) {
        self.change(|state| {
            if intent.revision >= state.intent.revision {
                state.intent = intent;
            }
        });
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Whether the process itself ends. This is what coordinators are told: operators' decisions they know better than we do,
    /// and would hear their own word back late.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.borrow().stopping
    }

    /// Waits until the process is to end.
    pub(crate) async fn stops(&self) {
        // An error means that the sender is gone, and we hold it.
        let _ = self.state.subscribe().wait_for(|state| state.stopping).await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let before = *state;
            change(state);
            if state.draining() != before.draining() {
                self.draining.store(state.draining(), Relaxed);
                tracing::info!(draining = state.draining(), by_operator = state.intent.drains(), "drain");
            }
            *state != before
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(drain: bool, revision: u64) -> Intent {
        Intent { duty: if drain { Duty::Drain } else { Duty::Serve }, revision, ..Intent::default() }
    }

    #[test]
    fn an_operators_last_word_counts_whichever_coordinator_brings_it_late() {
        let drain = Drain::new();
        drain.heed(intent(true, 7));
        assert!(drain.is_draining());
        drain.heed(intent(false, 6));
        assert!(drain.is_draining(), "an old decision came back");
        drain.heed(intent(false, 8));
        assert!(!drain.is_draining());
    }

    #[tokio::test]
    async fn a_node_that_stops_is_not_resumed() {
        let drain = Drain::new();
        drain.stop();
        drain.stops().await;
        drain.heed(intent(false, 9));
        assert!(drain.is_draining());
    }
}
