//! Whether everybody agrees with the truth, once everything was put right.
//!
//! A process that was cut off or refused dials again within 3 s, after a connection that hung for 2 s; a coordinator learns for 4 s. A node that died for its
//! observers is back after three beats, the first of them at once, and a probe: that is within 10 s of the last fault. One that a coordinator found dead twice
//! within a minute is damped for up to 10 s from when it comes (design.md, section 7), which is its due and not the cluster's delay: it has 10 s more.

use std::time::Duration;

use ferry_core::{membership::LONGEST_DAMPING, node::NodeState};

use super::{Oracle, Violation, moment::violation};
use crate::{
    party::{Party, number},
    world::World,
};

/// Everybody is right about everybody after this.
const SOON: Duration = Duration::from_secs(10);
/// Two deaths within less than this are remembered, and more for longer: a count is halved with each minute.
const REMEMBERED: Duration = Duration::from_secs(300);

impl Oracle {
    pub(super) fn agree(&mut self, world: &World) -> Result<(), Violation> {
        let Some(mended) = self.mended else { return Ok(()) };
        let now = world.now;
        let mut first = None;
        for gateway in 0..world.sizes.gateways {
            if !world.acts(Party::Gateway(gateway)) {
                first = first.or(Some((gateway, None)));
                continue;
            }
            let mut known = vec![None; world.sizes.nodes];
            for view in world.gateways[gateway].merge.views() {
                known[number(view.facts.id.as_str())] = Some(world.gateways[gateway].judge(view));
            }
            for (node, state) in known.into_iter().enumerate() {
                if self.is_right(node, state) {
                    continue;
                }
                first = first.or(Some((gateway, Some(node))));
                if now > mended + patience(world, node) {
                    let shown = state.map_or("unknown", NodeState::as_str);
                    return violation(
                        world,
                        format!(
                            "convergence: gateway {gateway} has node {node} as {shown} {:?} after the last fault, and it is {:?}",
                            now.since(mended),
                            self.truth[node]
                        ),
                    );
                }
            }
        }
        if first.is_some() {
            self.slowest.convergence = now.since(mended).max(self.slowest.convergence);
        }
        Ok(())
    }

    fn is_right(&self, node: usize, state: Option<NodeState>) -> bool {
        let truth = &self.truth[node];
        match state {
            Some(state) if truth.serves() => state.is_well(),
            None => !truth.serves(),
            Some(state) => !state.selectable(),
        }
    }
}

/// How long after the last fault a gateway may be wrong about a node.
fn patience(world: &World, node: usize) -> Duration {
    let flapped = |index: usize| {
        let now = world.local(Party::Coordinator(index));
        world.coordinators[index].deaths_since(node, now - REMEMBERED) > 1
    };
    if (0..world.sizes.coordinators).any(flapped) { SOON + LONGEST_DAMPING } else { SOON }
}
