//! What a stranger sees with tools of his own: reflection and health by Python's gRPC, `/health`, `/metrics`.

use serde_json::Value;

use crate::harness::{Cluster, Topology, client::raw, get, peers::peer, samples};

const REFLECTION: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list of services").iter().filter_map(Value::as_str).collect()
}

/// Every gRPC port: both versions of reflection tell of its services, and the health service says that it serves.
#[tokio::test]
async fn every_grpc_port_explains_itself_to_a_client_with_no_proto() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let coordinator = &cluster.coordinators[0];
    let ports: [(&str, &[&str]); 3] = [
        (coordinator.grpc(), &["ferry.v1.ClusterService", "ferry.v1.MembershipService", "ferry.v1.RoutingService"]),
        (cluster.nodes[0].grpc(), &["ferry.v1.NodeService"]),
        (cluster.gateway.grpc(), &[]),
    ];
    for (address, own) in ports {
        let seen = peer("inspect_server.py", &[address]).await.ok().json();
        assert_eq!(seen["health"], "SERVING", "{address}");
        for version in ["v1", "v1alpha"] {
            let services = names(&seen[version]);
            for wanted in own.iter().chain(&["grpc.health.v1.Health"]) {
                assert!(services.contains(wanted), "{address}: {wanted} is not in {services:?}");
            }
            assert!(services.iter().any(|service| REFLECTION.contains(service)), "{address}: {services:?}");
        }
    }
}

#[tokio::test]
async fn a_method_is_called_with_no_proto_at_hand() {
    let cluster = Cluster::start(Topology::nodes(2)).await;
    let call = [cluster.coordinators[0].grpc(), "ferry.v1.ClusterService", "ListNodes"];
    let seen = peer("inspect_server.py", &call).await.ok().json();
    let nodes = seen["answer"]["nodes"].as_array().expect("nodes").clone();
    let ids: Vec<&str> = nodes.iter().filter_map(|node| node["view"]["facts"]["nodeId"].as_str()).collect();
    assert_eq!(ids, ["node-0", "node-1"]);
    assert!(nodes.iter().all(|node| node["view"]["state"] == "NODE_STATE_UP"), "{nodes:?}");
}

#[tokio::test]
async fn a_node_tells_of_itself_and_of_its_transfers() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::write(&cluster.root(), "big.bin", 24 * samples::MIB);
    let mut slow = get(&cluster.url(&sample.path())).kib_per_second(1024).follow().await;
    slow.receive(samples::MIB).await;
    let ask = async |method: &str| {
        let call = [cluster.nodes[0].grpc(), "ferry.v1.NodeService", method];
        peer("inspect_server.py", &call).await.ok().json()["answer"].clone()
    };
    let transfers = ask("ListTransfers").await;
    let transfer = &transfers["transfers"][0];
    assert_eq!(transfer["key"], "big.bin", "{transfers}");
    assert_eq!(transfer["lengthBytes"], (24 * samples::MIB).to_string());
    let status = ask("GetStatus").await;
    assert_eq!(status["facts"]["nodeId"], "node-0", "{status}");
    assert_eq!(status["backendMode"], "filesystem");
    assert_eq!(status["coordinators"][0]["connected"], true);
}

#[tokio::test]
async fn health_has_the_fields_that_the_seed_promised() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let health = get(&cluster.nodes[0].url("/health")).send().await;
    assert_eq!(health.status, 200);
    let health: Value = serde_json::from_str(&health.text().await).expect("JSON");
    for field in ["status", "node_id", "timestamp", "main_server", "storage_path", "sync_interval"] {
        assert!(health.get(field).is_some(), "{field} is not in {health}");
    }
    assert_eq!(health["node_id"], "node-0");
    for url in [cluster.gateway.url("/health"), format!("{}/health", cluster.coordinators[0].grpc_url())] {
        assert_eq!(get(&url).send().await.status, 200, "{url}");
    }
}

#[tokio::test]
async fn metrics_are_text_that_counts_what_happened() {
    let cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::write(&cluster.root(), "a.bin", 100_000);
    get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
    for role in [&cluster.gateway, &cluster.nodes[0], &cluster.coordinators[0]] {
        let answer = get(&format!("{}/metrics", role.grpc_url())).send().await;
        assert_eq!(answer.status, 200, "{}", role.program.name());
        let text = answer.text().await;
        assert!(text.lines().any(|line| line.starts_with("# TYPE ferry_")), "{}: {text}", role.program.name());
    }
    // Metrics are for operators: not where clients are.
    assert_ne!(get(&cluster.nodes[0].url("/metrics")).send().await.status, 200);
}

/// A client that is no HTTP client, on each kind of port, costs nobody else anything.
#[tokio::test]
async fn noise_on_any_port_harms_nobody() {
    let mut cluster = Cluster::start(Topology::nodes(1)).await;
    let sample = samples::write(&cluster.root(), "a.bin", 1000);
    let ports = [cluster.gateway.address(), cluster.nodes[0].address(), cluster.nodes[0].grpc()];
    for port in ports.into_iter().chain([cluster.gateway.grpc(), cluster.coordinators[0].grpc()]) {
        raw(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not a protocol\r\n\r\n").await;
    }
    let received = get(&cluster.url(&sample.path())).follow().await.finish().await.expect("whole");
    assert_eq!(received.sha256, sample.sha256);
    for role in cluster.coordinators.iter_mut().chain(&mut cluster.nodes) {
        assert!(role.program.is_running());
    }
}

#[tokio::test]
async fn logs_are_json_for_those_who_want_it() {
    let cluster = Cluster::start(Topology::nodes(1).flags_of_every_role(&["--log-format", "json"])).await;
    for role in [&cluster.gateway, &cluster.nodes[0], &cluster.coordinators[0]] {
        let log = role.program.log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert!(lines.iter().any(|line| line["level"] == "INFO"), "{}:\n{log}", role.program.name());
        let plain = log.lines().filter(|line| !line.starts_with('{')).count();
        // The coordinator shows the user key once, to the operator and not to the log.
        assert!(plain <= 1, "{}:\n{log}", role.program.name());
    }
}
