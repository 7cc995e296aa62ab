//! Nodes that say what cannot be: each such word is counted where an operator looks, and changes nothing.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::harness::{
    Cluster, Topology,
    peers::{attend, registration},
    roles::Role,
    tools::figure,
    until,
};

const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// One of the first coordinator's figures.
async fn counted(cluster: &Cluster, what: &str) -> u64 {
    let name = format!("ferry_coordinator_{what}_total");
    figure(&cluster.coordinators[0].grpc_url(), &name).await.unwrap_or_else(|| panic!("there is no {name}"))
}

fn beat(sequence: u64, load: &Value) -> Value {
    json!({"beat": {"sequence": sequence.to_string(), "load": load}})
}

/// Has Python play a node until that figure has grown by `more`, and no longer.
async fn until_counted(cluster: &Cluster, messages: &[Value], what: &str, more: u64) {
    let before = counted(cluster, what).await;
    let grown = async || (counted(cluster, what).await >= before + more).then_some(());
    tokio::select! {
        seen = attend(&cluster.coordinators[0], messages) => panic!("the stream ended: {seen}"),
        () = until(what, NOTICED_WITHIN, grown) => {}
    }
    assert_eq!(counted(cluster, what).await, before + more, "{what}");
}

#[tokio::test]
async fn a_stream_that_replays_old_beats_is_counted_and_not_believed() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    // Beats that overtake a stranger's first welcome are nobody's yet.
    attend(&cluster.coordinators[0], &[registration("python", "Q")]).await;
    let light = json!({"transfers": 1});
    let heavy = json!({"transfers": 999});
    let mut messages = vec![registration("python", "Q"), beat(7, &light)];
    messages.extend([3, 7, 1].map(|old| beat(old, &heavy)));
    until_counted(&cluster, &messages, "beats_ignored", 3).await;
    let node = cluster.listed("python").await.expect("it is known");
    assert!(!node.to_string().contains("999"), "an old beat was believed: {node}");
}

#[tokio::test]
async fn a_beat_with_impossible_figures_is_brought_into_bounds_and_counted() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let mut messages = vec![registration("python", "Q"), beat(1, &json!({"cpu": 0.5, "requests": 5, "failures": 5}))];
    let impossible = [
        json!({"cpu": 7.5}),
        json!({"cpu": -1}),
        json!({"disk": "NaN"}),
        json!({"disk": "Infinity"}),
        json!({"requests": 5, "failures": 6}),
    ];
    messages.extend((2..).zip(&impossible).map(|(sequence, load)| beat(sequence, load)));
    until_counted(&cluster, &messages, "beats_clamped", impossible.len() as u64).await;
    assert_eq!(counted(&cluster, "beats_ignored").await, 0, "what was wrong with them is not their age");
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_with_both_named_and_counted() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let before = counted(&cluster, "refusals").await;
    let seen = attend(&cluster.coordinators[0], &[registration("node-0", "Q")]).await;
    assert_eq!(seen["code"], "ALREADY_EXISTS", "{seen}");
    assert_eq!(counted(&cluster, "refusals").await, before + 1);
    let said = [seen["details"].as_str().unwrap_or_default().to_owned(), cluster.coordinators[0].program.log()];
    for text in said {
        let both = |line: &str| [cluster.nodes[0].address(), "127.0.0.1:8001"].iter().all(|who| line.contains(who));
        assert!(text.lines().any(both), "not both are named: {text}");
    }
}

/// Two machines from one image: each has the secret, so neither can be told to be the impostor.
#[tokio::test]
async fn a_cloned_disk_is_reported_with_both_places_and_one_of_them_serves() {
    let mut cluster = Cluster::start(Topology::nodes(1)).await;
    let storage = cluster.workshop.folder("node-0-storage");
    let mut clone = Role::node(&cluster.workshop, "clone", &cluster.coordinators[0].grpc_url()).root(&cluster.root());
    clone.program.change("--node-id", "node-0");
    copy(&storage, &cluster.workshop.folder("clone-storage"));
    // The older life is told that another has its place.
    cluster.nodes[0].program.tolerate("refuses us");
    clone.program.tolerate("refuses us");
    let clone = clone.started();
    let both = [cluster.nodes[0].address().to_owned(), clone.address().to_owned()];
    until("a line that names both", NOTICED_WITHIN, async || {
        let log = cluster.coordinators[0].program.log();
        let told = |line: &str| line.contains("cloned") && both.iter().all(|address| line.contains(address));
        log.lines().any(told).then_some(())
    })
    .await;
    assert!(counted(&cluster, "contested").await > 0);
    until("redirects to one of them", NOTICED_WITHIN, async || {
        let targets = cluster.targets().await;
        (targets.len() == 1 && both.iter().any(|address| targets.contains(address))).then_some(())
    })
    .await;
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the storage can be read") {
        let entry = entry.expect("the storage can be read");
        if entry.file_type().expect("it has a type").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
        }
    }
}
