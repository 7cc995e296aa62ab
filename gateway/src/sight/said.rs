//! What the log hears of a gateway that goes by its own eyes: one line when it begins and when it ends, one for each node that it takes out or in,
//! and never many of them in a short time.

use std::time::Duration;

use ferry_core::{id::NodeId, node::NodeState};
use ferry_runtime::Complaint;
use tracing::{info, warn};

/// Lines about nodes in ten seconds: enough for each of a small cluster, and for a large one to see that there are many.
const MOST: u32 = 8;

/// What was said.
#[derive(Debug)]
pub(super) struct Said {
    /// While no coordinator is live: whether that was said.
    alone: Option<bool>,
    lonely: Complaint,
    /// Silences that passed unsaid since one was said.
    kept_back: u64,
    turned: Complaint,
}

impl Default for Said {
    fn default() -> Self {
        Self { alone: None, lonely: Complaint::default(), kept_back: 0, turned: Complaint::with_at_most(MOST) }
    }
}

impl Said {
    /// No coordinator is live, for so long, or one is. This is asked again and again: a silence that follows another one too soon is said late if it
    /// lasts, and counted if it does not.
    pub(super) fn alone(&mut self, silence: Option<Duration>, nodes: usize) {
        match (silence, self.alone) {
            (Some(silence), None | Some(false)) => {
                self.alone = Some(self.lonely.due().is_some());
                if self.alone == Some(true) {
                    warn!(
                        silence_ms = silence.as_millis(),
                        nodes,
                        kept_back = std::mem::take(&mut self.kept_back),
                        "no coordinator is heard: going on with the last table, and looking at every node ourselves"
                    );
                }
            }
            (None, Some(said)) => {
                self.alone = None;
                match said {
                    true => info!("a coordinator is heard again: its words count"),
                    false => self.kept_back += 1,
                }
            }
            (Some(_), Some(true)) | (None, None) => {}
        }
    }

    /// This gateway's own probes took a node out or in.
    pub(super) fn turned(&self, node: &NodeId, state: NodeState) {
        let Some(kept_back) = self.turned.due() else { return };
        match state.selectable() {
            true => info!(%node, %state, kept_back, "a node is back by this gateway's own probes"),
            false => warn!(%node, %state, kept_back, "a node is out by this gateway's own probes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_that_is_kept_back_counts_once_however_often_it_is_asked_for() {
        let (mut said, silence) = (Said::default(), Some(Duration::from_secs(3)));
        said.alone(silence, 1);
        assert_eq!(said.alone, Some(true));
        for _ in 0..2 {
            said.alone(None, 1);
            (0..100).for_each(|_| said.alone(silence, 1));
        }
        assert_eq!((said.alone, said.kept_back), (Some(false), 1), "the second one may yet be said");
        said.alone(None, 1);
        assert_eq!((said.alone, said.kept_back), (None, 2));
    }
}
