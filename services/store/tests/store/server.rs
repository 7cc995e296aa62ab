//! A real etcd, alone on loopback, for one test.

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
    client_port: u16,
    peer_port: u16,
    tls: Vec<String>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// With further arguments, which make it speak TLS.
    pub(crate) async fn start_with(tls: Vec<String>) -> Self {
        // A port that was free a moment ago may be taken by another test.
        for _ in 0..3 {
            let data = tempfile::tempdir().expect("a temporary directory");
            let (client_port, peer_port) = (free_port(), free_port());
            let child = spawn(data.path(), client_port, peer_port, &tls);
            let mut server = Self { child, data, client_port, peer_port, tls: tls.clone() };
            if server.ready().await {
                return server;
            }
        }
        panic!("etcd did not start in three attempts");
    }

    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.tls.is_empty() { "http" } else { "https" };
        format!("{scheme}://127.0.0.1:{}", self.client_port)
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
        self.child = spawn(self.data.path(), self.client_port, self.peer_port, &self.tls);
        assert!(self.ready().await, "etcd came back");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is ours");
    }

    /// Waits until it answers a linearizable read; `false` if it ended.
    async fn ready(&mut self) -> bool {
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
        if !self.tls.is_empty() {
            return tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.client_port)).await.is_ok();
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

fn spawn(data: &Path, client_port: u16, peer_port: u16, tls: &[String]) -> Child {
    let scheme = if tls.is_empty() { "http" } else { "https" };
    let client = format!("{scheme}://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "etcd", "--name", "test", "--data-dir"])
        .arg(data)
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("test={peer}"), "--log-level", "error"])
        // Quick elections: a start takes as long as one, and the shortest lease is one and a half of them.
        .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
        .args(tls)
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

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
