//! P11: one trace holds the redirect and the node's transfer, for any client; and a collector that is away costs
//! nothing but the spans.

use std::time::Duration;

use hyper::header::HeaderName;
use serde_json::Value;

use crate::harness::{Cluster, Topology, get, peers::Collector, samples, until, workshop::Workshop};

/// Spans are sent in batches, every few seconds.
const EXPORTED_WITHIN: Duration = Duration::from_secs(20);

async fn traced_cluster() -> (Cluster, Collector) {
    let workshop = Workshop::open();
    let collector = Collector::start(&workshop).await;
    let flags = ["--otlp-endpoint", collector.url(), "--trace-sample", "1"];
    let cluster = Cluster::start_in(workshop, Topology::nodes(1).flags_of_every_role(&flags)).await;
    (cluster, collector)
}

fn text<'a>(span: &'a Value, field: &str) -> &'a str {
    span[field].as_str().unwrap_or_default()
}

/// The gateway's and the node's span of the download of that path, as soon as both have arrived.
async fn spans_of(collector: &Collector, path: &str) -> (Value, Value) {
    let about = |span: &Value| {
        let attributes = span["attributes"].as_object();
        attributes.is_some_and(|attributes| {
            attributes
                .values()
                .any(|value| value.as_str().is_some_and(|value| value.contains(path.trim_start_matches('/'))))
        })
    };
    until("the gateway's and the node's span", EXPORTED_WITHIN, async || {
        let spans = collector.spans();
        let of = |role: &str| spans.iter().find(|span| text(span, "service").contains(role) && about(span)).cloned();
        of("gateway").zip(of("node"))
    })
    .await
}

#[tokio::test]
async fn a_client_that_sends_no_context_gets_one_trace_over_gateway_and_node() {
    let (cluster, collector) = traced_cluster().await;
    let sample = samples::write(&cluster.root(), "no-context.bin", 100_000);
    get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
    let (gateway, node) = spans_of(&collector, &sample.path()).await;
    assert_eq!(text(&gateway, "trace_id"), text(&node, "trace_id"), "{gateway} {node}");
    assert_eq!(text(&node, "parent_span_id"), text(&gateway, "span_id"), "{gateway} {node}");
}

#[tokio::test]
async fn a_client_that_has_a_trace_finds_both_spans_in_it() {
    let (cluster, collector) = traced_cluster().await;
    let sample = samples::write(&cluster.root(), "with-context.bin", 100_000);
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let context = format!("00-{trace}-{parent}-01");
    let traceparent = HeaderName::from_static("traceparent");
    // As browsers and most clients do: the header goes with the first request only.
    let redirect = get(&cluster.url(&sample.path())).header(traceparent, &context).send().await;
    get(redirect.location().expect("a redirect")).send().await.finish().await.expect("whole");
    let (gateway, node) = spans_of(&collector, &sample.path()).await;
    assert_eq!(text(&gateway, "trace_id"), trace);
    assert_eq!(text(&gateway, "parent_span_id"), parent);
    assert_eq!(text(&node, "trace_id"), trace);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nothing_but_the_spans() {
    let flags = ["--otlp-endpoint", "http://127.0.0.1:9"];
    let cluster = Cluster::start(Topology::nodes(1).flags_of_every_role(&flags)).await;
    let sample = samples::write(&cluster.root(), "a.bin", 1_000_000);
    for _ in 0..200 {
        let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
        assert_eq!(received.sha256, sample.sha256);
    }
    drop(cluster); // judges the logs: nothing at level ERROR
}
