//! An operator's weight: it counts in place of the one that a node registers, whoever is restarted, until it is taken back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Cluster, Topology,
    cluster::is_in,
    get,
    tools::{ferry, figure},
    until,
};

const NOTICED_WITHIN: Duration = Duration::from_secs(30);
/// So many new objects are asked for in one go: few, for on a busy machine now this node is full, now the other one.
const KEYS: usize = 40;
const BETWEEN_CLIENTS: Duration = Duration::from_millis(2);

/// Waits until that node gets nearly all objects that nobody asked for before.
async fn until_new_keys_go_to(cluster: &Cluster, node: usize, when: &str) {
    let mut asked = 0;
    until(&format!("new keys to go to node {node} {when}"), NOTICED_WITHIN, async || {
        let mut there = 0;
        for key in asked..asked + KEYS {
            let url = cluster.url(&format!("/{}/{key}", when.replace(' ', "-")));
            let target = get(&url).try_send().await.ok().and_then(|answer| answer.target());
            there += usize::from(target.as_deref() == Some(cluster.nodes[node].address()));
            tokio::time::sleep(BETWEEN_CLIENTS).await;
        }
        asked += KEYS;
        (there >= KEYS * 9 / 10).then_some(())
    })
    .await;
}

/// The weight that counts, the one that was registered, and an operator's.
fn weights(node: &Value) -> Value {
    json!([node["weight"], node["registered_weight"], node["decided_weight"]])
}

/// What the gateway's own table says of a node.
async fn in_the_table(cluster: &Cluster, id: &str) -> Option<Value> {
    let outcome = ferry(&["nodes", "show", id, "--json", "--coordinator", &cluster.gateway.grpc_url()]).await;
    (outcome.code == Some(0)).then(|| outcome.json())
}

async fn until_up_with(cluster: &Cluster, id: &str, expected: Value) {
    until(&format!("{id} to be up with {expected}"), NOTICED_WITHIN, async || {
        let node = cluster.listed(id).await?;
        (is_in(&node["state"], "UP") && weights(&node) == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_weight_moves_new_keys_outlives_every_process_and_is_taken_back() {
    let mut cluster = Cluster::start(Topology::nodes(2).node_flags(&["--weight", "1"])).await;
    let said = cluster.nodes_command(&["set", "node-0", "--weight", "10000"]).await.ok().stdout;
    assert_eq!(said.trim_end(), "node-0 has the weight 10000 (registered: 1)");
    cluster.nodes_command(&["set", "node-1", "--weight", "1"]).await.ok();
    until_new_keys_go_to(&cluster, 0, "by decision").await;
    let gateways = ferry(&["nodes", "list", "--coordinator", &cluster.gateway.grpc_url()]).await.ok().stdout;
    for table in [gateways, cluster.nodes_command(&["list"]).await.ok().stdout] {
        assert!(table.contains(" 10000 (registered: 1)") && table.contains(" 1 (registered: 1)"), "{table}");
    }

    // What a node registers later changes nothing.
    cluster.nodes[1].program.kill().await;
    cluster.nodes[1].program.change("--weight", "10000").start();
    until_up_with(&cluster, "node-1", json!([1, 10000, 1])).await;
    until("the gateway to have that on disk", NOTICED_WITHIN, async || {
        let told = in_the_table(&cluster, "node-1").await?;
        let saved = figure(&cluster.gateway.grpc_url(), "ferry_gateway_table_saved").await?;
        (is_in(&told["state"], "UP") && weights(&told) == json!([1, 10000, 1]) && saved == 1).then_some(())
    })
    .await;
    until_new_keys_go_to(&cluster, 0, "after a registration").await;

    // A gateway that starts with nobody to tell it anything.
    cluster.coordinators[0].program.kill().await;
    cluster.gateway.program.kill().await;
    cluster.gateway.program.start();
    until_new_keys_go_to(&cluster, 0, "from the saved table").await;

    cluster.nodes[0].program.kill().await;
    cluster.coordinators[0].program.start();
    cluster.nodes[0].program.start();
    until_up_with(&cluster, "node-0", json!([10000, 1, 10000])).await;
    until_up_with(&cluster, "node-1", json!([1, 10000, 1])).await;
    until_new_keys_go_to(&cluster, 0, "after all restarts").await;

    for (id, registered) in [("node-0", 1), ("node-1", 10000)] {
        let said = cluster.nodes_command(&["set", id, "--weight", "default"]).await.ok().stdout;
        assert_eq!(said.trim_end(), format!("{id} has the weight {registered}"));
    }
    until_new_keys_go_to(&cluster, 1, "by their own words").await;
}

#[tokio::test]
async fn a_weight_and_a_drain_are_two_decisions() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    cluster.nodes_command(&["drain", "node-0"]).await.ok();
    let set = cluster.nodes_command(&["set", "node-0", "--weight", "7", "--json"]).await.ok().json();
    assert_eq!((&set["state"], &set["drain"], weights(&set)), (&json!("DRAINING"), &json!(true), json!([7, 100, 7])));
    let resumed = cluster.nodes_command(&["resume", "node-0", "--json"]).await.ok().json();
    assert_eq!((&resumed["drain"], weights(&resumed)), (&json!(false), json!([7, 100, 7])));
    cluster.nodes_command(&["maintenance", "node-0"]).await.ok();
    let back = cluster.nodes_command(&["set", "node-0", "--weight", "default", "--json"]).await.ok().json();
    assert_eq!((&back["maintenance"], weights(&back)), (&json!(true), json!([100, 100, null])));
}

#[tokio::test]
async fn what_is_no_weight_is_one_line_and_a_gateway_decides_nothing() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    for wrong in ["0", "-5", "10001", "1.5", "many", "", "99999999999999999999", "--json"] {
        let outcome = cluster.nodes_command(&["set", "node-0", "--weight", wrong]).await;
        assert_eq!(outcome.code, Some(64), "{wrong:?}: {outcome:?}");
        let expected = format!("ferry: --weight {wrong:?}: expected a whole number from 1 to 10000, or `default`");
        assert_eq!(outcome.stderr.trim_end(), expected);
    }
    assert_eq!(cluster.nodes_command(&["set", "node-0"]).await.code, Some(64), "nothing to set");
    let unknown = cluster.nodes_command(&["set", "no-such-node", "--weight", "5"]).await;
    assert_eq!((unknown.code, unknown.stderr.trim_end()), (Some(1), "ferry: there is no node no-such-node"));
    let gateway = cluster.gateway.grpc_url();
    let refused = ferry(&["nodes", "set", "node-0", "--weight", "5", "--coordinator", &gateway]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("ask a coordinator"), "{refused:?}");
    assert_eq!(weights(&cluster.listed("node-0").await.expect("listed")), json!([100, 100, null]));
}
