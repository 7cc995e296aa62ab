//! Clients are kept near, and go far when what is near is gone. Runs alone: a machine whose processors are busy is a full
//! node, which passes its clients on.

use std::time::Duration;

use crate::harness::{Cluster, Topology, roles::Role};

const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// Two nodes in each of two regions, and a gateway whose clients are in the east.
async fn two_regions() -> Cluster {
    let mut cluster = Cluster::start(Topology::nodes(0).gateway_flags(&["--region", "east"])).await;
    let coordinator = cluster.coordinators[0].grpc_url();
    for name in ["east-1", "east-2", "west-1", "west-2"] {
        let (region, _) = name.split_once('-').expect("a name has a region");
        let node = Role::node(&cluster.workshop, name, &coordinator).root(&cluster.root());
        // With a link for thousands of transfers, so that being asked for many keys at once fills no region.
        cluster.nodes.push(node.flags(&["--region", region, "--zone", name, "--capacity", "10GB"]).started());
    }
    cluster
}

#[tokio::test]
async fn a_region_keeps_its_clients_until_it_has_no_node_left() {
    let mut cluster = two_regions().await;
    cluster.until_listed(&[0, 1], NOTICED_WITHIN).await;
    cluster.nodes[0].program.kill().await;
    cluster.until_listed(&[1], NOTICED_WITHIN).await;
    cluster.nodes[1].program.kill().await;
    cluster.until_listed(&[2, 3], NOTICED_WITHIN).await;
    cluster.nodes[0].program.start();
    cluster.until_listed(&[0], NOTICED_WITHIN).await;
}
