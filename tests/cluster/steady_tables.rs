//! P2 from the gateway's side: while suppliers go and come back, its table is never empty, no node in it changes its state, and every request is
//! redirected. What goes on for longer than anybody is patient (the time to be taken for dead) is waited for.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::process::Signal;
use tokio::time::sleep;

use crate::harness::{
    Cluster, Topology,
    cluster::is_in,
    get,
    roles::Role,
    samples,
    samples::MIB,
    samples::Sample,
    tools::{ferry, figure},
    until,
};

const NODES: usize = 3;
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// After that, a coordinator has buried whom it did not hear, and a gateway has long noticed that nobody speaks.
const BEYOND_ANY_DEADLINE: Duration = Duration::from_secs(6);
/// What comes back is given the time to do what it should not do.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// What whole seconds, and a mark every half of one, do not tell.
const ROUNDED: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What a gateway says of its nodes; `None` while it does not answer.
async fn table(gateway: &str) -> Option<Vec<serde_json::Value>> {
    let outcome = ferry(&["nodes", "list", "--json", "--coordinator", gateway]).await;
    (outcome.code == Some(0)).then(|| outcome.json().as_array().expect("a list of nodes").clone())
}

/// How old a gateway's metrics say that its table is.
async fn table_age(gateway: &Role) -> Duration {
    let heard = figure(&gateway.grpc_url(), "ferry_gateway_table_heard_timestamp_seconds").await.expect("it is there");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    Duration::from_secs(now.saturating_sub(heard))
}

/// Looks at what the gateway says of its nodes, and where it sends clients, until it is told to stop.
async fn watch(gateway: &Role, sample: &Sample, stop: &AtomicBool) {
    let (admin, url) = (gateway.grpc_url(), gateway.url(&sample.path()));
    while !stop.load(Relaxed) {
        let nodes = table(&admin).await.expect("a gateway answers operators, whoever is away");
        let well = nodes.iter().filter(|node| is_in(&node["state"], "UP")).count();
        assert_eq!((nodes.len(), well), (NODES, NODES), "not all nodes are as they were: {nodes:?}");
        let received = get(&url).follow().await.finish().await.expect("whole");
        assert_eq!(received.sha256, sample.sha256);
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Waits until that coordinator hears every node itself.
async fn until_all_heard_by(coordinator: &Role) {
    until("all nodes to be heard again", BACK_WITHIN, async || {
        let nodes = table(&coordinator.grpc_url()).await?;
        let heard = nodes.iter().filter(|node| is_in(&node["state"], "UP")).count();
        (heard == NODES).then_some(())
    })
    .await;
}

/// Starts all coordinators, and gives them the time to do what they should not do.
async fn start_again(coordinators: &mut [Role]) {
    for coordinator in coordinators.iter_mut() {
        coordinator.program.start();
    }
    for coordinator in coordinators.iter() {
        until_all_heard_by(coordinator).await;
    }
    sleep(AFTERWARDS).await;
}

/// No coordinator may have taken a node for dead: an absence of the store, or its own, is nobody's death.
fn assert_nobody_was_buried(coordinators: &[Role]) {
    for coordinator in coordinators {
        let log = coordinator.program.log();
        let buried = |line: &&str| {
            line.contains("changed its state") && (line.contains("to=DOWN") || line.contains("to=PROBATION"))
        };
        assert_eq!(log.lines().find(buried), None, "{} took the living for dead", coordinator.program.name());
    }
}

#[tokio::test]
async fn no_node_changes_its_state_at_a_gateway_while_store_and_coordinators_go_and_return() {
    let mut cluster = Cluster::start(Topology::nodes(NODES).coordinators_on_etcd(2)).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    let stop = AtomicBool::new(false);
    let Cluster { gateway, coordinators, etcd, .. } = &mut cluster;
    let etcd = etcd.as_mut().expect("this cluster has one");
    for coordinator in coordinators.iter() {
        until_all_heard_by(coordinator).await;
    }
    let faults = async {
        etcd.program.kill().await;
        sleep(BEYOND_ANY_DEADLINE).await;
        etcd.resume().await;
        // One, and then all of them.
        coordinators[0].program.kill().await;
        sleep(AFTERWARDS).await;
        coordinators[1].program.kill().await;
        sleep(BEYOND_ANY_DEADLINE).await;
        start_again(coordinators).await;
        stop.store(true, Relaxed);
    };
    tokio::join!(watch(gateway, &sample, &stop), faults);
    assert_nobody_was_buried(&cluster.coordinators);
}

/// All of it away, and who restarts meanwhile knows what it needs: the gateway from its table's copy, the node from its own disk.
#[tokio::test]
async fn a_gateway_and_a_node_that_restart_with_nobody_there_are_as_before_and_stay_so() {
    let mut cluster = Cluster::start(Topology::nodes(NODES).coordinators_on_etcd(2)).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    for coordinator in &cluster.coordinators {
        until_all_heard_by(coordinator).await;
    }
    until("a saved table with all nodes", BACK_WITHIN, async || {
        let saved = cluster.saved_tables();
        let all =
            |table: &[u8]| cluster.nodes.iter().all(|node| String::from_utf8_lossy(table).contains(node.address()));
        saved.iter().any(|(_, table)| all(table)).then_some(())
    })
    .await;
    cluster.etcd.as_mut().expect("this cluster has one").program.kill().await;
    for coordinator in &mut cluster.coordinators {
        coordinator.program.kill().await;
    }
    cluster.nodes[0].program.kill().await;
    cluster.nodes[0].program.start();
    until("the node to serve", BACK_WITHIN, async || get(&cluster.nodes[0].url(&sample.path())).try_send().await.ok())
        .await;
    cluster.gateway.program.kill().await;
    cluster.gateway.program.start();
    until("the gateway to tell its table", BACK_WITHIN, async || table(&cluster.gateway.grpc_url()).await).await;

    let stop = AtomicBool::new(false);
    let Cluster { gateway, coordinators, etcd, .. } = &mut cluster;
    let returns = async {
        sleep(AFTERWARDS).await;
        etcd.as_mut().expect("this cluster has one").resume().await;
        start_again(coordinators).await;
        stop.store(true, Relaxed);
    };
    tokio::join!(watch(gateway, &sample, &stop), returns);
    assert_nobody_was_buried(&cluster.coordinators);
}

/// What an observer slept through is no one's silence: neither the nodes' at the coordinator, nor the coordinator's own afterwards.
#[tokio::test]
async fn the_only_coordinator_may_be_stopped_for_a_while_and_buries_nobody_when_it_goes_on() {
    let cluster = Cluster::start(Topology::nodes(NODES)).await;
    let sample = samples::write(&cluster.root(), "a.bin", MIB);
    let coordinator = &cluster.coordinators[0];
    until_all_heard_by(coordinator).await;
    let stop = AtomicBool::new(false);
    let sleeps = async {
        coordinator.program.signal(Signal::STOP);
        sleep(BEYOND_ANY_DEADLINE).await;
        let age = table_age(&cluster.gateway).await;
        assert!(age >= BEYOND_ANY_DEADLINE - ROUNDED, "the table is said to be {age:?} old");
        coordinator.program.signal(Signal::CONT);
        until_all_heard_by(coordinator).await;
        until("a table that is new again", BACK_WITHIN, async || {
            (table_age(&cluster.gateway).await <= ROUNDED).then_some(())
        })
        .await;
        sleep(AFTERWARDS).await;
        stop.store(true, Relaxed);
    };
    tokio::join!(watch(&cluster.gateway, &sample, &stop), sleeps);
    assert_nobody_was_buried(&cluster.coordinators);
}
