//! A node with a root and a storage path of its own, and clients that send octets.

use std::{ffi::OsString, fs, net::SocketAddr, time::Duration};

use ferry_core::{
    object::{ObjectKey, ObjectPath},
    time::UnixMillis,
    tokens::{NodeGrant, RedirectId},
};
use ferry_runtime::{
    Clock, Tasks, Workers,
    config::{Environment, Sources, command},
    metrics::Metrics,
    telemetry::Sampler,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    Config, Node, Running, SECTIONS, StartError, TABLES,
    agent::twin::{CLUSTER_TIME, Twin},
    read,
};

/// No answer of these tests takes so long unless it never comes.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// The node's own wall clock; the twin's is far from it.
pub(super) const WALL: UnixMillis = UnixMillis(1_700_000_000_000);

/// What a gateway says of an object with that key, to whichever node: good for a minute, and renewable for ten.
pub(super) fn grant(key: &str) -> NodeGrant {
    NodeGrant {
        key: ObjectKey::plain(ObjectPath::from_decoded(key).expect("a path")),
        path: None,
        origin_target: None,
        filename: None,
        content_type: None,
        cache_control: None,
        expires: CLUSTER_TIME.seconds() + 60,
        renewable_until: CLUSTER_TIME.seconds() + 600,
        redirect: RedirectId(1),
        hops: 0,
        tried: Vec::new(),
        trace: None,
        validator: None,
        client_network: None,
        candidates: Vec::new(),
        home: Some("https://files.example".to_owned()),
        guarded: false,
    }
}

/// Folders that outlive a node's process.
pub(super) struct Site {
    pub(super) folder: TempDir,
}

/// A node that runs.
pub(super) struct Live {
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) running: Running,
    pub(super) tasks: Tasks,
}

pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Site {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::create_dir(folder.path().join("root")).expect("a new folder");
        Self { folder }
    }

    /// Writes a file below the root.
    pub(super) fn file(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join("root").join(name), content).expect("a new file");
    }

    /// Writes a configuration and returns its path.
    pub(super) fn toml(&self, text: &str) -> String {
        let path = self.folder.path().join("node.toml");
        fs::write(&path, text).expect("a new file");
        path.to_str().expect("a plain path").to_owned()
    }

    pub(super) fn config(&self, flags: &[&str]) -> Config {
        let path = |name: &str| self.folder.path().join(name).into_os_string();
        let mut variables: Vec<(&str, OsString)> = vec![
            ("STORAGE_PATH", path("storage")),
            ("NODE_ID", "n1".into()),
            ("FERRY_NODE__LISTEN", "127.0.0.1:0".into()),
            ("FERRY_NODE__ADMIN_LISTEN", "127.0.0.1:0".into()),
        ];
        if !flags.contains(&"--origin") {
            variables.push(("BACKEND_FILESYSTEM_ROOT", path("root")));
        }
        let typed = std::iter::once(&"node").chain(flags);
        let matches = command("node", "Serves bytes", TABLES).try_get_matches_from(typed).expect("flags that exist");
        let sources = Sources::gather("node", TABLES, SECTIONS, &matches, &Environment::of(variables));
        read(&sources).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    pub(super) async fn try_start(&self, flags: &[&str]) -> Result<Live, StartError> {
        let tasks = Tasks::new();
        let (clock, metrics) = (Clock::fixed(WALL), Metrics::new());
        let node = Node::bind(self.config(flags), clock, &metrics, &tasks, Sampler::off()).await?;
        let (address, admin) = (node.local_addr(), node.admin_addr());
        Ok(Live { address, admin, running: node.start(&Workers::here())?, tasks })
    }

    /// A node that stands alone.
    pub(super) async fn start(&self, flags: &[&str]) -> Live {
        self.try_start(flags).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A node that is welcome at the twin.
    pub(super) async fn start_with(&self, twin: &Twin, flags: &[&str]) -> Live {
        let url = twin.url.to_string();
        let live = self.start(&[&["--coordinators", &url], flags].concat()).await;
        timeout(LIMIT, live.running.until_attending()).await.expect("a welcome in time");
        live
    }
}

impl Live {
    /// One GET on a connection of its own.
    pub(super) async fn get(&self, target: &str) -> Reply {
        ask(self.address, &format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    pub(super) async fn stop(self) {
        self.tasks.finish(LIMIT).await.expect("everything ends");
    }
}

impl Reply {
    /// The value of a header field; empty if there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Sends a request that closes its connection, and reads to the end.
pub(super) async fn ask(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut octets = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut octets)).await.expect("an answer in time").expect("readable");
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8_lossy(&octets[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Reply { status, head, body: octets[end + 4..].to_vec() }
}
