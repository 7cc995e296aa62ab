//! What a node counts, besides what delivery does.

use std::collections::BTreeSet;

use ferry_delivery::Transfers;
use ferry_runtime::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use crate::door::{Refusal, Why};

/// Handles on the node's figures.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) beats: Counter,
    pub(crate) coordinators: Gauge,
    pub(crate) draining: Gauge,
    pub(crate) sent_home: Counter,
    pub(crate) full: Gauge,
    sent_on: Family<ReasonLabel, Counter>,
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
            full: Gauge::default(),
            sent_on: Family::default(),
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
            registry.register("full", "1 while new requests are sent on for want of room", figures.full.clone());
            registry.register(
                "sent_home",
                "Requests sent back to a gateway, since their token has expired or nobody else takes them",
                figures.sent_home.clone(),
            );
            registry.register(
                "sent_on",
                "Requests sent on to another node, by the reason of this one",
                figures.sent_on.clone(),
            );
            registry.register("refusals", "Requests refused at the door, by reason", figures.refusals.clone());
            ferry_delivery::metrics::Metrics::register(registry, transfers)
        });
        (figures, delivery)
    }

    pub(crate) fn sent_on(&self, why: Why) {
        self.sent_on.get_or_create(&ReasonLabel { reason: why.as_str() }).inc();
    }

    /// How many requests were sent on for each reason that any was.
    pub(crate) fn sent_on_by_reason(&self) -> Vec<(&'static str, u64)> {
        let reasons: BTreeSet<&'static str> = Why::ALL.iter().map(|why| why.as_str()).collect();
        let count = |reason| Some((reason, self.sent_on.get(&ReasonLabel { reason })?.get()));
        reasons.into_iter().filter_map(count).collect()
    }

    pub(crate) fn refused(&self, why: Refusal) {
        self.refusals.get_or_create(&ReasonLabel { reason: why.as_str() }).inc();
    }
}
