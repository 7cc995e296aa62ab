//! A whole cluster of real processes, as a test wants it.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{net::TcpStream, time::sleep};

use super::{
    client::{Answer, get},
    etcd::Etcd,
    roles::Role,
    tools::{Outcome, ferry, figure},
    until,
    workshop::Workshop,
};

/// Far longer than anything here takes; a test that measures says so itself.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
/// So many keys that, of two nodes with equal shares, neither is left out by chance (2^-63).
const KEYS: usize = 64;
const BETWEEN_CLIENTS: Duration = Duration::from_millis(2);

/// A route that is signed, and all the rest open.
pub(crate) const GUARDED: &str = r#"
[[route]]
match = "/signed/{path*}"
access = "signed"

[[route]]
match = "/{path*}"
access = "open"
"#;

/// The user ring's first key, which the operator brings along.
pub(crate) const USER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// What a cluster is made of. Starts from `nodes(n)`: one coordinator on the embedded store, one gateway, n nodes that
/// share one root.
pub(crate) struct Topology {
    nodes: usize,
    /// 0: one on the embedded store.
    coordinators_on_etcd: usize,
    /// The members of an etcd that the test started itself.
    etcd_urls: Vec<String>,
    origin: Option<String>,
    gateway_flags: Vec<String>,
    node_flags: Vec<String>,
    coordinator_flags: Vec<String>,
    every_role: Vec<String>,
    routes: Option<String>,
    caches: bool,
    own_roots: bool,
}

impl Topology {
    pub(crate) fn nodes(nodes: usize) -> Self {
        Self {
            nodes,
            coordinators_on_etcd: 0,
            etcd_urls: Vec::new(),
            origin: None,
            gateway_flags: Vec::new(),
            node_flags: Vec::new(),
            coordinator_flags: Vec::new(),
            every_role: Vec::new(),
            routes: None,
            caches: false,
            own_roots: false,
        }
    }

    /// So many coordinators over one real etcd.
    pub(crate) fn coordinators_on_etcd(mut self, coordinators: usize) -> Self {
        self.coordinators_on_etcd = coordinators;
        self
    }

    /// So many coordinators over an etcd that is the test's own.
    pub(crate) fn coordinators_over(mut self, coordinators: usize, etcd_urls: &[String]) -> Self {
        self.coordinators_on_etcd = coordinators;
        self.etcd_urls = etcd_urls.to_vec();
        self
    }

    /// The nodes stand in front of that server, and have no root.
    pub(crate) fn origin(mut self, url: &str) -> Self {
        self.origin = Some(url.to_owned());
        self
    }

    /// Each node has a root of its own: the workshop's folder `files-N`.
    pub(crate) fn own_roots(mut self) -> Self {
        self.own_roots = true;
        self
    }

    /// Each node keeps what it fetches, in a folder of its own.
    pub(crate) fn caches(mut self) -> Self {
        self.caches = true;
        self
    }

