//! Nodes that should not be let in, and one that should, though it looks new.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Cluster, Topology,
    cluster::is_in,
    get,
    peers::{attend, registration, secret},
    roles::Role,
    samples, until,
    workshop::Workshop,
};

const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// A node that is asked to stop serves on for drain-grace (10 s): redirects to it are on their way.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

async fn until_attending_at(cluster: &Cluster, id: &str, address: &str) {
    until(&format!("{id} to be UP at {address}"), NOTICED_WITHIN, async || {
        let node = cluster.listed(id).await?;
        (is_in(&node["state"], "UP") && node["address"] == address).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stranger_that_follows_the_protocol_is_welcome() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let seen = attend(&cluster.coordinators[0], &[registration("python", "Q")]).await;
    assert_eq!(seen["code"], "OK", "{seen}");
    assert!(seen["answers"][0].get("welcome").is_some(), "{seen}");
    assert!(cluster.listed("python").await.is_some());
}

#[tokio::test]
async fn a_malformed_registration_is_refused_with_every_fault_named() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let malformed = json!({"register": {
        "version": 1,
        "facts": {"nodeId": "no good name", "address": "nowhere", "region": "a b", "weight": 20000},
        "secret": "QUJD",
    }});
    let seen = attend(&cluster.coordinators[0], &[malformed]).await;
    assert_eq!(seen["code"], "INVALID_ARGUMENT", "{seen}");
    let details = seen["details"].as_str().unwrap_or_default();
    for fault in ["no good name", "nowhere", "a b", "weight", "secret"] {
        assert!(details.contains(fault), "{fault:?} is not in {details:?}");
    }
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
}

#[tokio::test]
async fn what_is_no_registration_at_all_ends_the_stream_and_nothing_else() {
    let mut cluster = Cluster::start(Topology::nodes(1)).await;
    let newer = json!({"register": {"version": 99, "facts": {"nodeId": "n"}, "secret": secret("Q")}});
    for (messages, code) in [
        (json!({"raw": "ffffffffffff"}), None),
        (json!({"raw": ""}), Some("INVALID_ARGUMENT")),
        (json!({"beat": {"sequence": "1"}}), Some("INVALID_ARGUMENT")),
        (newer, Some("FAILED_PRECONDITION")),
    ] {
        let seen = attend(&cluster.coordinators[0], std::slice::from_ref(&messages)).await;
        assert_ne!(seen["code"], "OK", "{messages}: {seen}");
        if let Some(code) = code {
            assert_eq!(seen["code"], code, "{messages}: {seen}");
        }
    }
    assert!(cluster.coordinators[0].program.is_running());
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
}

#[tokio::test]
async fn a_taken_id_without_its_secret_is_refused_and_its_owner_is_not_disturbed() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let seen = attend(&cluster.coordinators[0], &[registration("node-0", "Q")]).await;
    assert_eq!(seen["code"], "ALREADY_EXISTS", "{seen}");
    until_attending_at(&cluster, "node-0", cluster.nodes[0].address()).await;
}

/// The usurper is a real node: it says why it gets no clients, and goes on serving those who come to it.
#[tokio::test]
async fn a_node_that_is_refused_says_so_and_serves_all_the_same() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::write(&cluster.root(), "a.bin", 1000);
    let mut usurper = Role::node(&cluster.workshop, "usurper", &cluster.coordinators[0].grpc_url());
    usurper.program.change("--node-id", "node-0").tolerate("is taken");
    let mut usurper = usurper.root(&cluster.root()).started();
    until("the refusal in its log", NOTICED_WITHIN, async || {
        let log = usurper.program.log();
        log.lines().any(|line| line.contains("is taken") && line.contains("secret")).then_some(())
    })
    .await;
    assert!(usurper.program.is_running());
    assert_eq!(get(&usurper.url(&sample.path())).send().await.status, 200);
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
}

#[tokio::test]
async fn a_node_that_moves_is_the_same_node_at_its_new_address() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let old = cluster.nodes[0].address().to_owned();
    // A power cut, and another address when it is back: its storage makes it the same node.
    cluster.nodes[0].program.kill().await;
    let mut moved = Role::node(&cluster.workshop, "moved", &cluster.coordinators[0].grpc_url());
    let storage = cluster.workshop.folder("node-0-storage");
    moved.program.change("--node-id", "node-0").change("--storage-path", storage);
    let moved = moved.root(&cluster.root()).started();
    until_attending_at(&cluster, "node-0", moved.address()).await;
    assert_ne!(moved.address(), old);
    until("redirects to the new address only", NOTICED_WITHIN, async || {
        let targets = cluster.targets().await;
        (targets.contains(moved.address()) && !targets.contains(&old)).then_some(())
    })
    .await;
}

/// Without an id of its own a node makes one up, once.
#[tokio::test]
async fn a_generated_id_outlives_the_process() {
    let cluster = Cluster::start(Topology::nodes(0)).await;
    let coordinator = cluster.coordinators[0].grpc_url();
    let mut node = Role::lone_node(&cluster.workshop, "anonymous").root(&cluster.root());
    let address = node.address().to_owned();
    node.program.args(&["--node-address", &address, "--coordinators", &coordinator]);
    let ids = async || {
        let list = cluster.nodes_command(&["list", "--json"]).await.ok().json();
        let nodes = list.as_array().expect("a list of nodes").clone();
        nodes.iter().filter(|node| is_in(&node["state"], "UP")).map(|node| node["node_id"].clone()).collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        node.program.start();
        seen.push(until("one node to be UP", NOTICED_WITHIN, async || ids().await.pop()).await);
        node.program.stop(STOPPED_WITHIN).await;
        until("no node to be UP", NOTICED_WITHIN, async || ids().await.is_empty().then_some(())).await;
    }
    assert_eq!(seen[0], seen[1]);
}

/// The token is for strangers: whom the cluster knows comes back by its secret alone.
#[tokio::test]
async fn where_a_join_token_is_wanted_nobody_joins_without_it() {
    let workshop = Workshop::open();
    let token = workshop.file("join.token", "let-me-in-0123456789abcdef");
    let token = ["--join-token-file", token.to_str().expect("a plain path")];
    let mut cluster = Cluster::start_in(workshop, Topology::nodes(0).coordinator_flags(&token)).await;
    let coordinator = cluster.coordinators[0].grpc_url();
    let seen = attend(&cluster.coordinators[0], &[registration("stranger", "Q")]).await;
    assert_eq!(seen["code"], "PERMISSION_DENIED", "{seen}");

    let invited = Role::node(&cluster.workshop, "invited", &coordinator).root(&cluster.root());
    cluster.nodes.push(invited.flags(&token).started());
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
    cluster.nodes[0].program.kill().await;
    cluster.until_listed(&[], NOTICED_WITHIN).await;

    // The same storage, and no token any more.
    let mut known = Role::node(&cluster.workshop, "known", &coordinator).root(&cluster.root());
    known.program.change("--node-id", "invited").change("--storage-path", cluster.workshop.folder("invited-storage"));
    cluster.nodes[0] = known.started();
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
}
