//! `ferry warm` and `ferry purge`: what operators do with the caches of a cluster, and what they are told.

use ferry_delivery::origin::faulty::{Faulty, Transport};
use serde_json::Value;

use crate::harness::{
    Cluster, Topology, get,
    origin::Origin,
    samples::{self, MIB},
    tools::{Outcome, ferry},
    workshop::Workshop,
};

const LENGTH: u64 = 2 * MIB + 7;

/// Two nodes with a cache each, in front of an origin whose objects stay fresh.
async fn two_caches(topology: Topology) -> (Cluster, Faulty) {
    let origin = Faulty::start(Transport::Plain, LENGTH).await;
    origin.say("cache-control", "max-age=600");
    (Cluster::start(topology.origin(&origin.url()).caches()).await, origin)
}

/// A command, asked of the cluster's coordinator.
async fn command(cluster: &Cluster, arguments: &[&str]) -> Outcome {
    let url = cluster.coordinators[0].grpc_url();
    ferry(&[arguments, &["--coordinator", &url]].concat()).await
}

/// Fetches an object from each node itself, and says how often the origin was asked for that.
async fn from_each_node(cluster: &Cluster, origin: &Faulty, path: &str) -> usize {
    let before = origin.seen().len();
    for node in &cluster.nodes {
        let received = get(&node.url(path)).send().await.finish().await.expect("whole");
        assert_eq!(received.length, LENGTH);
    }
    origin.seen().len() - before
}

/// The lines about one node.
fn line<'o>(outcome: &'o Outcome, node: &str) -> &'o str {
    let lines: Vec<_> = outcome.stdout.lines().filter(|line| line.starts_with(node)).collect();
    assert_eq!(lines.len(), 1, "{node} in {outcome:?}");
    lines[0]
}

#[tokio::test]
async fn a_purge_makes_every_node_forget_and_says_so_node_by_node() {
    let (cluster, origin) = two_caches(Topology::nodes(2)).await;
    assert_eq!(from_each_node(&cluster, &origin, "/a/1").await, 2);
    assert_eq!(from_each_node(&cluster, &origin, "/a/1").await, 0, "both have it");
    let purged = command(&cluster, &["purge", "/a/1"]).await.ok();
    assert!(line(&purged, "node-0").ends_with("purged") && line(&purged, "node-1").ends_with("purged"), "{purged:?}");
    assert_eq!(from_each_node(&cluster, &origin, "/a/1").await, 2);
    from_each_node(&cluster, &origin, "/b").await;
    let below = command(&cluster, &["purge", "--prefix", "/a/", "--json"]).await.ok().json();
    let expected = |node: &str| serde_json::json!({"node": node, "what": "/a/*", "outcome": "purged", "purged": 1});
    assert_eq!(below, Value::Array(vec![expected("node-0"), expected("node-1")]));
    assert_eq!(from_each_node(&cluster, &origin, "/b").await, 0, "nothing else is forgotten");
    let again = command(&cluster, &["purge", "/a/1"]).await.ok();
    assert!(line(&again, "node-0").ends_with("was not there"), "{again:?}");
}

#[tokio::test]
async fn a_purge_that_did_not_reach_every_node_fails() {
    let (mut cluster, origin) = two_caches(Topology::nodes(2)).await;
    from_each_node(&cluster, &origin, "/a").await;
    cluster.nodes[1].program.kill().await;
    let outcome = command(&cluster, &["purge", "/a"]).await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(line(&outcome, "node-0").ends_with("purged"), "{outcome:?}");
    assert!(line(&outcome, "node-1").contains("FAILED: "), "{outcome:?}");
}

#[tokio::test]
async fn an_object_is_warmed_where_its_clients_will_be_sent() {
    let (cluster, origin) = two_caches(Topology::nodes(2)).await;
    for path in ["/one", "/two", "/three", "/four"] {
        let before = origin.seen().len();
        let outcome = command(&cluster, &["warm", path]).await.ok();
        assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
        assert!(outcome.stdout.contains(&format!("warm: {LENGTH}")), "{outcome:?}");
        assert_eq!(origin.seen().len(), before + 1);
        let received = get(&cluster.url(path)).follow().await.finish().await.expect("whole");
        assert_eq!((received.length, origin.seen().len()), (LENGTH, before + 1), "{path}: another node served it");
    }
    command(&cluster, &["warm", "--all", "/five", "/six"]).await.ok();
    for path in ["/five", "/six"] {
        assert_eq!(from_each_node(&cluster, &origin, path).await, 0);
    }
}

#[tokio::test]
async fn one_node_is_asked_alone() {
    let (cluster, origin) = two_caches(Topology::nodes(2)).await;
    let first = cluster.nodes[0].grpc_url();
    let warmed = ferry(&["warm", "/a", "--range", "0-99", "--node", &first, "--json"]).await.ok().json();
    assert_eq!((&warmed[0]["outcome"], &warmed[0]["bytes"]), (&"warm".into(), &100.into()));
    from_each_node(&cluster, &origin, "/a").await;
    ferry(&["purge", "/a", "--node", cluster.nodes[0].grpc()]).await.ok();
    assert_eq!(from_each_node(&cluster, &origin, "/a").await, 1, "the other still has it");
    let nothing = ferry(&["warm", "/a", "--node", "http://127.0.0.1:9"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.stdout.contains("FAILED"), "{nothing:?}");
}

#[tokio::test]
async fn nodes_without_a_cache_say_so() {
    let workshop = Workshop::open();
    let origin = Origin::start(&workshop, workshop.folder("behind")).await;
    samples::write(&workshop.folder("behind"), "a.bin", 1000);
    let cluster = Cluster::start_in(workshop, Topology::nodes(1).origin(&origin.url())).await;
    for what in ["warm", "purge"] {
        let outcome = command(&cluster, &[what, "/a.bin"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(line(&outcome, "node-0").ends_with("it has no cache"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_node_with_an_admin_token_wants_it() {
    let workshop = Workshop::open();
    let token = workshop.file("token", "correct-horse-battery").display().to_string();
    let origin = Faulty::start(Transport::Plain, LENGTH).await;
    let topology = Topology::nodes(1).origin(&origin.url()).caches().node_flags(&["--admin-token-file", &token]);
    let cluster = Cluster::start_in(workshop, topology).await;
    let refused = command(&cluster, &["purge", "/a"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(line(&refused, "node-0").contains("admin token"), "{refused:?}");
    command(&cluster, &["purge", "/a", "--admin-token-file", &token]).await.ok();
}

#[tokio::test]
async fn a_command_line_that_means_nothing_is_refused() {
    for arguments in [
        &["purge"][..],
        &["warm"],
        &["warm", "/a/../b"],
        &["warm", "/a", "--range", "5-4"],
        &["purge", "/a", "--node", "ftp://x"],
    ] {
        let outcome = ferry(arguments).await;
        assert_eq!(outcome.code, Some(64), "{arguments:?}: {outcome:?}");
    }
}
