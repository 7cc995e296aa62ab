//! `ferry nodes`: what operators see and do.

use std::time::Duration;

use crate::harness::{Cluster, Topology, cluster::is_in, tools::ferry, until};

const NOTICED_WITHIN: Duration = Duration::from_secs(20);

async fn until_state(cluster: &Cluster, id: &str, state: &str) {
    until(&format!("{id} to be {state}"), NOTICED_WITHIN, async || {
        is_in(&cluster.listed(id).await?["state"], state).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_table_for_people_and_json_for_programs() {
    let cluster = Cluster::start(Topology::nodes(2).node_flags(&["--region", "eu", "--zone", "rack-1"])).await;
    let table = cluster.nodes_command(&["list"]).await.ok().stdout;
    for node in &cluster.nodes {
        let line = table.lines().find(|line| line.contains(node.address()));
        let line = line.unwrap_or_else(|| panic!("{} is not in:\n{table}", node.address()));
        for part in ["node-", "eu", "rack-1"] {
            assert!(line.contains(part), "{part} is not in: {line}");
        }
        assert!(["UP", "DEGRADED"].iter().any(|state| line.contains(state)), "no state is in: {line}");
    }
    let node = cluster.listed("node-1").await.expect("node 1 is listed");
    assert_eq!(node["address"], cluster.nodes[1].address());
    assert!(is_in(&node["state"], "UP"), "{node}");
    assert_eq!(node["region"], "eu");

    let shown = cluster.nodes_command(&["show", "node-1", "--json"]).await.ok().json();
    assert_eq!(shown["node_id"], "node-1");
    assert_eq!(shown["weight"], 100);
    assert!(cluster.nodes_command(&["show", "node-1"]).await.ok().stdout.contains("node-1"));
}

#[tokio::test]
async fn states_are_seen_as_they_change() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    cluster.nodes_command(&["drain", "node-0"]).await.ok();
    until_state(&cluster, "node-0", "DRAINING").await;
    cluster.nodes_command(&["resume", "node-0"]).await.ok();
    until_state(&cluster, "node-0", "UP").await;
    cluster.nodes[0].program.kill().await;
    until_state(&cluster, "node-0", "DOWN").await;
    until_state(&cluster, "node-1", "UP").await;
}

#[tokio::test]
async fn a_removed_node_is_forgotten_but_a_living_one_is_not_removed_by_mistake() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let refused = cluster.nodes_command(&["remove", "node-0"]).await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("node-0"), "{refused:?}");

    cluster.nodes[0].program.kill().await;
    until_state(&cluster, "node-0", "DOWN").await;
    cluster.nodes_command(&["remove", "node-0"]).await.ok();
    assert!(cluster.listed("node-0").await.is_none());

    // Its name is free again: the node comes back as a new one.
    cluster.nodes[0].program.start();
    until_state(&cluster, "node-0", "UP").await;
    cluster.until_listed(&[0, 1], NOTICED_WITHIN).await;
}

#[tokio::test]
async fn an_id_that_nobody_has_is_named_and_fails() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    for command in ["show", "drain", "resume", "remove"] {
        let outcome = cluster.nodes_command(&[command, "no-such-node"]).await;
        assert_ne!(outcome.code, Some(0), "{command}: {outcome:?}");
        assert!(outcome.stderr.contains("no-such-node"), "{command}: {outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{command}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_is_named_and_fails_soon() {
    let outcome = ferry(&["nodes", "list", "--coordinator", "http://127.0.0.1:9"]).await;
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("127.0.0.1:9"), "{outcome:?}");
}

#[tokio::test]
async fn every_coordinator_over_one_etcd_tells_the_same() {
    let cluster = Cluster::start(Topology::nodes(2).coordinators_on_etcd(2)).await;
    cluster.nodes_command(&["drain", "node-1"]).await.ok();
    for coordinator in &cluster.coordinators {
        until("both coordinators to know of the drain", NOTICED_WITHIN, async || {
            let list = ferry(&["nodes", "list", "--json", "--coordinator", &coordinator.grpc_url()]).await.ok().json();
            let states: Vec<_> = list.as_array()?.iter().map(|node| node["state"].clone()).collect();
            (is_in(states.first()?, "UP") && is_in(states.get(1)?, "DRAINING")).then_some(())
        })
        .await;
    }
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
}
