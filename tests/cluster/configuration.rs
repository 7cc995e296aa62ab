//! Defaults < TOML < environment < flags; all faults at once, before anything is bound; exit 64.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::harness::{
    program::Program,
    tools::{Outcome, ferry, ferry_with},
    workshop::Workshop,
};

const REFUSED: Option<i32> = Some(64);

fn assert_names(outcome: &Outcome, parts: &[&str]) {
    for part in parts {
        assert!(outcome.stderr.contains(part), "{part:?} is not in:\n{}", outcome.stderr);
    }
}

#[tokio::test]
async fn all_faults_are_reported_at_once_with_key_value_and_source() {
    let workshop = Workshop::open();
    let file = workshop.file("node.toml", "listen = \"8080\"\nroot = \"/\"\n");
    let file = file.to_str().expect("a plain path");
    let outcome = ferry_with(
        &["check-config", "node", "--config", file, "--weight", "0"],
        &[("FERRY_NODE__ADMIN_LISTEN", "nowhere")],
    )
    .await;
    assert_eq!(outcome.code, REFUSED, "{outcome:?}");
    assert_names(&outcome, &["3 faults", "listen = \"8080\"", file, "nowhere", "FERRY_NODE__ADMIN_LISTEN", "weight"]);
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_a_fault_and_not_silence() {
    let workshop = Workshop::open();
    let file = workshop.file("gateway.toml", "lisden = \"127.0.0.1:1\"\n");
    let outcome = ferry(&["check-config", "gateway", "--config", file.to_str().expect("a plain path")]).await;
    assert_eq!(outcome.code, REFUSED, "{outcome:?}");
    assert_names(&outcome, &["lisden"]);
}

/// One faulty value in each place in turn: the place that wins is the one that is blamed.
#[tokio::test]
async fn flags_beat_the_environment_which_beats_the_file() {
    let workshop = Workshop::open();
    let file = workshop.file("node.toml", "root = \"/\"\nweight = 20000\n");
    let file = file.to_str().expect("a plain path");
    let base = ["check-config", "node", "--config", file];
    let environment = [("FERRY_NODE__WEIGHT", "30000")];

    let blamed = ferry(&base).await;
    assert_eq!(blamed.code, REFUSED);
    assert_names(&blamed, &["20000", file]);

    let blamed = ferry_with(&base, &environment).await;
    assert_eq!(blamed.code, REFUSED);
    assert_names(&blamed, &["30000", "FERRY_NODE__WEIGHT"]);

    let blamed = ferry_with(&[base.as_slice(), &["--weight", "40000"]].concat(), &environment).await;
    assert_eq!(blamed.code, REFUSED);
    assert_names(&blamed, &["40000", "--weight"]);

    ferry_with(&[base.as_slice(), &["--weight", "40"]].concat(), &environment).await.ok();
}

#[tokio::test]
async fn a_refused_configuration_binds_nothing() {
    let workshop = Workshop::open();
    let address = format!("127.0.0.1:{}", workshop.ports.next());
    let mut node = Program::new("node", env!("CARGO_BIN_EXE_ferry"), workshop.path());
    node.args(&["node", "--listen", &address, "--root", "/nowhere/at/all", "--weight", "0"]).start();
    assert_eq!(node.exit(Duration::from_secs(5)).await.code(), REFUSED);
    assert!(!workshop.path().join("storage").exists(), "it wrote before it had checked");
}

#[tokio::test]
async fn the_seeds_names_work() {
    let workshop = Workshop::open();
    let root = workshop.folder("files");
    let root = root.to_str().expect("a plain path");
    let storage = workshop.folder("storage");
    let disk = [
        ("BACKEND_MODE", "filesystem"),
        ("BACKEND_FILESYSTEM_ROOT", root),
        ("NODE_ADDRESS", "node1.example:8001"),
        ("NODE_ID", "node-1"),
        ("STORAGE_PATH", storage.to_str().expect("a plain path")),
    ];
    ferry_with(&["check-config", "node"], &disk).await.ok();
    let origin = [
        ("BACKEND_MODE", "http"),
        ("BACKEND_HOST", "172.17.0.1"),
        ("BACKEND_PORT", "443"),
        ("BACKEND_USE_HTTPS", "true"),
        ("PROXY_HOST_HEADER", "files.example"),
        ("HTTP_CONNECTOR_LIMIT", "200"),
    ];
    ferry_with(&["check-config", "node"], &origin).await.ok();

    ferry(&["check-config", "node", "--host", "127.0.0.1", "--port", "8001", "--root", root]).await.ok();

    let wrong = ferry_with(&["check-config", "node"], &[("BACKEND_MODE", "carrier-pigeon")]).await;
    assert_eq!(wrong.code, REFUSED);
    assert_names(&wrong, &["BACKEND_MODE", "carrier-pigeon"]);
}

#[tokio::test]
async fn plain_text_beyond_loopback_wants_to_be_asked_for() {
    for (role, flags) in [
        ("coordinator", ["--listen", "0.0.0.0:7000"].as_slice()),
        ("gateway", &["--admin-listen", "0.0.0.0:9080", "--coordinators", "http://127.0.0.1:7000"]),
        ("node", &["--admin-listen", "0.0.0.0:9001", "--root", "/"]),
    ] {
        let base = [&["check-config", role], flags].concat();
        let outcome = ferry(&base).await;
        assert_eq!(outcome.code, REFUSED, "{role}: {outcome:?}");
        assert_names(&outcome, &["--insecure"]);
        ferry(&[base.as_slice(), &["--insecure"]].concat()).await.ok();
    }
}

#[tokio::test]
async fn a_node_address_that_means_everybodys_own_machine_is_refused_with_a_remote_coordinator() {
    let base = ["check-config", "node", "--root", "/", "--coordinators", "http://10.0.0.1:7000"];
    let outcome = ferry(&[base.as_slice(), &["--node-address", "localhost:8001"]].concat()).await;
    assert_eq!(outcome.code, REFUSED, "{outcome:?}");
    assert_names(&outcome, &["localhost:8001"]);
    ferry(&[base.as_slice(), &["--node-address", "node1.example:8001"]].concat()).await.ok();
}

#[tokio::test]
async fn what_a_later_release_brings_is_refused_by_name() {
    let workshop = Workshop::open();
    let route = "[[route]]\nmatch = \"/{path*}\"\naccess = \"main-server\"\n";
    let file = workshop.file("gateway.toml", route);
    let outcome = ferry(&["check-config", "gateway", "--config", file.to_str().expect("a plain path")]).await;
    assert_eq!(outcome.code, REFUSED, "{outcome:?}");
    assert_names(&outcome, &["main-server"]);
    let passing = "[[route]]\nmatch = \"/{path*}\"\nmethods = \"all\"\nrequest-headers = [\"accept\"]\n";
    let file = workshop.file("gateway.toml", passing);
    let flags = ["check-config", "gateway", "--coordinators", "http://127.0.0.1:7000", "--config"];
    let outcome = ferry(&[&flags[..], &[file.to_str().expect("a plain path")]].concat()).await;
    assert_eq!(outcome.code, REFUSED, "{outcome:?}");
    assert_names(&outcome, &["route[0].methods", "no origin"]);
    ferry(&[&flags[..], &[file.to_str().expect("a plain path"), "--origin", "http://127.0.0.1:1"]].concat()).await.ok();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let workshop = Workshop::open();
    let storage = workshop.folder("storage");
    let storage = storage.to_str().expect("a plain path");
    let root = workshop.folder("files");
    let root = root.to_str().expect("a plain path");
    let admin = format!("127.0.0.1:{}", workshop.ports.next());
    let node = ["node", "--listen", &address, "--admin-listen", &admin, "--root", root, "--storage-path", storage];
    let outcome = ferry(&node).await;
    assert!(!matches!(outcome.code, Some(0) | None), "{outcome:?}");
    assert_names(&outcome, &[&address]);
}
