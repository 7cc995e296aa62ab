//! How long a gateway goes on sending clients to a node that is no more: killed, stopped, cut off, drained. Real processes: three coordinators over an
//! etcd, of which the one that believes in the node for longest decides, and each node in a network namespace of its own.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, SocketAddrV4, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::Bench;
use crate::{
    ground::{Ground, free_address},
    namespaces::Namespace,
    server::{Doors, Layout, Server, pause},
    statistics::Spread,
    table::{Bound, Line},
};

/// Each is done to so many nodes, one after the other; some more stay.
const TIMES: usize = 20;
const COORDINATORS: usize = 3;
const NODES: usize = TIMES + 4;

/// For nodes to be named again that were away, one after the other's three beats and a probe.
const BACK_LIMIT: Duration = Duration::from_secs(60);

/// Between two redirects there may be no more than that.
const LONGEST_GAP: Duration = Duration::from_millis(200);

/// Between two requests.
const BETWEEN: Duration = Duration::from_micros(300);

const PORT: u16 = 8001;

const ROUTES: &str = r#"
[[route]]
match = "/{path*}"
access = "open"
"#;

/// What is done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Killed,
    Stopped,
    CutOff,
    Drained,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Killed, Self::Stopped, Self::CutOff, Self::Drained];

    const fn name(self) -> &'static str {
        match self {
            Self::Killed => "a node gets SIGKILL",
            Self::Stopped => "a node gets SIGSTOP",
            Self::CutOff => "a node's cable is cut",
            Self::Drained => "a node is drained",
        }
    }

    /// What it may take, in seconds (promise P5; for a drain, what operators expect), and how long is watched.
    const fn bound(self) -> (f64, Duration) {
        match self {
            Self::Killed => (1.0, Duration::from_millis(1500)),
            Self::Stopped | Self::CutOff => (5.0, Duration::from_millis(6000)),
            Self::Drained => (0.5, Duration::from_millis(1000)),
        }
    }
}

pub(super) fn measure(bench: &Bench<'_>) -> Result<()> {
    let mut cluster = Cluster::start(&bench.ground)?;
    for fate in Fate::ALL {
        cluster.until_all_are_named()?;
        let (bound, window) = fate.bound();
        let times: Vec<f64> = (0..TIMES).map(|victim| cluster.meet(fate, victim, window)).collect::<Result<_>>()?;
        cluster.undo(fate)?;
        let all = Spread::of(&times);
        bench.tell(Line {
            work: format!("{}, {TIMES} times", fate.name()),
            figure: "the last redirect that names it, maximum, s",
            bound: Bound::AtMost(bound),
            measured: Spread::of(&[all.high]),
            floor: "",
            detail: format!("median {:.2} s, least {:.2} s", all.median, all.low),
        });
    }
    Ok(())
}

/// Coordinators over an etcd, a gateway that is asked all the time, and nodes on machines of their own.
struct Cluster {
    watched: Watched,
    members: Vec<Member>,
    coordinator: SocketAddr,
    program: PathBuf,
    _gateway: Server,
    _coordinators: Vec<Server>,
    _etcd: Server,
}

/// A node.
struct Member {
    // Ended before its network goes.
    server: Option<Server>,
    machine: Namespace,
    command: Vec<std::ffi::OsString>,
    folder: PathBuf,
}

impl Cluster {
    fn start(ground: &Ground<'_>) -> Result<Self> {
        let folder = ground.folder("failover")?;
        let etcd = start_etcd(ground)?;
        let coordinators: Vec<Server> =
            (0..COORDINATORS).map(|_| start_coordinator(ground, etcd.doors.http)).collect::<Result<_>>()?;
        let at: Vec<SocketAddr> = coordinators.iter().map(|coordinator| coordinator.doors.http).collect();
        let ports: Vec<u16> = at.iter().map(SocketAddr::port).collect();
        let members = (0..NODES).map(|number| Member::start(ground, number, &ports)).collect::<Result<_>>()?;
        let routes = folder.join("gateway.toml");
        std::fs::write(&routes, ROUTES)?;
        let (http, admin, storage) = (free_address()?, free_address()?, ground.folder("gateway")?);
        let mut gateway = ground.role("gateway");
        gateway.args(["--listen", &http.to_string(), "--admin-listen", &admin.to_string()]);
        gateway.arg("--coordinators").arg(urls(&at)).arg("--config").arg(&routes);
        gateway.arg("--storage-path").arg(&storage);
        let gateway = Server::start("ferry", gateway, Doors::only(http), &storage, Layout::USUAL)?;
        Ok(Self {
            watched: Watched::start(http)?,
            members,
            coordinator: at[0],
            program: ground.program.to_owned(),
            _gateway: gateway,
            _coordinators: coordinators,
            _etcd: etcd,
        })
    }

