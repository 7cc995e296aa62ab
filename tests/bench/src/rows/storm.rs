//! A storm: two hundred clients fetch without end while nodes are killed one after the other. What is counted is what went wrong.

mod client;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use self::client::{Client, Count, Sky};
use super::Bench;
use crate::{
    get::get,
    ground::{Ground, free_address},
    server::{Doors, Layout, Server, pause},
    site::MIB,
    statistics::Spread,
    table::{Bound, Line},
};

const NODES: usize = 6;
/// With `ferry get`, and as many with curl.
const CLIENTS: usize = 100;
const FILES: usize = 8;
const LENGTH: u64 = 20 * MIB;

/// For all nodes to be named by the gateway, and for a node that was killed to be UP again.
const UP_LIMIT: Duration = Duration::from_secs(60);

/// Between two deaths at the least, so that each finds transfers under way at its node.
const CALM: Duration = Duration::from_secs(2);

const ROUTES: &str = r#"
[[route]]
match = "/{path*}"
access = "open"
"#;

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    storm(bench, 5)
}

pub(super) fn measure_long(bench: &Bench<'_>) -> Result<()> {
    storm(bench, 50)
}

fn storm(bench: &Bench<'_>, kills: usize) -> Result<()> {
    let mut cluster = Cluster::start(&bench.ground)?;
    cluster.until_all_are_named()?;
    let sky = Arc::new(Sky::new(cluster.gateway.doors.http, bench.ground.program, cluster.files()?));
    let clients: Vec<_> = (0..2 * CLIENTS)
        .map(|number| {
            let client = if number < CLIENTS { Client::Ferry } else { Client::Curl };
            let sky = Arc::clone(&sky);
            thread::spawn(move || sky.weather(client, number))
        })
        .collect();
    let begun = Instant::now();
    let outcome = (0..kills).try_for_each(|kill| {
        pause(CALM);
        sky.kills.fetch_add(1, Relaxed);
        // Any order would do; this one comes to every node, and never to the same twice in a row.
        cluster.strike(kill * 5 % NODES)
    });
    pause(CALM);
    sky.over.store(true, Relaxed);
    let (mut ferry, mut curl) = (Count::default(), Count::default());
    for (number, client) in clients.into_iter().enumerate() {
        let count = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        let sum = if number < CLIENTS { &mut ferry } else { &mut curl };
        sum.add(&count);
    }
    outcome?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(ferry.whole > 0 && curl.whole > 0 && curl.retries > 0, "the storm met nobody: {ferry:?}, {curl:?}");
    let tell = |who: &str, figure, value: usize, count: &Count| {
        bench.tell(Line {
            work: format!("storm, {kills} kills, {CLIENTS} clients, {who}"),
            figure,
            bound: Bound::AtMost(0.0),
            #[allow(clippy::cast_precision_loss, reason = "a small count")]
            measured: Spread::of(&[value as f64]),
            floor: "",
            detail: format!("{} downloads of 20 MiB in {seconds:.0} s, {} retries", count.whole, count.retries),
        });
    };
    tell("ferry get", "downloads failed", ferry.failed, &ferry);
    tell("ferry get", "downloads corrupt", ferry.corrupt, &ferry);
    tell("curl", "downloads corrupt", curl.corrupt, &curl);
    tell("curl", "retries beyond one per kill", curl.beyond + curl.failed, &curl);
    Ok(())
}

/// A coordinator, a gateway, and nodes that share one root.
struct Cluster {
    gateway: Server,
    nodes: Vec<Node>,
    coordinator: SocketAddr,
    program: PathBuf,
    root: PathBuf,
    _coordinator: Server,
}

/// A node, and what it takes to start it again.
struct Node {
    server: Option<Server>,
    address: SocketAddr,
    command: Vec<std::ffi::OsString>,
    folder: PathBuf,
}

