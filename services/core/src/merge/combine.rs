//! Two words on one node become one.

use std::sync::Arc;

use crate::node::{NodeState, NodeView};

/// Two live coordinators' words on one node: the freshest report of the node, the best that anybody hears of that life,
/// and the newest decision of an operator.
pub(super) fn combine(one: &NodeView, other: &NodeView) -> NodeView {
    let (fresh, stale) = if other.freshness > one.freshness { (other, one) } else { (one, other) };
    let intent = if stale.intent.revision > fresh.intent.revision { stale.intent } else { fresh.intent };
    let same_life = fresh.freshness.incarnation == stale.freshness.incarnation;
    let heard = match (fresh.state, stale.state) {
        // One of them lost the node, the other did not: it lives.
        (NodeState::Down, heard) if same_life => heard,
        // Late here, in time there. A drain is the node's own word or an operator's, and the fresher report has it.
        (NodeState::Suspect, NodeState::Up) if same_life => NodeState::Up,
        (heard, _) => heard,
    };
    let state = match heard {
        NodeState::Up | NodeState::Suspect if intent.drain => NodeState::Draining,
        // The fresher report comes from a coordinator that has not read the resume yet; the other one has.
        NodeState::Draining if fresh.intent.drain && !intent.drain && same_life => stale.state,
        other => other,
    };
    NodeView { state, intent, facts: Arc::clone(&fresh.facts), ..fresh.clone() }
}
