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
    alone: bool,
    lonely: Complaint,
    turned: Complaint,
}

impl Default for Said {
    fn default() -> Self {
        Self { alone: false, lonely: Complaint::default(), turned: Complaint::with_at_most(MOST) }
    }
}

impl Said {
    /// No coordinator is live, for so long, or one is.
    pub(super) fn alone(&mut self, silence: Option<Duration>, nodes: usize) {
        match (silence, self.alone) {
            (Some(silence), false) => {
                let Some(kept_back) = self.lonely.due() else { return };
                self.alone = true;
                warn!(
                    silence_ms = silence.as_millis(),
                    nodes,
                    kept_back,
                    "no coordinator is heard: going on with the last table, and looking at every node ourselves"
                );
            }
            (None, true) => {
                self.alone = false;
                info!("a coordinator is heard again: its words count");
            }
            (Some(_), true) | (None, false) => {}
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
