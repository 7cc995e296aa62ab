//! P3, SEMANTICS.md 3: never a worse answer than the main server. With no node at all the gateway serves the file itself, within a
//! budget; past it, 503 with Retry-After.

use std::time::Duration;

use hyper::header::RETRY_AFTER;

use crate::harness::{
    Cluster, Topology, get,
    origin::Origin,
    samples::{self, MIB},
    until,
    workshop::Workshop,
};

/// A cluster whose gateway may serve what lies in the nodes' own root, and whose only node is dead.
async fn without_nodes(flags: &[&str]) -> Cluster {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let root = ["--root", root.to_str().expect("a plain path")];
    let flags = [flags, &root].concat();
    let mut cluster = Cluster::start_in(workshop, Topology::nodes(1).gateway_flags(&flags)).await;
    cluster.nodes[0].program.kill().await;
    cluster.until_listed(&[], Duration::from_secs(5)).await;
    cluster
}

#[tokio::test]
async fn with_no_node_the_gateway_serves_the_file_itself() {
    let cluster = without_nodes(&[]).await;
    let sample = samples::write(&cluster.root(), "a.bin", 8 * MIB);
    let answer = cluster.ask(&sample.path()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.finish().await.expect("whole").sha256, sample.sha256);

    let part = get(&cluster.url(&sample.path())).rest_from(MIB).send().await;
    assert_eq!(part.status, 206);
    assert_eq!(part.finish().await.expect("whole").length, 7 * MIB);
    assert_eq!(cluster.ask("/not/there").await.status, 404);
}

#[tokio::test]
async fn past_its_budget_the_gateway_says_when_to_come_again() {
    let cluster = without_nodes(&["--fallback-limit", "2"]).await;
    let sample = samples::write(&cluster.root(), "a.bin", 16 * MIB);
    let mut under_way = Vec::new();
    for _ in 0..2 {
        let mut slow = get(&cluster.url(&sample.path())).kib_per_second(1024).send().await;
        assert_eq!(slow.status, 200);
        slow.receive(1024).await;
        under_way.push(slow);
    }
    let refused = cluster.ask(&sample.path()).await;
    assert_eq!(refused.status, 503);
    let seconds: u32 = refused.header(&RETRY_AFTER).parse().expect("Retry-After in seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");

    // A place becomes free when a transfer ends, also when it ends because the client left.
    drop(under_way.pop());
    until("a free place", Duration::from_secs(10), async || {
        (cluster.ask(&sample.path()).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_fallback_reaches_an_origin_where_there_is_no_disk() {
    let workshop = Workshop::open();
    let behind = workshop.folder("behind");
    let sample = samples::write(&behind, "a.bin", 2 * MIB);
    let origin = Origin::start(&workshop, behind).await;
    let topology = Topology::nodes(1).origin(&origin.url()).gateway_flags(&["--origin", &origin.url()]);
    let mut cluster = Cluster::start_in(workshop, topology).await;
    cluster.nodes[0].program.kill().await;
    cluster.until_listed(&[], Duration::from_secs(5)).await;
    let answer = cluster.ask(&sample.path()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.finish().await.expect("whole").sha256, sample.sha256);
}

#[tokio::test]
async fn a_gateway_with_nothing_to_serve_from_says_so_and_goes_on() {
    let mut cluster = Cluster::start(Topology::nodes(1)).await;
    cluster.nodes[0].program.kill().await;
    cluster.until_listed(&[], Duration::from_secs(5)).await;
    let answer = cluster.ask("/a.bin").await;
    assert_eq!(answer.status, 503);
    assert!(!answer.header(&RETRY_AFTER).is_empty());
    cluster.nodes[0].program.start();
    cluster.until_listed(&[0], Duration::from_secs(20)).await;
}
