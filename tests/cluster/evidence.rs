//! P7 and evidence: a client that comes back is sent elsewhere, unless all goes well; and what clients do to themselves is held against no node.

use std::time::Duration;

use hyper::{Method, header};
use rustix::process::Signal;

use crate::harness::{
    Cluster, Topology,
    client::Answer,
    get, samples,
    samples::{MIB, Sample},
    until,
};

/// Longer than anybody waits for the word of a node.
const HEARD_WITHIN: Duration = Duration::from_secs(10);
/// Before that a repeat is one of several at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Asks as a client of that name, and is not led anywhere.
async fn asked(cluster: &Cluster, sample: &Sample, client: &str) -> Answer {
    get(&cluster.url(&sample.path())).header(header::USER_AGENT, client).send().await
}

/// Where such a client is sent.
async fn target(cluster: &Cluster, sample: &Sample, client: &str) -> String {
    asked(cluster, sample, client).await.target().expect("a redirect")
}

/// A figure of the gateway's.
async fn figure(cluster: &Cluster, name: &str) -> u64 {
    let figures = get(&format!("{}/metrics", cluster.gateway.grpc_url())).send().await.text().await;
    let line = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no figure {name}: {figures}"))
}

/// Nobody is the worse for what clients did.
async fn nobody_is_doubted(cluster: &Cluster) {
    assert_eq!(figure(cluster, "ferry_gateway_nodes_doubted").await, 0);
    assert_eq!(figure(cluster, "ferry_gateway_networks_doubting").await, 0);
    for node in 0..cluster.nodes.len() {
        let listed = cluster.listed(&format!("node-{node}")).await.expect("it is known");
        // What this machine has to do besides may make it DEGRADED.
        assert!(listed["state"] == "UP" || listed["state"] == "DEGRADED", "{listed}");
    }
}

/// Until the gateway has had that many words on its redirects.
async fn sightings(cluster: &Cluster, count: u64) {
    until("the nodes to say what arrived", HEARD_WITHIN, async || {
        (figure(cluster, "ferry_gateway_sightings_total").await >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_came_to_nothing_is_sent_to_another_node_and_others_are_not() {
    let cluster = Cluster::start(Topology::nodes(3)).await;
    let sample = samples::write(&cluster.root(), "package.bin", MIB);
    let first = target(&cluster, &sample, "unlucky").await;
    tokio::time::sleep(AT_ONCE).await;
    let second = target(&cluster, &sample, "unlucky").await;
    assert_ne!(first, second, "it did not come to anything there");
    tokio::time::sleep(AT_ONCE).await;
    let third = target(&cluster, &sample, "unlucky").await;
    assert!(third != first && third != second, "nor there");
    target(&cluster, &sample, "somebody else").await;
    assert_eq!(
        figure(&cluster, "ferry_gateway_sent_elsewhere_total").await,
        2,
        "who comes for the first time is no concern of it"
    );
    nobody_is_doubted(&cluster).await;
}

/// By its state the node is out only 2.5 s after it fell silent; a client that asks again need not wait for that.
#[tokio::test]
async fn a_client_whose_node_hangs_gets_the_file_elsewhere_when_it_asks_again() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "package.bin", MIB);
    let hangs = target(&cluster, &sample, "curl").await;
    let node = cluster.nodes.iter().find(|node| node.address() == hangs).expect("one of them");
    node.program.signal(Signal::STOP);
    tokio::time::sleep(AT_ONCE).await;
    let again = get(&cluster.url(&sample.path())).header(header::USER_AGENT, "curl").follow().await;
    assert_eq!(again.finish().await.expect("the other node has it").sha256, sample.sha256);
    assert_eq!(figure(&cluster, "ferry_gateway_sent_elsewhere_total").await, 1);
    node.program.signal(Signal::CONT);
    cluster.until_listed(&[0, 1], Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_video_that_seeks_stays_at_its_node() {
    let cluster = Cluster::start(Topology::nodes(3)).await;
    let sample = samples::write(&cluster.root(), "video.mp4", 32 * MIB);
    for seek in 0..12 {
        let at = get(&cluster.url(&sample.path())).header(header::USER_AGENT, "player").rest_from(seek * 2 * MIB);
        // It plays for a moment, and is broken off.
        at.kib_per_second(1024).follow().await.receive(600 * 1024).await;
    }
    assert_eq!(figure(&cluster, "ferry_gateway_sent_elsewhere_total").await, 0);
    nobody_is_doubted(&cluster).await;
}

#[tokio::test]
async fn fifty_clients_behind_one_address_that_fetch_one_package_stay_together() {
    let cluster = Cluster::start(Topology::nodes(3)).await;
    let sample = samples::write(&cluster.root(), "package.bin", MIB);
    for wave in 0..5 {
        let fetch = || async {
            let fetched = get(&cluster.url(&sample.path())).header(header::USER_AGENT, "office").follow().await;
            assert_eq!(fetched.finish().await.expect("the node gives it").sha256, sample.sha256);
        };
        futures_util::future::join_all((0..10).map(|_| fetch())).await;
        sightings(&cluster, (wave + 1) * 10).await;
        // Longer than a sign of life holds: that all went well is remembered for longer.
        tokio::time::sleep(Duration::from_millis(700 * wave)).await;
    }
    assert_eq!(figure(&cluster, "ferry_gateway_sent_elsewhere_total").await, 0);
    nobody_is_doubted(&cluster).await;
}

#[tokio::test]
async fn a_download_in_sixteen_pieces_is_one_client() {
    let cluster = Cluster::start(Topology::nodes(3)).await;
    let sample = samples::write(&cluster.root(), "package.bin", 16 * MIB);
    let piece = |number: u64| {
        let range = format!("bytes={}-{}", number * MIB, (number + 1) * MIB - 1);
        let request = get(&cluster.url(&sample.path())).header(header::USER_AGENT, "aria2");
        async move {
            let received = request.header(header::RANGE, &range).kib_per_second(512).follow().await.finish().await;
            assert_eq!(received.expect("the node gives it").length, MIB);
        }
    };
    futures_util::future::join_all((0..8).map(piece)).await;
    futures_util::future::join_all((8..16).map(piece)).await;
    assert_eq!(figure(&cluster, "ferry_gateway_sent_elsewhere_total").await, 0);
    nobody_is_doubted(&cluster).await;
}

#[tokio::test]
async fn checks_and_bots_that_never_follow_change_nothing() {
    let cluster = Cluster::start(Topology::nodes(3)).await;
    let sample = samples::write(&cluster.root(), "package.bin", MIB);
    for round in 0..6 {
        for bot in 0..200 {
            asked(&cluster, &sample, &format!("bot {round} {bot}")).await;
            let check = get(&cluster.url(&sample.path())).method(Method::HEAD).header(header::USER_AGENT, "check");
            assert_eq!(check.send().await.status, 302);
        }
        tokio::time::sleep(AT_ONCE).await;
    }
    assert_eq!(figure(&cluster, "ferry_gateway_sent_elsewhere_total").await, 0);
    nobody_is_doubted(&cluster).await;
}
