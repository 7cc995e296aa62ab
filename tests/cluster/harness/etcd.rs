//! A real etcd with one member or three, on ports of its own.

use std::{path::Path, time::Duration};

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::{client::get, program::Program, tools::figure, until, workshop::Workshop};

/// etcd 3.4 wants most of a second for its election, more on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Etcd {
    pub(crate) program: Program,
    url: String,
}

impl Etcd {
    pub(crate) async fn start(workshop: &Workshop) -> Self {
        let mut etcd = Self::alone(workshop, "http");
        etcd.resume().await;
        etcd
    }

    /// One that shows clients this certificate. Returns when it takes connections.
    pub(crate) async fn start_over_tls(workshop: &Workshop, certificate: &Path, key: &Path) -> Self {
        let mut etcd = Self::alone(workshop, "https");
        etcd.program.arg("--cert-file").arg(certificate).arg("--key-file").arg(key);
        etcd.program.start();
        let address = etcd.url.trim_start_matches("https://").to_owned();
        until("etcd to take connections", READY_WITHIN, async || TcpStream::connect(&address).await.ok()).await;
        etcd
    }

    fn alone(workshop: &Workshop, scheme: &str) -> Self {
        let peer = format!("http://127.0.0.1:{}", workshop.ports.next());
        Self::member(workshop, "etcd", scheme, &peer, &format!("etcd={peer}"))
    }

    fn member(workshop: &Workshop, name: &str, scheme: &str, peer: &str, cluster: &str) -> Self {
        let url = format!("{scheme}://127.0.0.1:{}", workshop.ports.next());
        let mut program = Program::new(name, "etcd", workshop.path());
        program
            .arg("--data-dir")
            .arg(workshop.folder(&format!("{name}-data")))
            .args(&["--name", name, "--initial-cluster", cluster])
            .args(&["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(&["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
            // Debian's 3.4 refuses to start on arm64 unless told that somebody meant it.
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"));
        Self { program, url }
    }

    /// Three members of one.
    pub(crate) async fn start_three(workshop: &Workshop) -> Vec<Self> {
        let names = ["etcd-0", "etcd-1", "etcd-2"];
        let peers = names.map(|_| format!("http://127.0.0.1:{}", workshop.ports.next()));
        let cluster: Vec<String> = names.iter().zip(&peers).map(|(name, peer)| format!("{name}={peer}")).collect();
        let cluster = cluster.join(",");
        let start = |(name, peer): (&str, &String)| Self::member(workshop, name, "http", peer, &cluster);
        let mut members: Vec<Self> = names.into_iter().zip(&peers).map(start).collect();
        for member in &mut members {
            member.program.start();
        }
        for member in &members {
            member.healthy().await;
        }
        members
    }

    /// Which of them leads, as soon as one does.
    pub(crate) async fn leader(members: &[Self]) -> usize {
        until("a leader", READY_WITHIN, async || {
            for (number, member) in members.iter().enumerate() {
                if member.figure("etcd_server_is_leader").await == Some(1) {
                    return Some(number);
                }
            }
            None
        })
        .await
    }

    /// One of etcd's own metrics; `None` if it does not answer.
    pub(crate) async fn figure(&self, name: &str) -> Option<u64> {
        figure(&self.url, name).await
    }

    /// etcd's own client, for what an operator does there.
    pub(crate) async fn client(&self) -> etcd_client::Client {
        etcd_client::Client::connect([&self.url], None).await.expect("etcd is up")
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Starts it again with the data it had, and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        self.program.start();
        self.healthy().await;
    }

    async fn healthy(&self) {
        let health = format!("{}/health", self.url);
        until("etcd to be healthy", READY_WITHIN, async || {
            get(&health).try_send().await.ok().filter(|answer| answer.status.is_success())
        })
        .await;
    }

    /// Connected, and silent: what a machine looks like that is out of memory, or behind a dead switch.
    pub(crate) fn freeze(&self) {
        self.program.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.program.signal(Signal::CONT);
    }
}
