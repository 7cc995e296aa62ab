//! gRPC and OTLP spoken by Python's implementations: peers that share no code with ferry.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    program::Program,
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
