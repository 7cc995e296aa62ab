//! The figures of delivery, for `/metrics`.

use std::sync::{Arc, OnceLock};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::ConstCounter, counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};

use crate::{
    disk::{Disk, Health},
    transfers::Transfers,
};

/// The status codes that HTTP knows (RFC 9110 section 15) lie below this one.
const STATUSES: usize = 600;

/// Counters that delivery writes; a cheap clone of the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<StatusLabel, Counter>,
    /// The same counters, by status: each request writes one, and must not search for it under a lock.
    by_status: Arc<[OnceLock<Counter>]>,
    disk_failures: Family<KindLabel, Counter>,
    origin_failures: Family<KindLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Reads the register of transfers whenever it is asked.
#[derive(Debug)]
struct TransferCollector(Transfers);

/// Asks a disk how it does whenever it is asked.
#[derive(Debug)]
struct DiskCollector(Disk);

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            by_status: std::iter::repeat_with(OnceLock::new).take(STATUSES).collect(),
            disk_failures: Family::default(),
            origin_failures: Family::default(),
        }
    }
}

impl Metrics {
    /// Counters that are listed in `registry`, together with the figures of `transfers`.
    #[must_use]
    pub fn register(registry: &mut Registry, transfers: &Transfers) -> Self {
        let metrics = Self::default();
        registry.register("delivery_requests", "Requests for objects by status", metrics.requests.clone());
        registry.register("delivery_disk_failures", "Objects a disk failed to give", metrics.disk_failures.clone());
        registry.register("delivery_origin_failures", "Objects no origin gave", metrics.origin_failures.clone());
        registry.register_collector(Box::new(TransferCollector(transfers.clone())));
        metrics
    }

    /// Lists in `registry` how a disk does.
    pub fn watch(registry: &mut Registry, disk: &Disk) {
        registry.register_collector(Box::new(DiskCollector(disk.clone())));
    }

    pub(crate) fn answered(&self, status: http::StatusCode) {
        let find = || self.requests.get_or_create_owned(&StatusLabel { status: status.as_u16() });
        match self.by_status.get(usize::from(status.as_u16())) {
            Some(counter) => counter.get_or_init(find).inc(),
            None => find().inc(),
        };
    }

    /// How many requests were answered so far, and how many of them with an error of the server's (5xx).
    #[must_use]
    pub fn answers(&self) -> (u64, u64) {
        let mut sums = (0, 0);
        for (status, counter) in self.by_status.iter().enumerate() {
            let count = counter.get().map_or(0, Counter::get);
            sums.0 += count;
            sums.1 += if status >= 500 { count } else { 0 };
        }
        sums
    }

    pub(crate) fn disk_failed(&self, kind: &'static str) {
        self.disk_failures.get_or_create(&KindLabel { kind }).inc();
    }

    pub(crate) fn origin_failed(&self, kind: &'static str) {
        self.origin_failures.get_or_create(&KindLabel { kind }).inc();
    }
}

impl Collector for TransferCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let totals = self.0.totals();
        let counters = [
            ("delivery_sent_bytes", "Bytes of bodies handed to connections", totals.sent_bytes),
            ("delivery_transfers_completed", "Transfers that reached their end", totals.completed),
            ("delivery_transfers_broken", "Transfers that ended before it", totals.broken),
        ];
        for (name, help, value) in counters {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let under_way = ConstGauge::new(i64::try_from(self.0.under_way()).unwrap_or(i64::MAX));
        let help = "Transfers under way";
        under_way.encode(encoder.encode_descriptor("delivery_transfers", help, None, under_way.metric_type())?)
    }
}

impl Collector for DiskCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let health = self.0.health();
        let hanging = if let Health::Hanging { calls, .. } = health { calls } else { 0 };
        let gauges = [
            ("delivery_disk_well", "1 unless calls to the disk fail or hang", usize::from(health.is_well())),
            ("delivery_disk_calls", "Calls to the disk under way that may block", self.0.calls_under_way()),
            ("delivery_disk_hanging_calls", "Those of them that do not come back", hanging),
            ("delivery_open_files", "Files that stay open between requests", self.0.open_files()),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ferry_core::object::{ObjectKey, ObjectPath};
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn figures_are_listed_under_their_names() {
        let (mut registry, transfers) = (Registry::default(), Transfers::new());
        let metrics = Metrics::register(&mut registry, &transfers);
        metrics.answered(http::StatusCode::OK);
        metrics.answered(http::StatusCode::OK);
        metrics.disk_failed("io");
        metrics.origin_failed("late");
        let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a good path"));
        let transfer = transfers.begin(key, ([127, 0, 0, 1], 1).into(), None, std::time::UNIX_EPOCH);
        transfer.sent(17);
        let mut page = String::new();
        text::encode(&mut page, &registry).expect("a string takes everything");
        for line in [
            "delivery_requests_total{status=\"200\"} 2",
            "delivery_disk_failures_total{kind=\"io\"} 1",
            "delivery_origin_failures_total{kind=\"late\"} 1",
            "delivery_sent_bytes_total 17",
            "delivery_transfers_broken_total 0",
            "delivery_transfers 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
        }
    }

    #[test]
    fn a_disk_is_listed_with_how_it_does() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let (mut registry, mut page) = (Registry::default(), String::new());
        Metrics::watch(&mut registry, &Disk::open_root(folder.path()).expect("a good root"));
        text::encode(&mut page, &registry).expect("a string takes everything");
        for line in ["delivery_disk_well 1", "delivery_disk_hanging_calls 0", "delivery_open_files 0"] {
            assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
        }
    }
}
