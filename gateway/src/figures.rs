//! What a gateway counts.

use std::fmt;

use ferry_runtime::{
    Clock,
    metrics::{Metrics, NodeStates},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
};

use crate::{snapshot::Current, whereabouts::DatabaseFigures};

/// Handles on the gateway's figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    requests: Family<OutcomeLabel, Counter>,
    /// The one of `requests` that is counted most: found once.
    pub(crate) redirected: Counter,
    pub(crate) nodes: NodeStates,
    pub(crate) coordinators: Gauge,
    heard_seconds: Gauge,
    pub(crate) stale_updates: Counter,
    pub(crate) probes: Counter,
    pub(crate) save_failures: Counter,
    pub(crate) table_saved: Gauge,
    pub(crate) places: DatabaseFigures,
    pub(crate) sent_elsewhere: Counter,
    pub(crate) sightings: Counter,
    pub(crate) doubted: Gauge,
    pub(crate) doubted_by_networks: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl Figures {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let mut figures = Self::default();
        metrics.register("gateway", |registry| {
            figures.redirected = figures.requests.get_or_create(&OutcomeLabel { outcome: "redirected" }).clone();
            registry.register("requests", "Requests, by what became of them", figures.requests.clone());
            figures.nodes = NodeStates::register(registry);
            registry.register("coordinators", "Coordinators that are live", figures.coordinators.clone());
            registry.register(
                "table_heard_timestamp_seconds",
                "When a coordinator was last heard, since 1970; 0 if never since the start",
                figures.heard_seconds.clone(),
            );
            registry.register("probes", "Nodes that this gateway looked at itself", figures.probes.clone());
            registry.register("stale_updates", "Updates ignored as older than the last", figures.stale_updates.clone());
            registry.register(
                "table_saved",
                "1 while the copy of the table on disk has every node, decision and key",
                figures.table_saved.clone(),
            );
            registry.register(
                "client_database_build_timestamp_seconds",
                "When the database of clients' places that is in use was built, since 1970; 0 without one",
                figures.places.built.clone(),
            );
            registry.register(
                "client_database_refused",
                "1 while its file will not do, and the last good one stays in use",
                figures.places.refused.clone(),
            );
            let help = "Redirects of clients who came back, to another node than before";
            registry.register("sent_elsewhere", help, figures.sent_elsewhere.clone());
            let help = "Words of nodes on what became of this gateway's redirects";
            registry.register("sightings", help, figures.sightings.clone());
            let help = "Nodes that get a trickle of clients, since what is sent there does not arrive";
            registry.register("nodes_doubted", help, figures.doubted.clone());
            let help = "Client networks of which the same is true for themselves alone";
            registry.register("networks_doubting", help, figures.doubted_by_networks.clone());
            registry.register("save_failures", "Copies of the table not written", figures.save_failures.clone());
        });
        figures
    }

    /// Lists how old the table is, whenever that is asked.
    pub(crate) fn watch_age(metrics: &Metrics, current: Current, clock: Clock) {
        metrics.register("gateway", |registry| registry.register_collector(Box::new(Age { current, clock })));
    }

    /// Counts a request by what became of it.
    pub(crate) fn outcome(&self, outcome: &'static str) {
        self.requests.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Notes when a coordinator was last heard, in milliseconds since 1970.
    pub(crate) fn heard(&self, at: u64) {
        self.heard_seconds.set(i64::try_from(at / 1000).unwrap_or(i64::MAX));
    }
}

/// How old the table is.
#[derive(Debug)]
struct Age {
    current: Current,
    clock: Clock,
}

impl Collector for Age {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(age) = self.current.age(&self.clock) else { return Ok(()) };
        let metric = ConstGauge::new(age.as_secs_f64());
        let help = "Since a coordinator was last heard, or since the copy was made from which this gateway started";
        metric.encode(encoder.encode_descriptor("table_age_seconds", help, None, metric.metric_type())?)
    }
}
