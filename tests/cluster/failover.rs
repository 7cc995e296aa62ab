//! P5, SEMANTICS.md 14: a dead node gets no new client, 1 s after a crash, 5 s after a hang.

use std::time::{Duration, Instant};

use crate::harness::{Cluster, Topology, get, roles::Role, samples, samples::MIB, until};

/// How long after `since` the gateway still sent somebody to that address, asked without a pause for `watched`.
async fn last_redirect_to(cluster: &Cluster, address: &str, since: Instant, watched: Duration) -> Duration {
    last_redirect_to_any(cluster, &[address], since, watched).await
}

/// The same for any of those addresses.
async fn last_redirect_to_any(cluster: &Cluster, addresses: &[&str], since: Instant, watched: Duration) -> Duration {
    let (mut last, mut key) = (Duration::ZERO, 0_u64);
    while since.elapsed() < watched {
        key += 1;
        let answer = cluster.ask(&format!("/key/{key}")).await;
        assert_eq!(answer.status, 302, "while a node is left, it gets the clients");
        if answer.target().is_some_and(|target| addresses.contains(&target.as_str())) {
            last = since.elapsed();
        }
    }
    assert!(key > 100, "the gateway answered only {key} times");
    last
}

#[tokio::test]
async fn a_killed_node_gets_no_client_after_one_second() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let address = cluster.nodes[0].address().to_owned();
    let crash = Instant::now();
    cluster.nodes[0].program.kill().await;
    let last = last_redirect_to(&cluster, &address, crash, Duration::from_secs(4)).await;
    assert!(last < Duration::from_secs(1), "a client was sent there after {last:?}");
}

#[tokio::test]
async fn a_frozen_node_gets_no_client_after_five_seconds() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let address = cluster.nodes[0].address().to_owned();
    let hang = Instant::now();
    cluster.nodes[0].program.signal(rustix::process::Signal::STOP);
    let last = last_redirect_to(&cluster, &address, hang, Duration::from_secs(8)).await;
    assert!(last < Duration::from_secs(5), "a client was sent there after {last:?}");

    cluster.nodes[0].program.signal(rustix::process::Signal::CONT);
    cluster.until_listed(&[0, 1], Duration::from_secs(20)).await;
}

/// So many at once that the coordinator must ask itself whether it is deaf, and look.
#[tokio::test]
async fn a_region_that_hangs_as_a_whole_gets_no_client_after_five_seconds() {
    let cluster = Cluster::start(Topology::nodes(4)).await;
    let region: Vec<&str> = cluster.nodes[..3].iter().map(Role::address).collect();
    let hang = Instant::now();
    for node in &cluster.nodes[..3] {
        node.program.signal(rustix::process::Signal::STOP);
    }
    let last = last_redirect_to_any(&cluster, &region, hang, Duration::from_secs(8)).await;
    assert!(last < Duration::from_secs(5), "a client was sent there after {last:?}");
    until("all of them to be known as DOWN", Duration::from_secs(5), async || {
        for id in ["node-0", "node-1", "node-2"] {
            (cluster.listed(id).await?["state"] == "DOWN").then_some(())?;
        }
        Some(())
    })
    .await;

    for node in &cluster.nodes[..3] {
        node.program.signal(rustix::process::Signal::CONT);
    }
    cluster.until_listed(&[0, 1, 2, 3], Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_killed_node_that_comes_back_gets_clients_again() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    cluster.nodes[0].program.kill().await;
    cluster.until_listed(&[1], Duration::from_secs(5)).await;
    cluster.nodes[0].program.start();
    cluster.until_listed(&[0, 1], Duration::from_secs(20)).await;
}

/// The client's side of it: what broke off on one node goes on, on another, and is the same file.
#[tokio::test]
async fn a_download_that_a_crash_broke_goes_on_at_another_node() {
    let mut cluster = Cluster::start(Topology::nodes(2)).await;
    let sample = samples::write(&cluster.root(), "big.bin", 32 * MIB);
    let mut begun = get(&cluster.url(&sample.path())).kib_per_second(4096).follow().await;
    let validator = begun.header(&hyper::header::ETAG).to_owned();
    begun.receive(4 * MIB).await;

    let first = cluster.ask(&sample.path()).await.target().expect("a redirect");
    let victim = cluster.nodes.iter().position(|node| node.address() == first).expect("one of the nodes");
    cluster.nodes[victim].program.kill().await;
    let survivor = 1 - victim;
    cluster.until_listed(&[survivor], Duration::from_secs(5)).await;

    let begun = begun.finish().await;
    assert!(begun.is_err(), "a download from a killed node cannot end well");
    let whole = std::fs::read(cluster.root().join(&sample.name)).expect("the sample can be read");
    let rest = get(&cluster.url(&sample.path())).rest_from(4 * MIB).header(hyper::header::IF_RANGE, &validator);
    let rest = rest.follow().await;
    assert_eq!(rest.status, 206, "the other node has the same validator");
    let rest = rest.finish().await.expect("whole");
    assert_eq!(rest.sha256, samples::digest_of_bytes(&whole[4 * 1024 * 1024..]));
}

#[tokio::test]
async fn a_node_and_a_coordinator_that_die_together_are_both_noticed() {
    let mut cluster = Cluster::start(Topology::nodes(2).coordinators_on_etcd(2)).await;
    cluster.coordinators[0].program.kill().await;
    let address = cluster.nodes[1].address().to_owned();
    let crash = Instant::now();
    cluster.nodes[1].program.kill().await;
    let last = last_redirect_to(&cluster, &address, crash, Duration::from_secs(4)).await;
    // What the dead coordinator said last of the dead node must not stand until its silence is noticed.
    assert!(last < Duration::from_secs(1), "a client was sent there after {last:?}");
    cluster.nodes[1].program.start();
    until("node 1 to be back", Duration::from_secs(20), async || {
        cluster.targets().await.contains(&address).then_some(())
    })
    .await;
}
