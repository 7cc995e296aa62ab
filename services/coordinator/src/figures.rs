//! What a coordinator counts.

use ferry_core::node::NodeState;
use ferry_runtime::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// Handles on the coordinator's figures.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) beats: Counter,
    pub(crate) refusals: Counter,
    pub(crate) sessions: Gauge,
    pub(crate) gateways: Gauge,
    pub(crate) gateways_dropped: Counter,
    pub(crate) store_failures: Counter,
    pub(crate) store_in_sight: Gauge,
    nodes: Family<StateLabel, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

impl Figures {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let figures = Self {
            beats: Counter::default(),
            refusals: Counter::default(),
            sessions: Gauge::default(),
            gateways: Gauge::default(),
            gateways_dropped: Counter::default(),
            store_failures: Counter::default(),
            store_in_sight: Gauge::default(),
            nodes: Family::default(),
        };
        metrics.register("coordinator", |registry| {
            registry.register("beats", "Beats heard from nodes", figures.beats.clone());
            registry.register("refusals", "Registrations refused", figures.refusals.clone());
            registry.register("sessions", "Streams of nodes that stand", figures.sessions.clone());
            registry.register("gateways", "Streams of gateways that stand", figures.gateways.clone());
            registry.register(
                "gateways_dropped",
                "Gateway streams ended because they did not keep up",
                figures.gateways_dropped.clone(),
            );
            registry.register("store_failures", "Requests to the store that failed", figures.store_failures.clone());
            registry.register("store_in_sight", "1 while the store's watch stands", figures.store_in_sight.clone());
            registry.register("nodes", "Nodes on record, by state", figures.nodes.clone());
        });
        figures
    }

    /// Sets the number of nodes in each state.
    pub(crate) fn count_nodes(&self, states: impl Iterator<Item = NodeState>) {
        let mut counts =
            [(NodeState::Up, 0_i64), (NodeState::Suspect, 0), (NodeState::Draining, 0), (NodeState::Down, 0)];
        for state in states {
            if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == state) {
                *count += 1;
            }
        }
        for (state, count) in counts {
            self.nodes.get_or_create(&StateLabel { state: state.as_str() }).set(count);
        }
    }
}
