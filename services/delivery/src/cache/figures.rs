//! What `/metrics` says of a cache.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::{Cache, CacheStats, store::Usage};

/// Asks a cache how it does whenever it is asked.
#[derive(Debug)]
struct CacheCollector(Cache);

type Read = fn(&CacheStats, &Usage) -> u64;

const GAUGES: [(&str, &str, Read); 5] = [
    ("delivery_cache_objects", "Objects in the cache", |_, usage| usage.objects as u64),
    ("delivery_cache_bytes", "What they take on the disk", |_, usage| usage.bytes),
    ("delivery_cache_filling", "Objects that are being filled, or read before they are whole", |stats, _| {
        stats.filling as u64
    }),
    ("delivery_cache_fetches", "Fetches under way", |stats, _| stats.fetches as u64),
    ("delivery_cache_waiting", "Exchanges with an origin whose head has not come", |stats, _| stats.waiting as u64),
];

const COUNTERS: [(&str, &str, Read); 15] = [
    ("delivery_cache_hits", "Requests answered from the cache, fresh", |stats, _| stats.hits),
    ("delivery_cache_stale", "Requests answered from the cache, stale", |stats, _| stats.stale),
    ("delivery_cache_partial", "Requests for objects that were there in part", |stats, _| stats.partial),
    ("delivery_cache_misses", "Requests for what was not there, or not of use", |stats, _| stats.misses),
    ("delivery_cache_collapsed", "Misses that waited for another request's answer", |stats, _| stats.collapsed),
    ("delivery_cache_validated", "Validations that found an object current", |stats, _| stats.validated),
    ("delivery_cache_passed", "Requests that passed by", |stats, _| stats.passed),
    ("delivery_cache_origin_requests", "Exchanges with an origin", |stats, _| stats.asked),
    ("delivery_cache_origin_bytes", "Bytes that origins sent for objects that are kept", |stats, _| stats.origin_bytes),
    ("delivery_cache_fetch_failures", "Fetches that failed", |stats, _| stats.failed),
    ("delivery_cache_given_up", "Objects that could not be kept: no room, or a disk that fails", |stats, _| {
        stats.given_up
    }),
    ("delivery_cache_refused", "Answers that may not be kept, or were not let in", |stats, _| stats.refused),
    ("delivery_cache_written_bytes", "Bytes written to the cache", |_, usage| usage.written),
    ("delivery_cache_evicted", "Objects that went to make room", |_, usage| usage.evicted),
    ("delivery_cache_damaged_blocks", "Blocks that were not what was written", |_, usage| usage.damaged),
];

/// Lists in `registry` how a cache does.
pub fn watch(registry: &mut Registry, cache: &Cache) {
    registry.register_collector(Box::new(CacheCollector(cache.clone())));
}

impl Collector for CacheCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (stats, usage) = (self.0.stats(), self.0.store().usage());
        let mut gauge = |name, help, value| {
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        for (name, help, read) in GAUGES {
            gauge(name, help, read(&stats, &usage))?;
        }
        gauge(
            "delivery_cache_well",
            "1 while the disk of the cache does its work, and its directory is there",
            (self.0.store().health().is_well() && self.0.store().place().is_here()).into(),
        )?;
        for (name, help, read) in COUNTERS {
            let metric = ConstCounter::new(read(&stats, &usage));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
