//! P6 for gateways: one that is asked to stop says so, answers as ever while whoever sends clients there goes elsewhere, and finishes what it sends.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::harness::{
    Cluster, Topology, get,
    samples::{self, MIB},
};

const GRACE: Duration = Duration::from_secs(4);
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// A redirect for what is on the nodes, and what the gateway sends itself.
const ROUTES: &str = r#"
[[route]]
match = "/own/{path*}"
access = "open"
deliver = "proxy"

[[route]]
match = "/{path*}"
access = "open"
"#;

#[tokio::test]
async fn a_gateway_that_is_asked_to_stop_under_load_loses_nothing() {
    let topology = Topology::nodes(2).routes(ROUTES).gateway_flags(&["--drain-grace", "4s"]);
    let mut cluster = Cluster::start(topology).await;
    let [big, small, own] = ["own/big.iso", "small.bin", "own/small.bin"]
        .map(|name| samples::write(&cluster.root(), name, if name.contains("big") { 48 * MIB } else { MIB }));
    // Longer than the grace, so that its end comes after the listener's.
    let mut slow = get(&cluster.url(&big.path())).kib_per_second(6 * 1024).send().await;
    slow.receive(MIB).await;

    let (stopping, downloads) = (AtomicBool::new(false), AtomicU64::new(0));
    let client = async |number: usize| {
        for sample in [&small, &own].into_iter().cycle().skip(number) {
            if stopping.load(Relaxed) {
                return;
            }
            let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
            assert_eq!(received.sha256, sample.sha256);
            downloads.fetch_add(1, Relaxed);
        }
    };
    let stop = async {
        while downloads.load(Relaxed) < 10 {
            tokio::task::yield_now().await;
        }
        cluster.gateway.program.signal(Signal::TERM);
        let asked = Instant::now();
        let health = async || get(&cluster.url("/health")).send().await.text().await;
        while !health().await.contains("draining") {
            assert!(asked.elapsed() < NOTICED_WITHIN, "it does not say that it stops");
        }
        // A little less than the grace: this clock began when the signal was sent, and the other one with it.
        tokio::time::sleep_until((asked + GRACE.mul_f32(0.8)).into()).await;
        stopping.store(true, Relaxed);
    };
    tokio::join!(client(0), client(1), client(2), stop);
    assert!(slow.received() < big.length, "the transfer must still be under way");
    assert_eq!(slow.finish().await.expect("whole").sha256, big.sha256);
    let status = cluster.gateway.program.exit(NOTICED_WITHIN).await;
    assert!(status.success(), "{status}");
}
