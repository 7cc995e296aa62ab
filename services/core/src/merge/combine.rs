//! What several live coordinators say of one node, as one word. The order in which they are asked makes no difference.

use std::cmp::Reverse;

use crate::node::{Duty, Freshness, NodeState, NodeView};

/// The freshest report of the node, the best that anybody hears of that life, and the newest decision of an operator. `None` of no words.
pub(super) fn combine(words: &[&NodeView]) -> Option<NodeView> {
    let fresh = words.iter().max_by_key(|word| word.freshness)?;
    let intent = words.iter().map(|word| word.intent).max_by_key(|intent| intent.revision)?;
    // Who never heard the node knows of no life of it, and speaks of whichever it is.
    let never_heard = |word: &NodeView| word.freshness == Freshness::default();
    let of_this_life =
        |word: &&&NodeView| word.freshness.incarnation == fresh.freshness.incarnation || never_heard(word);
    // Who has not read a resume yet says DRAINING for a reason that is gone; the others know better, if there are any.
    let outdated = |word: &NodeView| word.intent.drains() && !intent.drains();
    let best = words
        .iter()
        .filter(of_this_life)
        .min_by_key(|word| (outdated(word), hearing(word), Reverse(word.freshness)))?;
    let state = match (best.state, intent.duty) {
        (_, Duty::Maintenance) => NodeState::Maintenance,
        (NodeState::Down, _) => NodeState::Down,
        (_, Duty::Drain) => NodeState::Draining,
        (state, Duty::Serve) => state,
    };
    Some(NodeView { state, intent, in_doubt: best.in_doubt, ..NodeView::clone(fresh) })
}

/// How well a coordinator hears a node: the least is the best. Nobody hears what was not said, but a doubt is no word against a death.
fn hearing(word: &NodeView) -> u8 {
    match word.state {
        // A drain is the node's own word or an operator's, and the fresher report has it.
        NodeState::Up | NodeState::Degraded | NodeState::Draining | NodeState::Maintenance => 0,
        // Late, or on its way back.
        NodeState::Suspect if !word.in_doubt => 1,
        NodeState::Probation => 1,
        NodeState::Down => 2,
        NodeState::Suspect => 3,
    }
}
