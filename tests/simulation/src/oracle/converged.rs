//! Whether everybody agrees with the truth, once everything was put right.
//!
//! A process that was cut off or refused dials again within 3 s, after a connection that hung for at most 4 s; a coordinator learns for 4 s. A node that died for its
//! observers is back after three beats (3.6 s) and a probe, and if it flapped, after at most 10 s of damping.

use std::time::Duration;

use ferry_core::{node::NodeState, time::Tick};

use super::{Oracle, Violation, moment::violation};
use crate::{
    party::{Party, number},
    world::World,
};

/// What was never touched is UP again everywhere after this.
const SOON: Duration = Duration::from_secs(10);
/// And what had to prove itself, after this: damping and three beats more.
const PROVEN: Duration = Duration::from_millis(10_000 + 10_000 + 3_600);
/// What is untouched for so long has no death in anybody's memory.
const FORGIVEN: Duration = Duration::from_secs(300);

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
                known[number(view.facts.id.as_str())] = Some(view.state);
            }
            for (node, state) in known.into_iter().enumerate() {
                if self.is_right(node, state) {
                    continue;
                }
                first = first.or(Some((gateway, Some(node))));
                if now > mended + self.patience(node, mended) {
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

    /// How long after the last fault a gateway may be wrong about a node.
    fn patience(&self, node: usize, mended: Tick) -> Duration {
        let untouched = self.truth[node].is_untouched_since(mended - FORGIVEN);
        if untouched || !self.truth[node].serves() { SOON } else { PROVEN }
    }
}
