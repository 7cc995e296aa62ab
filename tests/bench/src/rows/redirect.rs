//! A redirect at the gateway, with all that a guarded download needs: the user's token checked, a node selected, the redirect
//! signed and its alternates linked. Beside it, nginx's `return 302`, which decides nothing.

use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Bench, files::compare, tail};
use crate::{
    get::get,
    ground::{Ground, free_address},
    load::Job,
    measure::{Cost, THREADS},
    server::{Doors, Layout, Server, pause},
};

const NODES: usize = 3;
const CLIENTS: usize = 64;

/// So many files that no cache of decisions would be measured.
const FILES: usize = 1_000;

/// How long a turn takes in which latencies are measured.
const TAIL_TURN: Duration = Duration::from_millis(800);

/// For the nodes to join and the gateway to hear of them.
const JOIN_LIMIT: Duration = Duration::from_secs(20);

const ROUTES: &str = r#"
[[route]]
match = "/r/{path*}"
access = "signed"
"#;

/// The user ring's first key.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let (nginx, cluster) = (bench.ground.nginx(Layout::USUAL)?, Cluster::start(&bench.ground)?);
    let targets: Vec<String> = (0..FILES).map(|number| format!("/r/{number}.bin?{}", cluster.token)).collect();
    let alternates = if cluster.joined(&targets)? { "with Link" } else { "without Link" };
    let job = |server: &Server| {
        let job = Job { targets: targets.clone(), status: 302, ..Job::file(server.doors.http, "", 0, CLIENTS) };
        Job { length: None, ..job }
    };
    let micros = |server: &Server| Ok(Cost::of(&server.family, &job(server), THREADS)?.micros_per_request());
    let (servers, work) = ([&nginx, &cluster.gateway], format!("redirect, selected, signed, {alternates}"));
    compare(bench, servers, &work, (0.90, "0.74"), micros)?;
    tail::compare(bench, servers, &work, TAIL_TURN, job)
}

/// A coordinator, nodes and a gateway, each a process of its own.
struct Cluster {
    gateway: Server,
    /// A user's token for all that lies below `/r/`.
    token: String,
    _others: Vec<Server>,
}

impl Cluster {
    fn start(ground: &Ground<'_>) -> Result<Self> {
        let folder = ground.folder("cluster")?;
        let (key, routes) = (folder.join("user.key"), folder.join("gateway.toml"));
        fs::write(&key, KEY)?;
        fs::write(&routes, ROUTES)?;
        let at = free_address()?;
        let mut coordinator = ground.role("coordinator");
        coordinator.args(["--listen", &at.to_string(), "--user-key-file"]).arg(&key);
        coordinator.arg("--store").arg(format!("embedded:{}", folder.join("store.redb").display()));
        let mut others = vec![Server::start("ferry", coordinator, Doors::only(at), &folder, Layout::USUAL)?];
        let url = format!("http://{at}");
        for number in 1..=NODES {
            let mut node = ground.role("node");
            node.args(["--node-id", &format!("node-{number}"), "--root"]).arg(ground.site.root());
            others.push(member(ground, node, &url)?);
        }
        let mut gateway = ground.role("gateway");
        gateway.arg("--config").arg(&routes).args(["--workers", &Layout::USUAL.workers.to_string()]);
        Ok(Self { gateway: member(ground, gateway, &url)?, token: token(ground, &url)?, _others: others })
    }

    /// Waits until the gateway redirects to every node. Whether its redirects name alternates in a Link header.
    fn joined(&self, targets: &[String]) -> Result<bool> {
        let begun = Instant::now();
        let (mut nodes, mut linked) = (BTreeSet::new(), false);
        for target in targets.iter().cycle() {
            let head = get(self.gateway.doors.http, target)?.head;
            if let Some(node) = node_of(&head) {
                nodes.insert(node.to_owned());
                linked = head.contains("\r\nlink:");
            }
            if nodes.len() == NODES {
                break;
            }
            ensure!(begun.elapsed() < JOIN_LIMIT, "the gateway does not redirect to all nodes: {head}");
            pause(Duration::from_millis(5));
        }
        Ok(linked)
    }
}

/// The node that a signed redirect leads to.
fn node_of(head: &str) -> Option<&str> {
    let location = head.starts_with("http/1.1 302 ").then(|| head.split_once("\r\nlocation: http://"))??.1;
    let (node, rest) = location.split_once('/')?;
    rest.split("\r\n").next()?.contains("ferry=").then_some(node)
}

/// Starts a node or a gateway with what both are told.
fn member(ground: &Ground<'_>, mut command: Command, coordinator: &str) -> Result<Server> {
    let (http, admin, folder) = (free_address()?, free_address()?, ground.folder("member")?);
    command.args(["--listen", &http.to_string(), "--admin-listen", &admin.to_string(), "--coordinators", coordinator]);
    command.arg("--storage-path").arg(&folder);
    if command.get_args().any(|argument| argument == "node") {
        command.args(["--node-address", &http.to_string()]);
    }
    Server::start("ferry", command, Doors::only(http), &folder, Layout::USUAL)
}

/// What `ferry sign` gives an operator: a query.
fn token(ground: &Ground<'_>, coordinator: &str) -> Result<String> {
    let mut command = Command::new(ground.program);
    let output = command.args(["sign", "/r/", "--scope", "--coordinator", coordinator]).output()?;
    ensure!(output.status.success(), "ferry sign: {}", String::from_utf8_lossy(&output.stderr));
    let url = String::from_utf8(output.stdout)?;
    let (_, query) = url.trim().split_once('?').context("a signed URL has a query")?;
    Ok(query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::node_of;

    #[test]
    fn a_redirect_names_its_node_only_if_it_is_signed() {
        let head = |location: &str| format!("http/1.1 302 found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(node_of(&head("http://127.0.0.1:8001/r/0.bin?ferry=aqad")), Some("127.0.0.1:8001"));
        assert_eq!(node_of(&head("http://127.0.0.1:8001/r/0.bin")), None);
        assert_eq!(node_of("http/1.1 503 service unavailable\r\nlocation: http://a/?ferry=b\r\n\r\n"), None);
    }
}
