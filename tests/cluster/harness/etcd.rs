//! A real etcd with one member, on ports of its own.

use std::time::Duration;

use rustix::process::Signal;

use super::{client::get, program::Program, until, workshop::Workshop};

/// etcd 3.4 wants most of a second for its election, more on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Etcd {
    pub(crate) program: Program,
    url: String,
}

impl Etcd {
    pub(crate) async fn start(workshop: &Workshop) -> Self {
        let url = format!("http://127.0.0.1:{}", workshop.ports.next());
        let peer = format!("http://127.0.0.1:{}", workshop.ports.next());
        let mut program = Program::new("etcd", "etcd", workshop.path());
        program
            .arg("--data-dir")
            .arg(workshop.folder("etcd"))
            .args(&["--name", "test", "--initial-cluster", &format!("test={peer}")])
            .args(&["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(&["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            // Debian's 3.4 refuses to start on arm64 unless told that somebody meant it.
            .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"));
        let mut etcd = Self { program, url };
        etcd.resume().await;
        etcd
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Starts it again with the data it had, and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        self.program.start();
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
