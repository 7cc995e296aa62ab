//! What became different, for those who keep something that follows from the merged words.

use std::collections::BTreeSet;

use crate::{id::NodeId, node::NodeView};

/// The nodes whose merged word changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// They are there with another word, or new, or gone.
    pub nodes: BTreeSet<NodeId>,
    /// Whether anything changed that outlasts the next beat: a node's facts or state, a decision, a removal, a key ring.
    pub lasting: bool,
}

impl Changes {
    /// Notes that the word on a node was one and is now another.
    pub(super) fn note(&mut self, id: &NodeId, before: Option<&NodeView>, after: Option<&NodeView>) {
        if before == after {
            return;
        }
        self.lasting |= !lasts(before, after);
        if !self.nodes.contains(id) {
            self.nodes.insert(id.clone());
        }
    }
}

/// Whether two words differ in nothing but what the next beat changes again.
fn lasts(before: Option<&NodeView>, after: Option<&NodeView>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    before.state == after.state
        && before.intent == after.intent
        && before.freshness.incarnation == after.freshness.incarnation
        && before.facts == after.facts
}