    /// Does it to one node; returns after how many seconds the last redirect named it.
    fn meet(&mut self, fate: Fate, victim: usize, window: Duration) -> Result<f64> {
        let address = self.members[victim].address();
        self.watched.until_named(&[address], BACK_LIMIT)?;
        self.watched.focus(address)?;
        let begun = Instant::now();
        let member = &mut self.members[victim];
        match fate {
            Fate::Killed => member.signal(Signal::KILL),
            Fate::Stopped => member.signal(Signal::STOP),
            Fate::CutOff => member.machine.cut()?,
            Fate::Drained => self.operate("drain", victim)?,
        }
        pause(window.saturating_sub(begun.elapsed()));
        let last = self.watched.last_named(address)?.saturating_duration_since(begun);
        self.watched.is_dense(begun)?;
        // Whoever is named to the end was named beyond it.
        ensure!(last + Duration::from_millis(100) < window, "{} is named for all of {window:?}", fate.name());
        Ok(last.as_secs_f64())
    }

    /// Has all nodes serve again.
    fn undo(&mut self, fate: Fate) -> Result<()> {
        for victim in 0..TIMES {
            let member = &mut self.members[victim];
            match fate {
                Fate::Killed => member.restart()?,
                Fate::Stopped => member.signal(Signal::CONT),
                Fate::CutOff => member.machine.mend()?,
                Fate::Drained => self.operate("resume", victim)?,
            }
        }
        Ok(())
    }

    fn operate(&self, what: &str, victim: usize) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["nodes", what, &name(victim), "--coordinator", &format!("http://{}", self.coordinator)]);
        let output = command.output()?;
        ensure!(output.status.success(), "ferry nodes {what}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn until_all_are_named(&self) -> Result<()> {
        let all: Vec<_> = self.members.iter().map(Member::address).collect();
        self.watched.until_named(&all, BACK_LIMIT)
    }
}

impl Member {
    fn start(ground: &Ground<'_>, number: usize, coordinators: &[u16]) -> Result<Self> {
        let machine = Namespace::new(u8::try_from(number)?)?;
        let folder = ground.folder("member")?;
        let mut node = ground.role("node");
        let address = format!("{}:{PORT}", machine.there);
        node.args(["--node-id", &name(number), "--listen", &address, "--node-address", &address]);
        let at: Vec<SocketAddr> = coordinators.iter().map(|&port| (machine.here, port).into()).collect();
        node.arg("--coordinators").arg(urls(&at));
        node.arg("--root").arg(ground.site.root()).arg("--storage-path").arg(folder.join("storage"));
        let inside = machine.command(&node);
        let command = std::iter::once(inside.get_program()).chain(inside.get_args()).map(ToOwned::to_owned).collect();
        let mut member = Self { server: None, machine, command, folder };
        member.restart()?;
        Ok(member)
    }

    fn restart(&mut self) -> Result<()> {
        self.server = None;
        let (program, arguments) = self.command.split_first().context("a command has a program")?;
        let mut command = Command::new(program);
        command.args(arguments);
        let doors = Doors::only(self.address().into());
        self.server = Some(Server::start("ferry", command, doors, &self.folder, Layout::USUAL)?);
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            server.signal(signal);
        }
    }

    const fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.machine.there, PORT)
    }
}

fn start_etcd(ground: &Ground<'_>) -> Result<Server> {
    let (clients, peers, folder) = (free_address()?, free_address()?, ground.folder("etcd")?);
    let (clients_url, peers_url) = (format!("http://{clients}"), format!("http://{peers}"));
    let mut etcd = Command::new("setpriv");
    etcd.args(["--pdeathsig", "KILL", "etcd", "--name", "etcd", "--data-dir"]).arg(folder.join("data"));
    etcd.args(["--listen-client-urls", &clients_url, "--advertise-client-urls", &clients_url]);
    etcd.args(["--listen-peer-urls", &peers_url, "--initial-advertise-peer-urls", &peers_url]);
    etcd.args(["--initial-cluster", &format!("etcd={peers_url}")]);
    Server::start("etcd", etcd, Doors::only(clients), &folder, Layout::USUAL)
}

