//! The server that a table is run against.

use std::{
    env,
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{ports::Ports, samples};

/// From its start until it listens. Only a machine that does much else comes near it.
const START: Duration = Duration::from_secs(20);

/// A node that stands alone, or a peer that runs already.
pub(crate) struct Server {
    pub(crate) address: String,
    node: Option<Node>,
}

/// Its process and what it needs; in the order in which they are given up.
struct Node {
    process: Child,
    log: PathBuf,
    _folder: TempDir,
    _ports: Ports,
}

impl Server {
    pub(crate) fn start() -> Self {
        if let Ok(address) = env::var("FERRY_HTTP_PEER") {
            let root =
                env::var("FERRY_HTTP_PEER_ROOT").expect("FERRY_HTTP_PEER_ROOT names the folder that the peer serves");
            samples::write(Path::new(&root));
            return Self { address, node: None };
        }
        let folder = tempfile::Builder::new()
            .prefix("http-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("target/tmp can be written");
        let (root, storage) = (folder.path().join("root"), folder.path().join("storage"));
        samples::write(&root);
        let log = folder.path().join("node.log");
        let ports = Ports::reserve();
        let address = format!("127.0.0.1:{}", ports.next());
        let process = Command::new(env!("CARGO_BIN_EXE_ferry"))
            .args(["node", "--log", "warn", "--listen", &address])
            .args(["--admin-listen", &format!("127.0.0.1:{}", ports.next())])
            .arg("--root")
            .arg(root)
            .arg("--storage-path")
            .arg(storage)
            .env_clear() // the developer's own settings must not decide
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a file in the test's own folder"))
            .spawn()
            .expect("the program that cargo built starts");
        let mut server = Self { address, node: Some(Node { process, log, _folder: folder, _ports: ports }) };
        server.until_it_listens();
        server
    }

    fn until_it_listens(&mut self) {
        let begin = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.node.as_mut().is_some_and(|node| node.process.try_wait().is_ok_and(|code| code.is_some()));
            assert!(!ended && begin.elapsed() < START, "the node does not listen: {}", self.last_words());
            std::thread::yield_now();
        }
    }

    /// Ends the process and reads what it said.
    fn last_words(&mut self) -> String {
        let Some(node) = &mut self.node else { return String::new() };
        node.process.kill().ok();
        node.process.wait().ok();
        fs::read_to_string(&node.log).expect("the folder outlives the process")
    }

    /// Whatever clients sent, the node is still there and has nothing to report as an error.
    pub(crate) fn end(mut self) {
        if let Some(node) = &mut self.node {
            assert!(node.process.try_wait().is_ok_and(|code| code.is_none()), "the node ended before its time");
        }
        let words = self.last_words();
        let trouble: Vec<_> =
            words.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
        assert!(trouble.is_empty(), "the node reported: {trouble:#?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(node) = &mut self.node {
            node.process.kill().ok();
            node.process.wait().ok();
        }
    }
}
