//! Figures for Prometheus.
//!
//! One registry per process, handed around as an argument; each component registers its figures once, when it is built, and
//! keeps the handles. Names begin with `ferry_`, then the component's.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ferry_core::{census::Census, node::NodeState};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The registry; clones are handles on the same one.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { registry: Arc::new(Mutex::new(Registry::with_prefix("ferry"))) }
    }

    /// Lets a component register its figures below `ferry_<component>_` and returns what it kept.
    ///
    /// ```
    /// use prometheus_client::metrics::counter::Counter;
    /// let metrics = ferry_runtime::metrics::Metrics::new();
    /// let redirects = metrics.register("gateway", |registry| {
    ///     let redirects: Counter = Counter::default();
    ///     registry.register("redirects", "Requests that were sent to a node", redirects.clone());
    ///     redirects
    /// });
    /// redirects.inc();
    /// assert!(metrics.encode().contains("ferry_gateway_redirects_total 1\n"));
    /// ```
    pub fn register<T>(&self, component: &str, figures: impl FnOnce(&mut Registry) -> T) -> T {
        figures(self.lock().sub_registry_with_prefix(component))
    }

    /// All figures as OpenMetrics text, of type [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.lock()).expect("writing into a String cannot fail");
        page
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // A component that panicked while it registered leaves a registry that can still be read.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many nodes are in each state, as a coordinator or a gateway believes.
#[derive(Debug, Clone, Default)]
pub struct NodeStates(Family<StateLabel, Gauge>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

impl NodeStates {
    /// Registers the figure as `nodes`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let states = Self::default();
        registry.register("nodes", "Nodes on record, by state", states.0.clone());
        states
    }

    /// Shows these counts.
    pub fn set(&self, census: &Census) {
        for state in NodeState::ALL {
            let count = i64::try_from(census.of(state)).unwrap_or(i64::MAX);
            self.0.get_or_create(&StateLabel { state: state.as_str() }).set(count);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    #[test]
    fn figures_carry_the_prefix_of_their_component() {
        let metrics = Metrics::new();
        let beats = metrics.register("node", |registry| {
            let beats: Counter = Counter::default();
            registry.register("beats", "Beats sent", beats.clone());
            beats
        });
        beats.inc_by(3);
        assert_eq!(
            metrics.encode(),
            "# HELP ferry_node_beats Beats sent.\n# TYPE ferry_node_beats counter\nferry_node_beats_total 3\n# EOF\n"
        );
    }

    #[test]
    fn two_registries_share_nothing() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.register("a", |registry| registry.register("g", "A gauge", Gauge::<i64>::default()));
        assert_eq!(other.encode(), "# EOF\n");
    }
}