    pub(crate) fn gateway_flags(mut self, flags: &[&str]) -> Self {
        self.gateway_flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    pub(crate) fn node_flags(mut self, flags: &[&str]) -> Self {
        self.node_flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    pub(crate) fn coordinator_flags(mut self, flags: &[&str]) -> Self {
        self.coordinator_flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    pub(crate) fn flags_of_every_role(mut self, flags: &[&str]) -> Self {
        self.every_role.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// The gateway's `[[route]]` sections.
    pub(crate) fn routes(mut self, toml: &str) -> Self {
        self.routes = Some(toml.to_owned());
        self
    }
}

pub(crate) struct Cluster {
    pub(crate) gateway: Role,
    pub(crate) nodes: Vec<Role>,
    pub(crate) coordinators: Vec<Role>,
    pub(crate) etcd: Option<Etcd>,
    pub(crate) workshop: Workshop,
}

fn as_strs(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

impl Cluster {
    /// Starts everything and waits until the gateway redirects to every node.
    pub(crate) async fn start(topology: Topology) -> Self {
        Self::start_in(Workshop::open(), topology).await
    }

    /// One that stands guard over what lies below `/signed/`, and over nothing else.
    pub(crate) async fn start_guarded(topology: Topology) -> Self {
        let workshop = Workshop::open();
        let key = workshop.file("user.key", USER_KEY);
        let flags = ["--user-key-file", key.to_str().expect("a plain path")];
        Self::start_in(workshop, topology.routes(GUARDED).coordinator_flags(&flags)).await
    }

    /// The same in a workshop that has something in it already, such as an origin.
    pub(crate) async fn start_in(workshop: Workshop, topology: Topology) -> Self {
        let every = as_strs(&topology.every_role);
        let flags = [as_strs(&topology.coordinator_flags), every.clone()].concat();
        let (etcd, coordinators) = coordinators(&workshop, &topology, &flags).await;
        let known: Vec<String> = coordinators.iter().map(Role::grpc_url).collect();
        let known = known.join(",");

        let root = workshop.folder("files");
        let nodes = (0..topology.nodes).map(|number| {
            let node = Role::node(&workshop, &format!("node-{number}"), &known);
            let node = match &topology.origin {
                Some(url) => node.flags(&["--origin", url]),
                None if topology.own_roots => node.root(&workshop.folder(&format!("files-{number}"))),
                None => node.root(&root),
            };
            let cache = workshop.path().join(format!("node-{number}-cache")).display().to_string();
            let node = if topology.caches { node.flags(&["--cache", &cache]) } else { node };
            node.flags(&as_strs(&topology.node_flags)).flags(&every).started()
        });
        let nodes = nodes.collect();
        let mut gateway = Role::gateway(&workshop, "gateway", &known).flags(&every);
        if let Some(routes) = &topology.routes {
            gateway.program.arg("--config").arg(workshop.file("gateway.toml", routes));
        }
        let gateway = gateway.flags(&as_strs(&topology.gateway_flags)).started();

        let cluster = Self { gateway, nodes, coordinators, etcd, workshop };
        until("the gateway to listen", SETTLED_WITHIN, async || {
            TcpStream::connect(cluster.gateway.address()).await.ok()
        })
        .await;
        let everyone: Vec<usize> = (0..topology.nodes).collect();
        cluster.until_listed(&everyone, SETTLED_WITHIN).await;
        cluster
    }

    /// Where the files lie that every node serves.
    pub(crate) fn root(&self) -> PathBuf {
        self.workshop.folder("files")
    }

    /// Where the files of one node lie that has a root of its own.
    pub(crate) fn root_of(&self, node: usize) -> PathBuf {
        self.workshop.folder(&format!("files-{node}"))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.gateway.url(path)
    }

    /// The gateway's own answer for a path.
    pub(crate) async fn ask(&self, path: &str) -> Answer {
        get(&self.url(path)).send().await
    }

    /// HOST:PORT of every node that gets clients now: asks for many keys, as many clients would.
    pub(crate) async fn targets(&self) -> BTreeSet<String> {
        let mut targets = BTreeSet::new();
        for key in 0..KEYS {
            if let Ok(answer) = get(&self.url(&format!("/which-node/{key}"))).try_send().await {
                targets.extend(answer.target());
            }
            // Asking without a pause would keep the processors busy, and how busy a node is decides who gets clients.
            sleep(BETWEEN_CLIENTS).await;
        }
        targets
    }

    /// Waits until exactly these nodes get clients.
    pub(crate) async fn until_listed(&self, nodes: &[usize], limit: Duration) {
        let wanted: BTreeSet<String> = nodes.iter().map(|&node| self.nodes[node].address().to_owned()).collect();
        let deadline = Instant::now() + limit;
        loop {
            let seen = self.targets().await;
            if seen == wanted {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "waited {limit:?} for redirects to {wanted:?} and no other; saw {seen:?}"
            );
        }
    }

    /// Waits until the gateway's copy of its table has all that the gateway knows.
    pub(crate) async fn until_table_saved(&self) {
        until("the gateway to write down what it knows", SETTLED_WITHIN, async || {
            let saved = figure(&self.gateway.grpc_url(), "ferry_gateway_table_saved").await?;
            (saved == 1).then_some(())
        })
        .await;
    }

    /// The copies of the routing table that the gateway keeps below its storage path, and what is in them.
    pub(crate) fn saved_tables(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let storage = self.workshop.folder("gateway-storage");
        let entries = storage.read_dir().expect("the storage can be read").filter_map(Result::ok);
        // A file may be renamed between the two looks.
        entries.filter_map(|entry| Some((entry.path(), fs::read(entry.path()).ok()?))).collect()
    }

    /// `ferry nodes …`, asked of the first coordinator.
    pub(crate) async fn nodes_command(&self, arguments: &[&str]) -> Outcome {
        let url = self.coordinators[0].grpc_url();
        let mut all = vec!["nodes"];
        all.extend(arguments);
        all.extend(["--coordinator", &url]);
        ferry(&all).await
    }

    /// What `ferry nodes list --json` says of one node, by its id. `None` also while the coordinator does not answer.
    pub(crate) async fn listed(&self, id: &str) -> Option<Value> {
        let outcome = self.nodes_command(&["list", "--json"]).await;
        if outcome.code != Some(0) {
            return None;
        }
        let nodes = outcome.json().as_array().expect("a list of nodes").clone();
        nodes.into_iter().find(|node| node["node_id"] == id)
    }
}

async fn coordinators(workshop: &Workshop, topology: &Topology, flags: &[&str]) -> (Option<Etcd>, Vec<Role>) {
    let on_etcd = topology.coordinators_on_etcd;
    let wants_one = on_etcd > 0 && topology.etcd_urls.is_empty();
    let etcd = if wants_one { Some(Etcd::start(workshop).await) } else { None };
    let urls = etcd.as_ref().map_or_else(|| topology.etcd_urls.join(","), |etcd| etcd.url().to_owned());
    let embedded = format!("embedded:{}", workshop.path().join("store.redb").display());
    let store =
        if on_etcd > 0 { vec!["--store", "etcd", "--etcd-endpoints", &urls] } else { vec!["--store", &embedded] };
    let start = |number| Role::coordinator(workshop, &format!("coordinator-{number}"), &store).flags(flags).started();
    let coordinators: Vec<Role> = (0..on_etcd.max(1)).map(start).collect();
    for coordinator in &coordinators {
        until(&format!("{} to listen", coordinator.program.name()), SETTLED_WITHIN, async || {
            TcpStream::connect(coordinator.grpc()).await.ok()
        })
        .await;
    }
    (etcd, coordinators)
}

/// Whether a node is listed in a state. A busy machine makes nodes DEGRADED that are UP: they get clients as before.
pub(crate) fn is_in(listed: &serde_json::Value, state: &str) -> bool {
    *listed == state || (state == "UP" && *listed == "DEGRADED")
}
