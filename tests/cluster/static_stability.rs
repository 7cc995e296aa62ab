//! P1: no remote call per redirect. P2, SEMANTICS.md 16: with the store, the coordinators, or both gone, gateways keep redirecting, and
//! start from the copy of their table; nodes keep serving.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Cluster, Topology, cluster::is_in, get, samples, samples::MIB, tools::ferry, until};

const BACK_WITHIN: Duration = Duration::from_secs(20);

/// Downloads the same file many times over, through redirects, and compares.
async fn assert_delivers(cluster: &Cluster, sample: &samples::Sample) {
    for _ in 0..20 {
        let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
        assert_eq!(received.sha256, sample.sha256);
    }
}

#[tokio::test]
async fn a_redirect_asks_nobody() {
    let cluster = Cluster::start(Topology::nodes(2).coordinators_on_etcd(1)).await;
    cluster.coordinators[0].program.signal(Signal::STOP);
    cluster.etcd.as_ref().expect("this cluster has one").freeze();
    let began = Instant::now();
    // Long enough for every deadline to pass that a missing coordinator could miss.
    let mut key = 0_u64;
    while began.elapsed() < Duration::from_secs(8) {
        key += 1;
        let asked = Instant::now();
        let answer = cluster.ask(&format!("/frozen/{key}")).await;
        assert_eq!(answer.status, 302);
        assert!(asked.elapsed() < Duration::from_secs(1), "a redirect took {:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn downloads_go_on_when_store_and_coordinators_are_gone() {
    let mut cluster = Cluster::start(Topology::nodes(2).coordinators_on_etcd(2)).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    cluster.etcd.as_mut().expect("this cluster has one").program.kill().await;
    assert_delivers(&cluster, &sample).await;
    for coordinator in &mut cluster.coordinators {
        coordinator.program.kill().await;
    }
    let gone = Instant::now();
    while gone.elapsed() < Duration::from_secs(8) {
        assert_delivers(&cluster, &sample).await;
    }
    cluster.until_listed(&[0, 1], Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_gateway_starts_from_its_table_when_no_coordinator_answers() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    until("a saved table with both nodes", Duration::from_secs(5), async || {
        let saved = cluster
            .saved_tables()
            .iter()
            .any(|(_, table)| cluster.nodes.iter().all(|node| String::from_utf8_lossy(table).contains(node.address())));
        saved.then_some(())
    })
    .await;
    cluster.coordinators[0].program.kill().await;
    cluster.gateway.program.kill().await;
    cluster.gateway.program.start();
    cluster.until_listed(&[0, 1], Duration::from_secs(5)).await;
    assert_delivers(&cluster, &sample).await;
}

/// A node that starts while nobody is there to register with serves all the same, and registers when somebody is.
#[tokio::test]
async fn a_node_serves_before_it_ever_meets_a_coordinator() {
    let mut cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    cluster.coordinators[0].program.kill().await;
    cluster.nodes[0].program.stop(Duration::from_secs(20)).await;
    cluster.nodes[0].program.start();
    until("the node to serve", Duration::from_secs(10), async || {
        get(&cluster.nodes[0].url(&sample.path())).try_send().await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    assert!(cluster.nodes[0].program.is_running());

    cluster.coordinators[0].program.start();
    until("the node to be UP again", BACK_WITHIN, async || {
        let node = cluster.listed("node-0").await?;
        is_in(&node["state"], "UP").then_some(())
    })
    .await;
}

/// The last words stand, but not against what a gateway can see for itself.
#[tokio::test]
async fn with_nobody_to_ask_a_gateway_sees_for_itself_who_is_gone_and_who_is_back() {
    const SEEN_WITHIN: Duration = Duration::from_secs(60);
    let mut cluster = Cluster::start(Topology::nodes(3)).await;
    cluster.until_table_saved().await;
    cluster.coordinators[0].program.kill().await;
    cluster.gateway.program.kill().await;
    cluster.gateway.program.start();
    cluster.until_listed(&[0, 1, 2], BACK_WITHIN).await;
    cluster.nodes[0].program.kill().await;
    cluster.nodes[1].program.signal(Signal::STOP);
    cluster.until_listed(&[2], SEEN_WITHIN).await;
    // With no coordinator to ask, an operator asks the gateway.
    let list = ferry(&["nodes", "list", "--coordinator", &cluster.gateway.grpc_url()]).await.ok().stdout;
    assert!(list.contains("no coordinator was heard since it started"), "{list}");
    let states = ["node-0", "node-1", "node-2"].map(|id| list.lines().find(|line| line.contains(id)).unwrap_or(""));
    assert!(states[0].contains("DOWN") && states[1].contains("DOWN") && !states[2].contains("DOWN"), "{list}");
    cluster.nodes[0].program.start();
    cluster.nodes[1].program.signal(Signal::CONT);
    cluster.until_listed(&[0, 1, 2], SEEN_WITHIN).await;

    // Nothing is taken back when the control plane returns.
    cluster.coordinators[0].program.start();
    until("the nodes to be heard", BACK_WITHIN, async || {
        let heard = async |id: &str| is_in(&cluster.listed(id).await?["state"], "UP").then_some(());
        heard("node-0").await.and(heard("node-1").await).and(heard("node-2").await)
    })
    .await;
    cluster.until_listed(&[0, 1, 2], BACK_WITHIN).await;
    let list = ferry(&["nodes", "list", "--coordinator", &cluster.gateway.grpc_url()]).await.ok().stdout;
    assert!(list.contains("a coordinator was last heard 1 s ago"), "{list}");
}

/// The node's tokens are MACs under a ring that it keeps on disk: no coordinator is needed to check one, nor after a restart.
#[tokio::test]
async fn nodes_check_tokens_with_nobody_to_ask_even_after_a_restart() {
    let guarded = "[[route]]\nmatch = \"/guarded/{path*}\"\naccess = \"signed\"\n[[route]]\nmatch = \"/{path*}\"\naccess = \"open\"\n";
    let mut cluster = Cluster::start(Topology::nodes(1).routes(guarded)).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    let location = cluster.ask(&sample.path()).await.location().expect("a redirect").to_owned();
    // It writes down what it heard a moment after it heard it.
    let written = cluster.workshop.path().join("node-0-storage/cluster");
    until("the node to keep the ring", Duration::from_secs(10), async || written.exists().then_some(())).await;
    cluster.coordinators[0].program.kill().await;
    cluster.nodes[0].program.kill().await;
    cluster.nodes[0].program.start();
    let answer =
        until("the node to answer", Duration::from_secs(10), async || get(&location).try_send().await.ok()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(get(&cluster.nodes[0].url(&sample.path())).send().await.status, 403, "no token, no file");
}

#[tokio::test]
async fn a_cluster_whose_suppliers_come_back_takes_in_what_changed() {
    let mut cluster = Cluster::start(Topology::nodes(2).coordinators_on_etcd(1)).await;
    cluster.coordinators[0].program.kill().await;
    cluster.etcd.as_mut().expect("this cluster has one").program.kill().await;
    cluster.nodes[0].program.kill().await;
    cluster.etcd.as_mut().expect("this cluster has one").resume().await;
    cluster.coordinators[0].program.start();
    cluster.until_listed(&[1], BACK_WITHIN).await;
    cluster.nodes[0].program.start();
    cluster.until_listed(&[0, 1], BACK_WITHIN).await;
}
