//! A first SIGTERM is a wish, a second one an order: whatever a process waits for, it ends.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Cluster, Topology, get, samples, samples::MIB, until};

/// What follows the order takes a few hundred milliseconds; every wish here would take a minute.
const AT_ONCE: Duration = Duration::from_secs(10);
const PATIENT: [&str; 4] = ["--drain-grace", "60s", "--drain-limit", "10m"];

/// The wish is heard, and the process still there.
async fn asked_once(log: impl Fn() -> String) {
    until("the wish to be heard", Duration::from_secs(10), async || {
        log().contains("a second signal ends it at once").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_finishes_a_transfer_ends_when_it_is_told_again() {
    let mut cluster = Cluster::start(Topology::nodes(1).node_flags(&PATIENT)).await;
    let sample = samples::write(&cluster.root(), "big.iso", 24 * MIB);
    let location = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    let mut slow = get(&location).kib_per_second(1024).send().await;
    slow.receive(MIB).await;
    let node = &mut cluster.nodes[0].program;
    node.signal(Signal::TERM);
    asked_once(|| node.log()).await;
    slow.receive(MIB).await;
    assert!(node.is_running(), "it finishes what it began");
    node.stop(AT_ONCE).await;
    assert!(slow.finish().await.is_err(), "a cut transfer must not look whole");
}

#[tokio::test]
async fn a_gateway_in_its_grace_ends_when_it_is_told_again() {
    let mut cluster = Cluster::start(Topology::nodes(1).gateway_flags(&PATIENT)).await;
    let gateway = &mut cluster.gateway.program;
    gateway.signal(Signal::TERM);
    asked_once(|| gateway.log()).await;
    assert!(gateway.is_running(), "it has its grace");
    let status = gateway.stop(AT_ONCE).await;
    assert!(status.success(), "{status}");
}

/// A coordinator has nothing to finish, but for streams of nodes and gateways that end with it.
#[tokio::test]
async fn a_coordinator_ends_on_the_first_word_and_on_two() {
    for words in 1..=2 {
        let mut cluster = Cluster::start(Topology::nodes(1)).await;
        let coordinator = &mut cluster.coordinators[0].program;
        for _ in 1..words {
            coordinator.signal(Signal::TERM);
        }
        let status = coordinator.stop(AT_ONCE).await;
        assert!(status.success(), "{status}");
    }
}
