//! What `/metrics` says of origins.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::{BreakerState, Origins, PoolStats};

/// Asks the pools how they do whenever it is asked.
#[derive(Debug)]
struct OriginCollector(Origins);

type Read = fn(&PoolStats) -> u64;

const GAUGES: [(&str, &str, Read); 4] = [
    ("delivery_origin_in_flight", "Requests to an origin under way", |pool| pool.in_flight as u64),
    ("delivery_origin_waiting", "Requests that wait for a turn at an origin", |pool| pool.waiting as u64),
    ("delivery_origin_connections", "Connections to an origin, idle ones included", |pool| pool.connections as u64),
    ("delivery_origin_well", "1 unless an origin is left alone for its failures", |pool| {
        u64::from(pool.breaker == BreakerState::Closed)
    }),
];

const COUNTERS: [(&str, &str, Read); 4] = [
    ("delivery_origin_requests", "Requests to an origin", |pool| pool.requests),
    ("delivery_origin_request_failures", "Those without an answer, and bodies that broke off", |pool| pool.failures),
    ("delivery_origin_retries", "Requests that were sent again", |pool| pool.retries),
    ("delivery_origin_resumed", "Bodies that broke off and went on", |pool| pool.resumed),
];

/// Lists in `registry` how origins do.
pub fn watch(registry: &mut Registry, origins: &Origins) {
    registry.register_collector(Box::new(OriginCollector(origins.clone())));
}

impl Collector for OriginCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let pools = self.0.pool_stats();
        for (name, help, read) in GAUGES {
            let metric_type = ConstGauge::new(0_i64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, metric_type)?;
            for pool in &pools {
                let value = ConstGauge::new(i64::try_from(read(pool)).unwrap_or(i64::MAX));
                value.encode(family.encode_family(&[("origin", pool.origin.as_str())])?)?;
            }
        }
        for (name, help, read) in COUNTERS {
            let metric_type = ConstCounter::new(0_u64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, metric_type)?;
            for pool in &pools {
                ConstCounter::new(read(pool)).encode(family.encode_family(&[("origin", pool.origin.as_str())])?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;
    use crate::origin::{OriginSettings, Settings};

    #[test]
    fn each_origin_is_listed_with_how_it_does() {
        let of = |base: &str| OriginSettings::new(base.parse().expect("a base"));
        let settings = Settings::new(vec![of("http://a"), of("http://b:81/c")], "node-1");
        let (mut registry, mut page) = (Registry::default(), String::new());
        watch(&mut registry, &Origins::new(&settings).expect("good settings"));
        text::encode(&mut page, &registry).expect("a string takes everything");
        for line in [
            "delivery_origin_well{origin=\"http://a\"} 1",
            "delivery_origin_waiting{origin=\"http://b:81/c\"} 0",
            "delivery_origin_retries_total{origin=\"http://a\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
        }
    }
}
