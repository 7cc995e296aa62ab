//! The product's roles, each as a process of its own.

use std::{path::Path, time::Duration};

use tokio::net::TcpStream;

use super::{program::Program, until, workshop::Workshop};

/// A coordinator, gateway or node. Its addresses and its storage outlive its process: started again, it is the same.
pub(crate) struct Role {
    pub(crate) program: Program,
    /// HOST:PORT for clients; a coordinator has none.
    http: Option<String>,
    /// HOST:PORT for gRPC and metrics.
    grpc: String,
}

impl Role {
    fn new(workshop: &Workshop, role: &str, name: &str, serves_clients: bool) -> Self {
        let mut program = Program::new(name, env!("CARGO_BIN_EXE_ferry"), workshop.path());
        program.arg(role).judged();
        let address = || format!("127.0.0.1:{}", workshop.ports.next());
        Self { program, http: serves_clients.then(address), grpc: address() }
    }

    /// `store`: what follows `--store` and what belongs to it.
    pub(crate) fn coordinator(workshop: &Workshop, name: &str, store: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", workshop.ports.next());
        Self::coordinator_at(workshop, name, &address, store)
    }

    /// The same, at that HOST:PORT.
    pub(crate) fn coordinator_at(workshop: &Workshop, name: &str, address: &str, store: &[&str]) -> Self {
        let mut role = Self { grpc: address.to_owned(), ..Self::new(workshop, "coordinator", name, false) };
        role.program.args(&["--listen", &role.grpc]).args(store);
        role
    }

    pub(crate) fn gateway(workshop: &Workshop, name: &str, coordinators: &str) -> Self {
        let mut role = Self::serving(workshop, "gateway", name);
        role.program.args(&["--coordinators", coordinators]);
        role
    }

    pub(crate) fn node(workshop: &Workshop, name: &str, coordinators: &str) -> Self {
        let mut role = Self::serving(workshop, "node", name);
        let address = role.address().to_owned();
        role.program.args(&["--node-id", name, "--node-address", &address, "--coordinators", coordinators]);
        role
    }

    /// A node that knows of no coordinator: a file server.
    pub(crate) fn lone_node(workshop: &Workshop, name: &str) -> Self {
        Self::serving(workshop, "node", name)
    }

    fn serving(workshop: &Workshop, role: &str, name: &str) -> Self {
        let mut role = Self::new(workshop, role, name, true);
        let (http, storage) = (role.address().to_owned(), workshop.folder(&format!("{name}-storage")));
        role.program.args(&["--listen", &http, "--admin-listen", &role.grpc]).arg("--storage-path").arg(storage);
        role
    }

    pub(crate) fn root(mut self, root: &Path) -> Self {
        self.program.arg("--root").arg(root);
        self
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.program.args(flags);
        self
    }

    pub(crate) fn started(mut self) -> Self {
        self.program.start();
        self
    }

    /// Waits until it takes clients.
    ///
    /// # Panics
    /// When it ended instead.
    pub(crate) async fn listening(mut self) -> Self {
        until("clients to be taken", Duration::from_secs(20), async || {
            assert!(self.program.is_running(), "{} ended", self.program.name());
            TcpStream::connect(self.address()).await.ok()
        })
        .await;
        self
    }

    /// HOST:PORT that clients reach.
    pub(crate) fn address(&self) -> &str {
        self.http.as_deref().expect("a coordinator serves no clients")
    }

    /// The URL of a path that clients ask this role for.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// HOST:PORT of its gRPC listener.
    pub(crate) fn grpc(&self) -> &str {
        &self.grpc
    }

    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }
}
