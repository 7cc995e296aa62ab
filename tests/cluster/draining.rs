//! P6, SEMANTICS.md 15: a drain loses nothing: what was begun is finished, and nobody new is sent there.

use std::time::Duration;

use crate::harness::{Cluster, Topology, client::Answer, get, samples, samples::MIB, samples::Sample, until};

const NOTICED_WITHIN: Duration = Duration::from_secs(3);

/// A slow transfer under way, of a file that fits into no socket buffer, and the number of the node that it comes from.
async fn transfer_under_way(cluster: &Cluster) -> (Sample, Answer, usize) {
    let sample = samples::write(&cluster.root(), "big.iso", 24 * MIB);
    let location = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    let node = cluster.nodes.iter().position(|node| location.contains(node.address())).expect("one of the nodes");
    let mut slow = get(&location).kib_per_second(3 * 1024).send().await;
    slow.receive(MIB).await;
    (sample, slow, node)
}

#[tokio::test]
async fn a_drained_node_finishes_what_it_began_and_gets_nothing_new() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let (sample, slow, node) = transfer_under_way(&cluster).await;
    cluster.nodes_command(&["drain", &format!("node-{node}")]).await.ok();
    cluster.until_listed(&[1 - node], NOTICED_WITHIN).await;
    assert!(slow.received() < sample.length, "the transfer must still be under way");
    assert_eq!(slow.finish().await.expect("whole").sha256, sample.sha256);

    cluster.nodes_command(&["resume", &format!("node-{node}")]).await.ok();
    cluster.until_listed(&[0, 1], NOTICED_WITHIN).await;
}

/// A redirect from before the drain is followed a moment later, on a new connection or on one that was kept open.
#[tokio::test]
async fn a_request_that_comes_too_late_is_sent_on_and_served() {
    let cluster = Cluster::start(Topology::nodes(2).node_flags(&["--drain-grace", "20s"])).await;
    let sample = samples::write(&cluster.root(), "late.bin", 64 * 1024);
    let late = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    let node = cluster.nodes.iter().position(|node| late.contains(node.address())).expect("one of the nodes");
    cluster.nodes[node].program.signal(rustix::process::Signal::TERM);
    cluster.until_listed(&[1 - node], NOTICED_WITHIN).await;

    let answer = get(&late).send().await;
    let onward = answer.location().expect("sent on").to_owned();
    assert!(onward.contains(cluster.nodes[1 - node].address()), "{onward}");
    assert_eq!(get(&late).follow().await.finish().await.expect("whole").sha256, sample.sha256);

    // The other one drains, too: nobody is sent in circles, and both serve while they listen.
    cluster.nodes[1 - node].program.signal(rustix::process::Signal::TERM);
    cluster.until_listed(&[], NOTICED_WITHIN).await;
    let answer = get(&onward).send().await;
    assert_eq!(answer.status, 200, "one hop is all");
    assert_eq!(answer.finish().await.expect("whole").sha256, sample.sha256);
}

#[tokio::test]
async fn a_node_that_is_asked_to_stop_ends_when_its_transfers_have() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let (sample, slow, node) = transfer_under_way(&cluster).await;
    cluster.nodes[node].program.signal(rustix::process::Signal::TERM);
    cluster.until_listed(&[1 - node], NOTICED_WITHIN).await;
    assert!(cluster.nodes[node].program.is_running(), "its transfer is still under way");
    assert_eq!(slow.finish().await.expect("whole").sha256, sample.sha256);
    let status = cluster.nodes[node].program.exit(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn an_idle_node_that_is_asked_to_stop_stops_soon() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let status = cluster.nodes[0].program.stop(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
    cluster.until_listed(&[1], NOTICED_WITHIN).await;
}

/// An operator's word is kept in the store: it outlives the node's process, and the coordinator's.
#[tokio::test]
async fn a_drain_holds_over_restarts_of_node_and_coordinator() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    cluster.nodes_command(&["drain", "node-0"]).await.ok();
    cluster.until_listed(&[1], NOTICED_WITHIN).await;
    cluster.nodes[0].program.stop(Duration::from_secs(15)).await;
    cluster.coordinators[0].program.kill().await;
    cluster.coordinators[0].program.start();
    cluster.nodes[0].program.start();
    until("node 0 to be back, and draining", Duration::from_secs(20), async || {
        let node = cluster.listed("node-0").await?;
        (node["state"] == "DRAINING").then_some(())
    })
    .await;
    cluster.until_listed(&[1], NOTICED_WITHIN).await;
}

#[tokio::test]
async fn a_transfer_longer_than_the_drain_limit_is_cut_so_that_the_process_ends() {
    let mut cluster = Cluster::start(Topology::nodes(2).node_flags(&["--drain-limit", "2s"])).await;
    let (_sample, slow, node) = transfer_under_way(&cluster).await;
    cluster.nodes[node].program.stop(Duration::from_secs(10)).await;
    assert!(slow.finish().await.is_err(), "a cut transfer must not look whole");
}
