//! Machines whose clocks are hours off: one clear line, and tokens are judged by the cluster's time all the same.

use std::time::Duration;

use crate::harness::{
    Cluster, Topology, cluster::USER_KEY, elsewhere::Elsewhere, get, peers::signed_elsewhere, roles::Role, samples,
    until, workshop::Workshop,
};

const SETTLED_WITHIN: Duration = Duration::from_secs(20);
const HOUR: i64 = 3600;

const ROUTES: &str = r#"
[[route]]
match = "/{path*}"
access = "signed"
"#;

fn warnings(role: &Role) -> usize {
    role.program.log().lines().filter(|line| line.contains("clock is far off")).count()
}

/// By its own clock the gateway would take what has expired, and the node would refuse what has hardly been made.
#[tokio::test]
async fn a_wrong_clock_is_one_line_and_no_token_is_judged_by_it() {
    let workshop = Workshop::open();
    let elsewhere = Elsewhere::build(&workshop).await;
    let key = workshop.file("user.key", USER_KEY);
    let flags = ["--user-key-file", key.to_str().expect("a plain path")];
    let mut cluster = Cluster::start_in(workshop, Topology::nodes(0).routes(ROUTES).coordinator_flags(&flags)).await;
    let sample = samples::write(&cluster.root(), "a.bin", 100_000);
    let coordinator = cluster.coordinators[0].grpc_url();
    let mut node = Role::node(&cluster.workshop, "node-0", &coordinator).root(&cluster.root());
    elsewhere.clock_ahead(&mut node.program, 3 * HOUR);
    cluster.nodes.push(node.started());
    cluster.gateway.program.kill().await;
    elsewhere.clock_ahead(&mut cluster.gateway.program, -2 * HOUR);
    cluster.gateway.program.start();

    let path = sample.path();
    let good = cluster.url(&format!("{path}?{}", signed_elsewhere(USER_KEY, "path", &path, 300).await));
    let expired = cluster.url(&format!("{path}?{}", signed_elsewhere(USER_KEY, "path", &path, -60).await));
    let location =
        until("a redirect", SETTLED_WITHIN, async || get(&good).try_send().await.ok()?.location().map(str::to_owned))
            .await;
    assert_eq!(get(&expired).send().await.status, 410, "an hour and more to go, by the gateway's clock");
    assert_eq!(get(&location).send().await.finish().await.expect("whole").sha256, sample.sha256);

    // Whoever comes back later says nothing that was not said.
    cluster.coordinators[0].program.kill().await;
    cluster.coordinators[0].program.start();
    until("both to be welcome again", SETTLED_WITHIN, async || {
        let welcome = |role: &Role| role.program.log().lines().filter(|line| line.contains("welcome")).count();
        (welcome(&cluster.nodes[0]) >= 2).then_some(())
    })
    .await;
    assert_eq!((warnings(&cluster.nodes[0]), warnings(&cluster.gateway)), (1, 1));

    // What was learnt of the time outlives the process (P2).
    cluster.until_table_saved().await;
    cluster.coordinators[0].program.kill().await;
    cluster.nodes[0].program.kill().await;
    cluster.nodes[0].program.start();
    let answer = until("the node to answer", SETTLED_WITHIN, async || get(&location).try_send().await.ok()).await;
    assert_eq!(answer.status, 200, "the cluster's time was forgotten");
    cluster.gateway.program.kill().await;
    cluster.gateway.program.start();
    let answer = until("the gateway to answer", SETTLED_WITHIN, async || get(&expired).try_send().await.ok()).await;
    assert_eq!(answer.status, 410, "the cluster's time was forgotten");
}