/// It listens on every address, since each node knows this machine by another one.
fn start_coordinator(ground: &Ground<'_>, etcd: SocketAddr) -> Result<Server> {
    let (local, folder) = (free_address()?, ground.folder("coordinator")?);
    let mut coordinator = ground.role("coordinator");
    coordinator.args(["--listen", &format!("0.0.0.0:{}", local.port()), "--insecure"]);
    coordinator.args(["--advertise-url", &format!("http://{local}"), "--store", "etcd"]);
    coordinator.args(["--etcd-endpoints", &format!("http://{etcd}")]);
    Server::start("ferry", coordinator, Doors::only(local), &folder, Layout::USUAL)
}

fn urls(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| format!("http://{address}")).collect::<Vec<_>>().join(",")
}

fn name(number: usize) -> String {
    format!("node-{number}")
}

/// A redirect.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    node: SocketAddrV4,
    /// The number of the file that was asked for.
    number: u64,
}

/// A client that asks a gateway for one file after the other, and where it is sent.
struct Watched {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What every other request asks for: a file of the node that is watched, so that it is named as often as can be.
    focus: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    asking: Option<JoinHandle<Result<()>>>,
}

impl Watched {
    fn start(gateway: SocketAddr) -> Result<Self> {
        let (seen, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let focus = Arc::<AtomicU64>::default();
        let asking = {
            let (seen, stop, focus) = (Arc::clone(&seen), Arc::clone(&stop), Arc::clone(&focus));
            let mut client = BufReader::new(TcpStream::connect(gateway)?);
            thread::spawn(move || {
                for turn in 0_u64.. {
                    if stop.load(Relaxed) {
                        break;
                    }
                    let number = if turn % 2 == 0 { turn } else { focus.load(Relaxed) };
                    if let Some(node) = redirect(&mut client, number)? {
                        let redirect = Seen { at: Instant::now(), node, number };
                        seen.lock().unwrap_or_else(PoisonError::into_inner).push(redirect);
                    }
                    pause(BETWEEN);
                }
                Ok(())
            })
        };
        Ok(Self { seen, focus, stop, asking: Some(asking) })
    }

    /// Asks for a file of this node from now on, and waits until it is named for that.
    fn focus(&self, node: SocketAddrV4) -> Result<()> {
        self.focus.store(self.newest(|seen| seen.node == node)?.number, Relaxed);
        self.until_named(&[node], BACK_LIMIT)
    }

    /// Fails if the redirects came so seldom that the last one says little.
    fn is_dense(&self, since: Instant) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times: Vec<_> = seen.iter().rev().map(|seen| seen.at).take_while(|at| *at >= since).collect();
        let gap = times.windows(2).map(|pair| pair[0] - pair[1]).max().unwrap_or(Duration::MAX);
        ensure!(gap < LONGEST_GAP, "no redirect for {gap:?}: the machine is too busy for this");
        Ok(())
    }

    fn newest(&self, which: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().rev().find(|seen| which(seen)).copied().context("a node that was named before")
    }

    /// Waits until each of these has been named from now on.
    fn until_named(&self, nodes: &[SocketAddrV4], limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let named: BTreeSet<_> = {
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.iter().rev().take_while(|seen| seen.at >= begun).map(|seen| seen.node).collect()
            };
            if nodes.iter().all(|node| named.contains(node)) {
                return Ok(());
            }
            let ended = self.asking.as_ref().is_none_or(JoinHandle::is_finished);
            ensure!(!ended, "the gateway does not answer any more");
            if begun.elapsed() > limit {
                let missing: Vec<_> = nodes.iter().filter(|node| !named.contains(node)).collect();
                bail!("not named within {limit:?}: {missing:?}");
            }
            pause(Duration::from_millis(20));
        }
    }

    fn last_named(&self, node: SocketAddrV4) -> Result<Instant> {
        Ok(self.newest(|seen| seen.node == node)?.at)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(asking) = self.asking.take() {
            let _ = asking.join();
        }
    }
}

/// Asks once; returns the node that the redirect names, if it is one.
fn redirect(client: &mut BufReader<TcpStream>, number: u64) -> Result<Option<SocketAddrV4>> {
    write!(client.get_mut(), "GET /{number}.bin HTTP/1.1\r\nHost: gateway\r\n\r\n")?;
    let (mut node, mut length, mut line) = (None, 0, String::new());
    loop {
        line.clear();
        ensure!(client.read_line(&mut line)? > 0, "the gateway closed the connection");
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line == "\r\n" {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("location") {
            node = value.strip_prefix("http://").and_then(|url| url.split('/').next()?.parse().ok());
        } else if name.eq_ignore_ascii_case("content-length") {
            length = value.parse()?;
        }
    }
    std::io::copy(&mut std::io::Read::take(client, length), &mut std::io::sink())?;
    Ok(node)
}
