//! gRPC and OTLP spoken by Python's implementations: peers that share no code with ferry.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{
    program::Program,
    roles::Role,
    tools::{Outcome, run},
    until,
    workshop::Workshop,
};

fn python() -> PathBuf {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-peers/bin/python");
    std::env::var_os("FERRY_TEST_PYTHON").map_or_else(|| installed.into(), PathBuf::from)
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// Runs a script of `tests/peers` to its end.
pub(crate) async fn peer(name: &str, arguments: &[&str]) -> Outcome {
    let script = script(name);
    // -B: the sources' folder is no place for what Python compiles.
    let mut all = vec!["-B", script.to_str().expect("the clone's path is text")];
    all.extend(arguments);
    run(python(), &all, &[], Duration::from_secs(30)).await
}

/// What a coordinator answers to these messages of a node that Python plays. Ends with a refusal, when as many answers came as messages went, or
/// after ten seconds; dropped, it ends the stream.
pub(crate) async fn attend(coordinator: &Role, messages: &[Value]) -> Value {
    let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
    let mut arguments = vec![coordinator.grpc()];
    arguments.extend(texts.iter().map(String::as_str));
    peer("attend.py", &arguments).await.ok().json()
}

/// 32 bytes, as the wire's JSON has them.
pub(crate) fn secret(byte: &str) -> String {
    byte.repeat(42) + "A="
}

/// A node's first message.
pub(crate) fn registration(id: &str, byte: &str) -> Value {
    json!({"register": {
        "version": 1,
        "facts": {"nodeId": id, "address": "127.0.0.1:8001", "weight": 100},
        "secret": secret(byte),
        "incarnation": "1",
    }})
}

/// The query that opens a path or a scope, by Python's own HMAC: what somebody's web application makes. `expires` is in seconds from now.
pub(crate) async fn signed_elsewhere(key: &str, kind: &str, what: &str, expires: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let expires = now.saturating_add_signed(expires).to_string();
    peer("sign.py", &[key, kind, what, "alice", &expires]).await.ok().stdout.trim().to_owned()
}

/// An OTLP collector in a process of its own.
pub(crate) struct Collector {
    _program: Program, // ends with this
    url: String,
    file: PathBuf,
}

impl Collector {
    pub(crate) async fn start(workshop: &Workshop) -> Self {
        let port = workshop.ports.next();
        let file = workshop.path().join("spans.jsonl");
        let mut program = Program::new("collector", python(), workshop.path());
        program.arg("-B").arg(script("collector.py")).arg(port.to_string()).arg(&file).start();
        until("the collector to listen", Duration::from_secs(15), async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { _program: program, url: format!("http://127.0.0.1:{port}"), file }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// All spans so far: `service`, `name`, `trace_id`, `span_id`, `parent_span_id`, `attributes`.
    pub(crate) fn spans(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
