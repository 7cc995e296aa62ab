//! Stores that are away, and files that are damaged: each has a clear answer, none stops a role that could go on.

use std::{fs, time::Duration};

use crate::harness::{
    Cluster, Topology, cluster::is_in, etcd::Etcd, get, roles::Role, samples, tools::ferry, until, workshop::Workshop,
};

const BACK_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_coordinator_waits_for_an_etcd_that_is_away_at_its_start() {
    let workshop = Workshop::open();
    let mut etcd = Etcd::start(&workshop).await;
    etcd.program.kill().await;
    let store = ["--store", "etcd", "--etcd-endpoints", etcd.url()];
    let mut coordinator = Role::coordinator(&workshop, "coordinator", &store);
    coordinator.program.tolerate("etcd");
    let mut coordinator = coordinator.started();
    until("the coordinator to say what it waits for", BACK_WITHIN, async || {
        coordinator.program.log().contains("etcd").then_some(())
    })
    .await;
    assert!(coordinator.program.is_running());

    // Until it has read its store it must not call the cluster empty: UNAVAILABLE, not an empty list.
    let url = coordinator.grpc_url();
    let list = ["nodes", "list", "--coordinator", &url];
    assert_ne!(ferry(&list).await.code, Some(0));
    etcd.resume().await;
    until("the coordinator to answer", BACK_WITHIN, async || (ferry(&list).await.code == Some(0)).then_some(())).await;
}

#[tokio::test]
async fn operators_learn_that_the_store_is_away_and_downloads_do_not() {
    let mut cluster = Cluster::start(Topology::nodes(2).coordinators_on_etcd(1)).await;
    let sample = samples::write(&cluster.root(), "a.bin", 100_000);
    cluster.coordinators[0].program.tolerate("etcd");
    cluster.etcd.as_ref().expect("this cluster has one").freeze();
    let refused = cluster.nodes_command(&["drain", "node-0"]).await;
    assert_ne!(refused.code, Some(0), "a decision that is not in the store is no decision: {refused:?}");
    let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
    assert_eq!(received.sha256, sample.sha256);

    // P5 does not wait for the store.
    cluster.nodes[1].program.kill().await;
    cluster.until_listed(&[0], Duration::from_secs(3)).await;

    cluster.etcd.as_ref().expect("this cluster has one").thaw();
    until("the drain to succeed", BACK_WITHIN, async || {
        (cluster.nodes_command(&["drain", "node-0"]).await.code == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_coordinator_lost_nothing_that_it_had_acknowledged() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    for round in 0..5 {
        let (command, state) = if round % 2 == 0 { ("drain", "DRAINING") } else { ("resume", "UP") };
        cluster.nodes_command(&[command, "node-0"]).await.ok();
        cluster.coordinators[0].program.kill().await;
        cluster.coordinators[0].program.start();
        until(&format!("node 0 to be {state}"), BACK_WITHIN, async || {
            is_in(&cluster.listed("node-0").await?["state"], state).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_table_that_is_cut_short_or_nonsense_is_reported_and_done_without() {
    let mut cluster = Cluster::start(Topology::nodes(1)).await;
    cluster.gateway.program.tolerate("table");
    until("a saved table", BACK_WITHIN, async || (!cluster.saved_tables().is_empty()).then_some(())).await;
    for damage in [|whole: &[u8]| whole[..whole.len() / 2].to_vec(), |_: &[u8]| b"nonsense".to_vec(), |_: &[u8]| vec![]]
    {
        cluster.gateway.program.kill().await;
        for (file, whole) in cluster.saved_tables() {
            fs::write(&file, damage(&whole)).expect("the saved table can be damaged");
        }
        cluster.gateway.program.start();
        cluster.until_listed(&[0], BACK_WITHIN).await;
        assert!(cluster.gateway.program.is_running());
    }
    assert!(cluster.gateway.program.log().contains("table"), "nobody was told of the damage");
}

#[tokio::test]
async fn an_embedded_store_that_is_not_one_is_refused_by_name() {
    let workshop = Workshop::open();
    let file = workshop.file("store.redb", "this is not a store");
    let store = format!("embedded:{}", file.display());
    let mut coordinator = Role::coordinator(&workshop, "coordinator", &["--store", &store]);
    coordinator.program.tolerate("store.redb");
    let mut coordinator = coordinator.started();
    let status = coordinator.program.exit(Duration::from_secs(10)).await;
    assert!(!status.success(), "{status}");
    assert!(coordinator.program.log().contains("store.redb"), "{}", coordinator.program.log());
    assert_eq!(fs::read_to_string(&file).expect("it is still there"), "this is not a store");
}
