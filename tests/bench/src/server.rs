//! The servers that are measured, each a process family of its own on ports of its own. They end with the bench.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{cores, procfs::Family};

/// For a server to listen, and to end.
const START_LIMIT: Duration = Duration::from_secs(10);
const END_LIMIT: Duration = Duration::from_secs(5);

/// How a server is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// Threads or processes that serve.
    pub(crate) workers: usize,
    /// The one core that all of it runs on; without it, all cores.
    pub(crate) core: Option<usize>,
}

impl Layout {
    /// As each would be set up on this machine: two workers, all cores.
    pub(crate) const USUAL: Self = Self { workers: 2, core: None };
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doors {
    /// HTTP/1.1 over plain TCP.
    pub(crate) http: SocketAddr,
    /// HTTP/1.1 over TLS.
    pub(crate) https: SocketAddr,
    /// HTTP/2 over TLS.
    pub(crate) h2: SocketAddr,
}

impl Doors {
    /// Of a server that has one alone.
    pub(crate) fn only(http: SocketAddr) -> Self {
        Self { http, https: http, h2: http }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    pub(crate) doors: Doors,
    pub(crate) family: Family,
    child: Child,
}

impl Server {
    /// Starts it and waits until it listens. What it says goes to a log in `folder`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        doors: Doors,
        folder: &Path,
        layout: Layout,
    ) -> Result<Self> {
        let log = File::create(folder.join("log"))?;
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A child inherits the cores of the thread that starts it.
        let child = cores::on(layout.core, || command.spawn())?.with_context(|| format!("starting {command:?}"))?;
        let family = Family::of(child.id())?;
        Self { name, doors, family, child }.ready(folder)
    }

    /// Waits until it listens everywhere, and looks who belongs to it.
    fn ready(mut self, folder: &Path) -> Result<Self> {
        let begun = Instant::now();
        for address in [self.doors.http, self.doors.https, self.doors.h2] {
            while TcpStream::connect(address).is_err() {
                let ended = self.child.try_wait()?;
                let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
                ensure!(ended.is_none(), "{} ended at once:\n{}", self.name, log());
                ensure!(begun.elapsed() < START_LIMIT, "{} does not listen at {address}", self.name);
                pause(Duration::from_millis(10));
            }
        }
        // A worker is there a moment after the socket is.
        pause(Duration::from_millis(200));
        self.family = Family::of(self.child.id())?;
        Ok(self)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, signal).ok();
        }
    }

    fn end(&mut self) -> Result<()> {
        // ferry would let its transfers finish; what is left of nginx's ends with its workers.
        self.signal(if self.name == "nginx" { Signal::TERM } else { Signal::KILL });
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > END_LIMIT {
                self.child.kill()?;
                bail!("{} did not end within {END_LIMIT:?}", self.name);
            }
            pause(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end().ok();
    }
}

/// Does nothing for a while.
#[allow(clippy::disallowed_methods, reason = "this program has no runtime whose thread could be blocked")]
pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}
