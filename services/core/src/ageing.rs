//! What the last words on nodes' loads are worth as they grow old: less and less, until every node is taken to carry what all carry on average.
//!
//! Pure. States do not age: time alone empties no table (invariant G2), and what became of a node since is for probes to find out.

use std::time::Duration;

use crate::{
    load::{Load, Share},
    node::NodeView,
};

/// For so long words are taken as they are.
pub const FRESH_FOR: Duration = Duration::from_secs(2);

/// Then half of what sets a node apart is forgotten in each of these.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// When nothing is left of it.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// What nodes carry on average, by weight where it adds up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Average {
    bytes: f64,
    transfers: f64,
    cpu: f64,
    disk: f64,
}

impl Average {
    /// Of the nodes that may be selected; of none, nothing.
    pub fn of<'v>(views: impl IntoIterator<Item = &'v NodeView>) -> Self {
        let (mut sum, mut weights, mut count) = (Self::default(), 0.0, 0.0);
        for view in views.into_iter().filter(|view| view.state.selectable()) {
            weights += f64::from(view.weight().get());
            count += 1.0;
            sum.bytes += view.load.bytes_per_second as f64;
            sum.transfers += f64::from(view.load.transfers);
            sum.cpu += f64::from(view.load.cpu.get());
            sum.disk += f64::from(view.load.disk.get());
        }
        if count == 0.0 {
            return Self::default();
        }
        Self {
            bytes: sum.bytes / weights,
            transfers: sum.transfers / weights,
            cpu: sum.cpu / count,
            disk: sum.disk / count,
        }
    }
}

/// The load that a node is taken to have, whose last word is so old.
#[must_use]
pub fn faded(view: &NodeView, average: &Average, age: Duration) -> Load {
    let (load, weight) = (view.load, f64::from(view.weight().get()));
    let halves = age.saturating_sub(FRESH_FOR).as_secs_f64() / HALF_LIFE.as_secs_f64();
    let left = if age >= FORGOTTEN_AFTER { 0.0 } else { (-halves).exp2() };
    let between = |last: f64, mean: f64| mean + (last - mean) * left;
    let share = |last: Share, mean: f64| Share::clamped(between(last.get().into(), mean) as f32);
    Load {
        bytes_per_second: between(load.bytes_per_second as f64, average.bytes * weight).round() as u64,
        transfers: between(load.transfers.into(), average.transfers * weight).round() as u32,
        cpu: share(load.cpu, average.cpu),
        disk: share(load.disk, average.disk),
        ..load
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::node::{Freshness, Intent, NodeFacts, NodeState, Weight};

    fn view(weight: u32, bytes_per_second: u64, state: NodeState) -> NodeView {
        let facts = NodeFacts {
            weight: Weight::new(weight).expect("in bounds"),
            ..NodeFacts::named("n".parse().expect("valid"))
        };
        NodeView {
            facts: Arc::new(facts),
            state,
            freshness: Freshness::default(),
            load: Load { bytes_per_second, cpu: Share::clamped(0.5), ..Load::default() },
            heard_ago: Duration::ZERO,
            intent: Intent::default(),
            in_doubt: false,
        }
    }

    #[test]
    fn what_sets_a_node_apart_is_forgotten_by_halves() {
        let views = [view(100, 1000, NodeState::Up), view(100, 3000, NodeState::Up), view(100, 9999, NodeState::Down)];
        let average = Average::of(&views);
        let seen = |seconds| {
            let bytes = |view| faded(view, &average, Duration::from_secs(seconds)).bytes_per_second;
            (bytes(&views[0]), bytes(&views[1]))
        };
        assert_eq!(seen(0), (1000, 3000));
        assert_eq!(seen(2), (1000, 3000));
        assert_eq!(seen(12), (1500, 2500));
        assert_eq!(seen(22), (1750, 2250));
        assert_eq!(seen(3600), (2000, 2000));
    }

    #[test]
    fn a_node_of_twice_the_weight_is_taken_to_carry_twice_as_much() {
        let views = [view(100, 0, NodeState::Up), view(200, 3000, NodeState::Up)];
        let (average, old) = (Average::of(&views), Duration::from_secs(60));
        let seen = views.each_ref().map(|view| faded(view, &average, old).bytes_per_second);
        assert_eq!(seen, [1000, 2000]);
        assert_eq!(faded(&views[0], &average, old).cpu.get(), 0.5, "a share is a share, whatever the weight");
        assert_eq!(faded(&views[0], &Average::of([]), old).bytes_per_second, 0);
    }
}
