//! A server of a folder, and what there is to look at.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use ferry_core::object::{ObjectKey, ObjectPath};
use tempfile::TempDir;

use super::{
    tls::Identity,
    wire::{self, Wire},
    *,
};
use crate::{
    delivery::{Backend, Delivery, Object},
    disk::{Disk, Sending, Settings},
    metrics::Metrics,
    ready::Prompt,
    transfers::Transfers,
};

/// How a site is served.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) settings: Settings,
    pub(super) tls: Option<Identity>,
    /// Whether hyper serves HTTP/1.1 too.
    pub(super) by_hyper: bool,
}

pub(super) struct Site {
    folder: TempDir,
    pub(super) transfers: Transfers,
    pub(super) address: SocketAddr,
    pub(super) tasks: Tasks,
    tls: Option<Identity>,
    /// How many requests were handled in the ordinary way.
    pub(super) handled: Arc<AtomicUsize>,
}

impl Setup {
    /// Through a buffer of so many bytes, and not by the kernel.
    pub(super) fn buffered(buffer_bytes: usize) -> Self {
        let sending = Sending { sendfile: false, buffer_bytes };
        Self { settings: Settings { sending, ..Settings::default() }, ..Self::default() }
    }

    pub(super) fn tls() -> Self {
        Self { tls: Some(Identity::new("http/1.1")), ..Self::default() }
    }

    pub(super) fn hyper() -> Self {
        Self { by_hyper: true, ..Self::default() }
    }

    pub(super) fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Serves a folder of its own.
    pub(super) fn start(self) -> Site {
        self.start_in(TempDir::new().expect("a temporary folder"))
    }

    pub(super) fn start_in(self, folder: TempDir) -> Site {
        let transfers = Transfers::new();
        let handler = Files::below(folder.path(), self.settings.clone(), transfers.clone());
        let (tls, handled) = (self.tls.clone(), Arc::clone(&handler.handled));
        let (address, tasks) = self.serve(handler);
        Site { folder, transfers, address, tasks, tls, handled }
    }

    /// Serves `handler` on a free port until the test ends.
    pub(super) fn serve(self, handler: impl Handler) -> (SocketAddr, Tasks) {
        let address = ([127, 0, 0, 1], 0).into();
        let server = match &self.tls {
            Some(identity) => Server::bind_tls(address, Arc::clone(&identity.server), self.limits),
            None => Server::bind(address, self.limits),
        };
        let server = server.expect("a free port");
        let server = if self.by_hyper { server.with_hyper() } else { server };
        let (address, tasks) = (server.local_addr(), Tasks::new());
        tasks.spawn("server", server.serve(Workers::here(), Arc::new(handler), tasks.stop_token()));
        (address, tasks)
    }
}

/// Answers with the files below a folder, as a node does.
pub(in super::super) struct Files {
    delivery: Delivery,
    handled: Arc<AtomicUsize>,
}

impl Files {
    pub(in super::super) fn below(root: &Path, settings: Settings, transfers: Transfers) -> Self {
        let disk = Disk::open_root_with(root, settings).expect("a good root");
        let delivery = Delivery::new(Backend::Filesystem(disk), transfers, Metrics::default());
        Self { delivery, handled: Arc::default() }
    }
}

impl Handler for Files {
    async fn handle(&self, request: Request) -> Answer {
        self.handled.fetch_add(1, Relaxed);
        let Ok(path) = ObjectPath::from_target(request.target.path()) else {
            return Answer::text(StatusCode::NOT_FOUND, "not found");
        };
        let object = Object::new(ObjectKey::plain(path), request.target.as_str());
        let answer = self.delivery.deliver(&request, &object).await;
        self.delivery.keep_ready(&request, &object, &answer);
        answer
    }

    fn ready(&self, plain: Plain<'_>) -> Option<Prompt> {
        self.delivery.ready(plain)
    }
}

impl Site {
    pub(super) fn start() -> Self {
        Setup::default().start()
    }

    pub(super) fn start_with(limits: Limits) -> Self {
        Setup::default().limits(limits).start()
    }

    /// Writes a file that was last changed long ago, so that its validators are strong.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("a file");
        age(&path);
        path
    }

    /// Writes such a file, and has it asked for until its answer is ready.
    pub(super) async fn ready_file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.file(name, content);
        let wait = async {
            loop {
                let before = self.handled.load(Relaxed);
                assert!(self.connect().await.get(&format!("/{name}"), "").await.body == content);
                if self.handled.load(Relaxed) == before {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it is kept in the end");
        path
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) async fn connect(&self) -> Wire {
        self.shaken(wire::dial(self.address).await).await
    }

    /// See [`wire::dial_narrow`].
    pub(super) async fn connect_narrow(&self) -> Wire {
        self.shaken(wire::dial_narrow(self.address).await).await
    }

    async fn shaken(&self, socket: tokio::net::TcpStream) -> Wire {
        match &self.tls {
            Some(identity) => Wire::over(identity.shake(socket).await),
            None => Wire::over(socket),
        }
    }

    /// Waits until no transfer is under way; returns how many were completed, and how many broke.
    pub(super) async fn ended(&self) -> (u64, u64) {
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, self.transfers.idle()).await.expect("the transfers end in time");
        (self.transfers.totals().completed, self.transfers.totals().broken)
    }
}

/// Makes a file one that was last changed in 1994.
pub(super) fn age(path: &Path) {
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let file = fs::File::options().append(true).open(path).expect("our own file");
    file.set_modified(long_ago).expect("our own file");
}

/// Serves `handler` on a free port until the test ends.
pub(super) fn serve(limits: Limits, handler: impl Handler) -> (SocketAddr, Tasks) {
    Setup::default().limits(limits).serve(handler)
}

/// Bytes of which no two stretches are alike, so that a misplaced one shows.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0]).collect()
}

/// How much memory this process holds.
pub(super) fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line for it");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}
