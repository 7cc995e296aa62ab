//! What a node counts, besides what delivery does.

use ferry_delivery::Transfers;
use ferry_runtime::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use crate::door::Refusal;

/// Handles on the node's figures.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) beats: Counter,
    pub(crate) coordinators: Gauge,
    pub(crate) draining: Gauge,
    pub(crate) sent_home: Counter,
    pub(crate) sent_on: Counter,
    refusals: Family<ReasonLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl Figures {
    /// Registers the node's figures and delivery's.
    pub(crate) fn register(metrics: &Metrics, transfers: &Transfers) -> (Self, ferry_delivery::metrics::Metrics) {
        let figures = Self {
            beats: Counter::default(),
            coordinators: Gauge::default(),
            draining: Gauge::default(),
            sent_home: Counter::default(),
            sent_on: Counter::default(),
            refusals: Family::default(),
        };
        let delivery = metrics.register("node", |registry| {
            registry.register("beats", "Beats sent to coordinators", figures.beats.clone());
            registry.register(
                "coordinators_connected",
                "Coordinators at which the node is welcome",
                figures.coordinators.clone(),
            );
            registry.register("draining", "1 while the node wants no new clients", figures.draining.clone());
            registry.register(
                "sent_home",
                "Requests with an expired token, sent back to a gateway",
                figures.sent_home.clone(),
            );
            registry.register(
                "sent_on",
                "Requests sent on to another node, since this one wants none",
                figures.sent_on.clone(),
            );
            registry.register("refusals", "Requests refused at the door, by reason", figures.refusals.clone());
            ferry_delivery::metrics::Metrics::register(registry, transfers)
        });
        (figures, delivery)
    }

    pub(crate) fn refused(&self, why: Refusal) {
        self.refusals.get_or_create(&ReasonLabel { reason: why.as_str() }).inc();
    }
}
