//! etcd as it fails in the field, under whole clusters (P2): members die, a majority is gone, a coordinator sleeps through its lease.
//! And what is written there while all is well, which is nothing.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::time::sleep;

use crate::harness::{
    Cluster, Topology, etcd::Etcd, get, samples, samples::MIB, tools::figure, until, workshop::Workshop,
};

const BACK_WITHIN: Duration = Duration::from_secs(20);
/// A coordinator's presence, and a little: after that, etcd has forgotten who was not heard.
const BEYOND_A_LEASE: Duration = Duration::from_secs(8);

fn urls(members: &[Etcd]) -> Vec<String> {
    members.iter().map(|member| member.url().to_owned()).collect()
}

/// How often a role said this.
fn said(cluster: &Cluster, coordinator: usize, text: &str) -> usize {
    cluster.coordinators[coordinator].program.log().lines().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn nobody_notices_that_etcd_lost_its_majority_but_operators() {
    let workshop = Workshop::open();
    let etcd = Etcd::start_three(&workshop).await;
    let topology = Topology::nodes(2).coordinators_over(2, &urls(&etcd));
    let cluster = Cluster::start_in(workshop, topology).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    let both: BTreeSet<String> = cluster.nodes.iter().map(|node| node.address().to_owned()).collect();
    let redirects = async || {
        let targets = cluster.targets().await;
        assert!(!targets.is_empty() && targets.is_subset(&both), "{targets:?}");
    };
    let leader = Etcd::leader(&etcd).await;
    let follower = (leader + 1) % etcd.len();
    let lost = Instant::now();
    for member in [leader, follower] {
        etcd[member].freeze();
    }

    let refused = cluster.nodes_command(&["drain", "node-0"]).await;
    assert_ne!(refused.code, Some(0), "a decision that is not in the store is no decision: {refused:?}");
    assert!(refused.stderr.trim().lines().count() <= 2, "more than a line: {}", refused.stderr);
    // All leases run out meanwhile, as far as anybody keeps time.
    while lost.elapsed() < BEYOND_A_LEASE {
        redirects().await;
        let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
        assert_eq!(received.sha256, sample.sha256);
    }
    for coordinator in 0..2 {
        let lines = said(&cluster, coordinator, "etcd is out of sight");
        assert_eq!(lines, 1, "one line for one outage:\n{}", cluster.coordinators[coordinator].program.log());
    }

    for member in [leader, follower] {
        etcd[member].thaw();
    }
    until("etcd to be heard of by both coordinators", BACK_WITHIN, async || {
        redirects().await;
        (0..2).all(|coordinator| said(&cluster, coordinator, "etcd answers again") > 0).then_some(())
    })
    .await;
    for coordinator in 0..2 {
        let log = cluster.coordinators[coordinator].program.log();
        assert!(!log.contains("to=DOWN"), "etcd's absence or return was taken for a node's:\n{log}");
    }
    // Each hears again of what the other stores.
    cluster.nodes_command(&["drain", "node-0"]).await.ok();
    cluster.until_listed(&[1], BACK_WITHIN).await;
}

#[tokio::test]
async fn an_operators_decision_outlives_the_leader_of_etcd() {
    let workshop = Workshop::open();
    let mut etcd = Etcd::start_three(&workshop).await;
    let cluster = Cluster::start_in(workshop, Topology::nodes(2).coordinators_over(1, &urls(&etcd))).await;
    let leader = Etcd::leader(&etcd).await;
    etcd[leader].program.kill().await;
    decide(&cluster, "drain").await;
    cluster.until_listed(&[1], BACK_WITHIN).await;
    let next = Etcd::leader(&etcd).await;
    etcd[next].freeze();
    etcd[leader].resume().await;
    decide(&cluster, "resume").await;
    cluster.until_listed(&[0, 1], BACK_WITHIN).await;
}

/// As an operator does who is told that the store cannot be reached: a change is sent to one member, once.
async fn decide(cluster: &Cluster, what: &str) {
    until(&format!("{what} to be decided"), BACK_WITHIN, async || {
        (cluster.nodes_command(&[what, "node-0"]).await.code == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_coordinator_that_slept_through_its_lease_is_present_again() {
    let cluster = Cluster::start(Topology::nodes(1).coordinators_on_etcd(2)).await;
    let etcd = cluster.etcd.as_ref().expect("this cluster has one");
    let mut client = etcd.client().await;
    let port = cluster.coordinators[1].grpc().rsplit(':').next().expect("HOST:PORT").to_owned();
    let mut lease = async || {
        let all = etcd_client::GetOptions::new().with_prefix();
        let found = client.get("/ferry/v1/coordinators/", Some(all)).await.expect("etcd answers");
        let own = found.kvs().iter().find(|kv| kv.key_str().is_ok_and(|key| key.ends_with(&port)))?;
        Some(own.lease())
    };
    let first = until("its presence", BACK_WITHIN, &mut lease).await;
    cluster.coordinators[1].program.signal(Signal::STOP);
    until("etcd to forget it", BACK_WITHIN, async || lease().await.is_none().then_some(())).await;
    cluster.coordinators[1].program.signal(Signal::CONT);
    let second = until("its return", Duration::from_secs(5), &mut lease).await;
    assert_ne!(first, second, "a lease that ran out is gone");
    cluster.until_listed(&[0], BACK_WITHIN).await;
}

/// What coordinators renew is a lease each, however many nodes beat; and a lease that is renewed is not written.
#[tokio::test]
async fn etcd_hears_of_decisions_and_never_of_beats() {
    const COORDINATORS: u64 = 2;
    const NODES: u64 = 5;
    const BEATS: u64 = NODES * 5;
    let cluster = Cluster::start(Topology::nodes(5).coordinators_on_etcd(2)).await;
    let etcd = cluster.etcd.as_ref().expect("this cluster has one");
    let read = async |name| etcd.figure(name).await.expect("etcd answers");
    let beats = async || {
        let url = cluster.coordinators[0].grpc_url();
        figure(&url, "ferry_coordinator_beats_total").await.expect("the coordinator counts beats")
    };
    // What comes with the start is written first.
    until("a second in which nothing is written", BACK_WITHIN, async || {
        let before = read("etcd_server_proposals_committed_total").await;
        sleep(Duration::from_secs(1)).await; // the span itself is the condition
        (read("etcd_server_proposals_committed_total").await == before).then_some(())
    })
    .await;

    let began = Instant::now();
    let (revision, proposals, renewals, beaten) = (
        read("etcd_debugging_mvcc_current_revision").await,
        read("etcd_server_proposals_committed_total").await,
        read("etcd_debugging_lease_renewed_total").await,
        beats().await,
    );
    until("many beats", BACK_WITHIN, async || (beats().await >= beaten + BEATS).then_some(())).await;
    assert_eq!(read("etcd_debugging_mvcc_current_revision").await, revision, "beats moved the revision");
    assert_eq!(read("etcd_server_proposals_committed_total").await, proposals, "beats were written");
    let renewed = read("etcd_debugging_lease_renewed_total").await - renewals;
    // Each renews every two seconds, and may just have begun to.
    let most = COORDINATORS * (began.elapsed().as_secs() / 2 + 2);
    assert!(renewed <= most, "{renewed} renewals in {:?}", began.elapsed());
}
