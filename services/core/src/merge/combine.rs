//! Two live coordinators' words on one node.

use std::sync::Arc;

use crate::node::{Duty, NodeState, NodeView};

/// The freshest report of the node, the best that anybody hears of that life, and the newest decision of an operator.
pub(super) fn combine(one: &NodeView, other: &NodeView) -> NodeView {
    let (fresh, stale) = if other.freshness > one.freshness { (other, one) } else { (one, other) };
    let intent = if stale.intent.revision > fresh.intent.revision { stale.intent } else { fresh.intent };
    let same_life = fresh.freshness.incarnation == stale.freshness.incarnation;
    let heard = if same_life { of_one_life(fresh, stale) } else { fresh };
    let state = match (heard.state, intent.duty) {
        (_, Duty::Maintenance) => NodeState::Maintenance,
        (NodeState::Down, _) => NodeState::Down,
        (_, Duty::Drain) => NodeState::Draining,
        // The fresher report comes from a coordinator that has not read the resume yet; the other one has.
        (NodeState::Draining, Duty::Serve) if fresh.intent.drains() && same_life => stale.state,
        (NodeState::Maintenance, Duty::Serve) if same_life => stale.state,
        (state, Duty::Serve) => state,
    };
    NodeView { state, intent, facts: Arc::clone(&fresh.facts), in_doubt: heard.in_doubt, ..fresh.clone() }
}

/// Which of two words on one life counts: the better one, since nobody hears what was not said; but a doubt is no word against a death.
fn of_one_life<'v>(fresh: &'v NodeView, stale: &'v NodeView) -> &'v NodeView {
    match (fresh.state, stale.state) {
        (NodeState::Down, NodeState::Suspect) if stale.in_doubt => fresh,
        (NodeState::Suspect, NodeState::Down) if fresh.in_doubt => stale,
        // One of them lost the node, the other did not: it lives.
        (NodeState::Down, _) => stale,
        // Late or on its way back here, in time there. A drain is the node's own word or an operator's, and the fresher report has it.
        (NodeState::Suspect | NodeState::Probation, NodeState::Up | NodeState::Degraded) => stale,
        _ => fresh,
    }
}