impl Cluster {
    fn start(ground: &Ground<'_>) -> Result<Self> {
        let folder = ground.folder("storm")?;
        let root = folder.join("root");
        fs::create_dir(&root)?;
        for number in 0..FILES {
            write(&root.join(number.to_string()), number)?;
        }
        let at = free_address()?;
        let mut coordinator = ground.role("coordinator");
        coordinator.args(["--listen", &at.to_string()]);
        coordinator.arg("--store").arg(format!("embedded:{}", folder.join("store.redb").display()));
        let coordinator = Server::start("ferry", coordinator, Doors::only(at), &folder, Layout::USUAL)?;
        let nodes = (0..NODES).map(|number| Node::start(ground, number, at, &root)).collect::<Result<_>>()?;
        let routes = folder.join("gateway.toml");
        fs::write(&routes, ROUTES)?;
        let (http, admin, storage) = (free_address()?, free_address()?, ground.folder("gateway")?);
        let mut gateway = ground.role("gateway");
        gateway.args(["--listen", &http.to_string(), "--admin-listen", &admin.to_string()]);
        gateway.arg("--coordinators").arg(format!("http://{at}")).arg("--config").arg(&routes);
        gateway.arg("--storage-path").arg(&storage);
        let gateway = Server::start("ferry", gateway, Doors::only(http), &storage, Layout::USUAL)?;
        let program = ground.program.to_owned();
        Ok(Self { gateway, nodes, coordinator: at, program, root, _coordinator: coordinator })
    }

    fn files(&self) -> Result<Vec<Vec<u8>>> {
        (0..FILES).map(|number| Ok(fs::read(self.root.join(number.to_string()))?)).collect()
    }

    fn until_all_are_named(&self) -> Result<()> {
        let begun = Instant::now();
        let mut named = BTreeSet::new();
        for number in 0_u64.. {
            let head = get(self.gateway.doors.http, &format!("/name/{number}"))?.head;
            named.extend(
                head.split_once("\r\nlocation: http://").and_then(|(_, to)| Some(to.split_once('/')?.0.to_owned())),
            );
            if named.len() == NODES {
                break;
            }
            ensure!(begun.elapsed() < UP_LIMIT, "the gateway names {named:?} only");
            pause(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Kills a node, starts it again, and waits until it is UP.
    fn strike(&mut self, victim: usize) -> Result<()> {
        let node = &mut self.nodes[victim];
        if let Some(server) = &node.server {
            server.signal(Signal::KILL);
        }
        let begun = Instant::now();
        while !self.is_in(victim, |state| state == "DOWN")? {
            ensure!(begun.elapsed() < UP_LIMIT, "node {victim} is not DOWN");
            pause(Duration::from_millis(100));
        }
        self.nodes[victim].restart()?;
        while !self.is_in(victim, |state| matches!(state, "UP" | "DEGRADED"))? {
            ensure!(begun.elapsed() < UP_LIMIT, "node {victim} does not come back");
            pause(Duration::from_millis(200));
        }
        Ok(())
    }

    fn is_in(&self, node: usize, wanted: impl Fn(&str) -> bool) -> Result<bool> {
        let mut command = Command::new(&self.program);
        command.args([
            "nodes",
            "show",
            &name(node),
            "--json",
            "--coordinator",
            &format!("http://{}", self.coordinator),
        ]);
        let output = command.output()?;
        ensure!(output.status.success(), "ferry nodes show: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let state = text.split_once("\"state\"").and_then(|(_, rest)| rest.split('"').nth(1));
        match state {
            Some(state) => Ok(wanted(state)),
            None => bail!("no state in {text}"),
        }
    }
}

impl Node {
    fn start(ground: &Ground<'_>, number: usize, coordinator: SocketAddr, root: &Path) -> Result<Self> {
        let (address, admin, folder) = (free_address()?, free_address()?, ground.folder("node")?);
        let mut command = ground.role("node");
        command.args([
            "--node-id",
            &name(number),
            "--listen",
            &address.to_string(),
            "--admin-listen",
            &admin.to_string(),
        ]);
        command.args(["--node-address", &address.to_string(), "--coordinators", &format!("http://{coordinator}")]);
        command.arg("--root").arg(root).arg("--storage-path").arg(folder.join("storage"));
        let command = std::iter::once(command.get_program()).chain(command.get_args()).map(ToOwned::to_owned).collect();
        let mut node = Self { server: None, address, command, folder };
        node.restart()?;
        Ok(node)
    }

    fn restart(&mut self) -> Result<()> {
        self.server = None;
        let (program, arguments) = self.command.split_first().context("a command has a program")?;
        let mut command = Command::new(program);
        command.args(arguments);
        self.server = Some(Server::start("ferry", command, Doors::only(self.address), &self.folder, Layout::USUAL)?);
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("node-{number}")
}

/// A file in which every eight bytes say where they are, and in which file.
fn write(path: &Path, number: usize) -> Result<()> {
    let words = (0..LENGTH / 8).flat_map(|at| (at * FILES as u64 + number as u64).to_le_bytes());
    let mut file = File::create(path)?;
    file.write_all(&words.collect::<Vec<u8>>())?;
    // One that was just written has no strong validator yet: it may change again.
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000))?;
    Ok(())
}
