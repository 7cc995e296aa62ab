//! Who is told of one coordinator finds them all: through the one, or through a name that several of them share.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{
    Cluster, Topology,
    cluster::is_in,
    elsewhere::Elsewhere,
    etcd::Etcd,
    get,
    roles::Role,
    tools::{ferry, figure},
    until,
    workshop::Workshop,
};

const FOUND_WITHIN: Duration = Duration::from_secs(20);
/// Each dial that ends at a coordinator that hangs costs some seconds, and which address is dialled first is a matter of luck.
const FOUND_BY_NAME_WITHIN: Duration = Duration::from_secs(60);
const NAME: &str = "localhost";

/// Waits until that coordinator hears that node itself.
async fn until_heard(coordinator: &Role, id: &str, limit: Duration) {
    until(&format!("{} to hear {id}", coordinator.program.name()), limit, async || {
        let outcome = ferry(&["nodes", "list", "--json", "--coordinator", &coordinator.grpc_url()]).await;
        let listed = (outcome.code == Some(0)).then(|| outcome.json())?;
        listed.as_array()?.iter().any(|node| node["node_id"] == id && is_in(&node["state"], "UP")).then_some(())
    })
    .await;
}

async fn until_listening_to(gateway: &Role, coordinators: u64, limit: Duration) {
    until(&format!("a gateway that hears {coordinators}"), limit, async || {
        (figure(&gateway.grpc_url(), "ferry_gateway_coordinators").await == Some(coordinators)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_is_told_of_one_coordinator_stays_with_the_cluster_when_that_one_is_gone() {
    let mut cluster = Cluster::start(Topology::nodes(0).coordinators_on_etcd(3)).await;
    let first = cluster.coordinators[0].grpc_url();
    for number in 0..2 {
        let node = Role::node(&cluster.workshop, &format!("node-{number}"), &first).root(&cluster.root());
        cluster.nodes.push(node.started());
    }
    let told_of_one = Role::gateway(&cluster.workshop, "told-of-one", &first).started();
    cluster.gateway = told_of_one.listening().await;
    for coordinator in &cluster.coordinators {
        until_heard(coordinator, "node-0", FOUND_WITHIN).await;
        until_heard(coordinator, "node-1", FOUND_WITHIN).await;
    }
    until_listening_to(&cluster.gateway, 3, FOUND_WITHIN).await;

    // The only one that anybody was told of. What happens now is still heard of in time (P5).
    cluster.coordinators[0].program.kill().await;
    cluster.nodes[1].program.kill().await;
    cluster.until_listed(&[0], Duration::from_secs(3)).await;
    cluster.nodes[1].program.start();
    cluster.until_listed(&[0, 1], FOUND_WITHIN).await;
}

/// A name whose first address is nobody's, whose second hangs, and whose others are coordinators.
#[tokio::test]
async fn a_name_with_several_addresses_leads_to_all_coordinators() {
    let workshop = Workshop::open();
    let (etcd, elsewhere) = (Etcd::start(&workshop).await, Elsewhere::build(&workshop).await);
    let (hosts, port) = (["127.0.0.2", "127.0.0.3", "127.0.0.4"], workshop.ports.next());
    let store = ["--store", "etcd", "--etcd-endpoints", etcd.url()];
    let coordinator =
        |host: &&str| Role::coordinator_at(&workshop, &format!("at-{host}"), &format!("{host}:{port}"), &store);
    let coordinators: Vec<Role> = hosts.iter().map(coordinator).map(Role::started).collect();
    for coordinator in &coordinators {
        until("a coordinator to answer", FOUND_WITHIN, async || {
            get(&format!("{}/metrics", coordinator.grpc_url())).try_send().await.ok()
        })
        .await;
    }
    // Whoever connects to it waits for an answer: its presence, and with it every other way to it, has ended.
    coordinators[0].program.signal(Signal::STOP);
    let url = format!("http://{NAME}:{port}");
    let addresses = ["127.0.0.1", hosts[0], hosts[1], hosts[2]];
    let root = workshop.folder("files");
    let mut node = Role::node(&workshop, "node-0", &url).root(&root);
    elsewhere.name(&mut node.program, NAME, &addresses);
    let node = node.started();
    let mut gateway = Role::gateway(&workshop, "gateway", &url);
    elsewhere.name(&mut gateway.program, NAME, &addresses);
    let gateway = gateway.started();
    for coordinator in &coordinators[1..] {
        until_heard(coordinator, "node-0", FOUND_BY_NAME_WITHIN).await;
    }
    until_listening_to(&gateway, 2, FOUND_BY_NAME_WITHIN).await;
    until("a redirect", FOUND_WITHIN, async || {
        (get(&gateway.url("/a")).try_send().await.ok()?.target()? == node.address()).then_some(())
    })
    .await;
}
