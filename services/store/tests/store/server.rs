//! A real etcd on loopback for one test: alone, or a member of a cluster.

use std::{
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use etcd_client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

const START_LIMIT: Duration = Duration::from_secs(20);

/// Ends with the test, also with a killed one: `setpriv` asks the kernel to kill etcd when its parent dies.
pub(crate) struct Server {
    child: Child,
    data: TempDir,
    place: Place,
}

/// Where a member listens, and with whom it forms a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) client_port: u16,
    pub(crate) peer_port: u16,
    /// Where the other members reach it.
    pub(crate) advertised_peer_port: u16,
    /// NAME=URL of every member, with commas.
    pub(crate) cluster: String,
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// With further arguments, which make it speak TLS.
    pub(crate) async fn start_with(tls: Vec<String>) -> Self {
        // A port that was free a moment ago may be taken by another test.
        for _ in 0..3 {
            let (client_port, peer_port) = (free_port(), free_port());
            let mut server = Self::launch(Place {
                name: "test".into(),
                client_port,
                peer_port,
                advertised_peer_port: peer_port,
                cluster: format!("test=http://127.0.0.1:{peer_port}"),
                arguments: tls.clone(),
            });
            if server.ready().await {
                return server;
            }
        }
        panic!("etcd did not start in three attempts");
    }

    /// Starts it, and does not wait until it answers: a member answers only when there is a majority.
    pub(crate) fn launch(place: Place) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let child = spawn(data.path(), &place);
        Self { child, data, place }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.place.scheme(), self.place.client_port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.place.client_port
    }

    /// etcd's own client, for what the store does not do.
    pub(crate) async fn client(&self) -> Client {
        Client::connect([self.endpoint()], None).await.expect("etcd is up")
    }

    /// Stops the process in its tracks, as a hung machine would.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("a killed child can be waited for");
    }

    /// Starts it again, at the same ports and with its data.
    pub(crate) async fn restart(&mut self) {
        self.relaunch();
        assert!(self.ready().await, "etcd came back");
    }

    /// The same, without waiting.
    pub(crate) fn relaunch(&mut self) {
        self.child = spawn(self.data.path(), &self.place);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is ours");
    }

    /// Waits until it answers a linearizable read; `false` if it ended.
    pub(crate) async fn ready(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            if self.child.try_wait().expect("the child is ours").is_some() {
                return false;
            }
            if self.answers().await {
                return true;
            }
            assert!(begun.elapsed() < START_LIMIT, "etcd did not answer within {START_LIMIT:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn answers(&self) -> bool {
        if self.place.scheme() == "https" {
            return tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.place.client_port)).await.is_ok();
        }
        let asking = async {
            let mut client = Client::connect([self.endpoint()], None).await.ok()?;
            match client.get("ready", None).await {
                Ok(_) => Some(()),
                // It answers; that a user is missing is the test's own doing.
                Err(etcd_client::Error::GRpcStatus(status)) if status.message().contains("user name is empty") => {
                    Some(())
                }
                Err(_) => None,
            }
        };
        timeout(Duration::from_secs(1), asking).await.ok().flatten().is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Place {
    fn scheme(&self) -> &'static str {
        let speaks_tls = self.arguments.iter().any(|argument| argument.starts_with("--cert-file"));
        if speaks_tls { "https" } else { "http" }
    }
}

fn spawn(data: &Path, place: &Place) -> Child {
    let client = format!("{}://127.0.0.1:{}", place.scheme(), place.client_port);
    let peer = format!("http://127.0.0.1:{}", place.peer_port);
    let advertised = format!("http://127.0.0.1:{}", place.advertised_peer_port);
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "etcd", "--name", &place.name, "--data-dir"])
        .arg(data)
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &advertised])
        .args(["--initial-cluster", &place.cluster, "--log-level", "error"])
        // Quick elections: a start takes as long as one, and the shortest lease is one and a half of them.
        .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
        .args(&place.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0);
    if std::env::consts::ARCH == "aarch64" {
        command.env("ETCD_UNSUPPORTED_ARCH", "arm64"); // Debian's etcd 3.4 wants to hear that we know
    }
    let etcd = Command::new("etcd").arg("--version").stdout(Stdio::null()).status();
    assert!(
        etcd.is_ok_and(|status| status.success()),
        "no `etcd` to test with: tests/run installs it (Debian's etcd-server), or put one on the PATH"
    );
    command.spawn().expect("no `setpriv` to start etcd with: it is in Debian's util-linux")
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
