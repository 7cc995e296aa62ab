//! Maintenance: an operator's word that a node may be gone, and nobody is sent there until the word is taken back.

use std::time::Duration;

use crate::harness::{Cluster, Topology, cluster::is_in, get, samples, samples::MIB, tools::ferry, until};

const NOTICED_WITHIN: Duration = Duration::from_secs(3);
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// Waits until every coordinator lists that node in that state.
async fn until_everywhere(cluster: &Cluster, id: &str, state: &str) {
    for coordinator in &cluster.coordinators {
        until(&format!("{id} to be {state} everywhere"), BACK_WITHIN, async || {
            let url = coordinator.grpc_url();
            let outcome = ferry(&["nodes", "list", "--json", "--coordinator", &url]).await;
            let listed = (outcome.code == Some(0)).then(|| outcome.json())?;
            listed.as_array()?.iter().any(|node| node["node_id"] == id && is_in(&node["state"], state)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn maintenance_outlives_every_process_and_ends_with_a_resume() {
    let mut cluster = Cluster::start(Topology::nodes(2).coordinators_on_etcd(2)).await;
    cluster.nodes_command(&["maintenance", "node-0"]).await.ok();
    cluster.until_listed(&[1], NOTICED_WITHIN).await;

    // What maintenance is for: the machine goes, and comes back. Nobody misses it meanwhile.
    cluster.nodes[0].program.kill().await;
    until_everywhere(&cluster, "node-0", "MAINTENANCE").await;
    for coordinator in &mut cluster.coordinators {
        coordinator.program.kill().await;
    }
    cluster.gateway.program.kill().await;
    cluster.etcd.as_mut().expect("this cluster has one").program.kill().await;
    cluster.etcd.as_mut().expect("this cluster has one").resume().await;
    for coordinator in &mut cluster.coordinators {
        coordinator.program.start();
    }
    cluster.nodes[0].program.start();
    cluster.gateway.program.start();
    until_everywhere(&cluster, "node-0", "MAINTENANCE").await;
    until_everywhere(&cluster, "node-1", "UP").await;
    cluster.until_listed(&[1], BACK_WITHIN).await;
    for coordinator in &cluster.coordinators {
        let log = coordinator.program.log();
        assert!(!log.contains("node=node-0 from=MAINTENANCE to=DOWN"), "it was missed:\n{log}");
    }

    cluster.nodes_command(&["resume", "node-0"]).await.ok();
    cluster.until_listed(&[0, 1], BACK_WITHIN).await;
    until_everywhere(&cluster, "node-0", "UP").await;
}

/// P6, SEMANTICS.md 15.
#[tokio::test]
async fn a_node_in_maintenance_finishes_what_it_began() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "big.iso", 24 * MIB);
    let location = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    let node = cluster.nodes.iter().position(|node| location.contains(node.address())).expect("one of the nodes");
    let mut slow = get(&location).kib_per_second(6 * 1024).send().await;
    slow.receive(MIB).await;
    cluster.nodes_command(&["maintenance", &format!("node-{node}")]).await.ok();
    cluster.until_listed(&[1 - node], NOTICED_WITHIN).await;
    assert!(slow.received() < sample.length, "the transfer must still be under way");
    assert_eq!(slow.finish().await.expect("whole").sha256, sample.sha256);
}
