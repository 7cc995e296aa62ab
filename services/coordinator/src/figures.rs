//! What a coordinator counts.

use ferry_runtime::metrics::{Metrics, NodeStates};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

/// Handles on the coordinator's figures.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) beats: Counter,
    pub(crate) beats_ignored: Counter,
    pub(crate) beats_clamped: Counter,
    pub(crate) contested: Counter,
    pub(crate) evidence: Counter,
    pub(crate) evidence_lost: Counter,
    pub(crate) floods: Counter,
    pub(crate) probes: Counter,
    pub(crate) refusals: Counter,
    pub(crate) sessions: Gauge,
    pub(crate) gateways: Gauge,
    pub(crate) gateways_dropped: Counter,
    pub(crate) store_failures: Counter,
    pub(crate) store_in_sight: Gauge,
    pub(crate) nodes: NodeStates,
}

impl Figures {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let mut figures = Self {
            beats: Counter::default(),
            beats_ignored: Counter::default(),
            beats_clamped: Counter::default(),
            contested: Counter::default(),
            evidence: Counter::default(),
            evidence_lost: Counter::default(),
            floods: Counter::default(),
            probes: Counter::default(),
            refusals: Counter::default(),
            sessions: Gauge::default(),
            gateways: Gauge::default(),
            gateways_dropped: Counter::default(),
            store_failures: Counter::default(),
            store_in_sight: Gauge::default(),
            nodes: NodeStates::default(),
        };
        metrics.register("coordinator", |registry| {
            registry.register("beats", "Beats heard from nodes", figures.beats.clone());
            registry.register(
                "beats_ignored",
                "Beats older than one that was heard before",
                figures.beats_ignored.clone(),
            );
            registry.register("beats_clamped", "Beats with impossible figures", figures.beats_clamped.clone());
            registry.register(
                "contested",
                "Registrations while another life of the node was alive",
                figures.contested.clone(),
            );
            registry.register("evidence", "Reports of nodes on what became of redirects", figures.evidence.clone());
            registry.register(
                "evidence_lost",
                "Reports not passed on to a gateway because it did not keep up",
                figures.evidence_lost.clone(),
            );
            registry.register(
                "floods",
                "Streams of nodes ended because they said more than any should",
                figures.floods.clone(),
            );
            registry.register("probes", "Nodes looked at over the data path", figures.probes.clone());
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
            figures.nodes = NodeStates::register(registry);
        });
        figures
    }
}
