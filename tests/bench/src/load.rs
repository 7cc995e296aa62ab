//! The load generator: keep-alive connections on one thread over epoll, cheaper than any server that it measures.
//!
//! Bodies on plain TCP are discarded inside the kernel. Every response is checked: its status, its Content-Length, and that
//! as many bytes come. A response that is not as asked ends the run, since what was measured is then something else.

mod closed;
mod connection;
mod h2load;
mod open;
mod pace;
mod response;
mod tls;

pub(crate) use closed::{Fleet, Tally};
pub(crate) use h2load::h2load;
pub(crate) use pace::SlowReaders;

use std::net::SocketAddr;

/// What the clients of one run ask for.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) address: SocketAddr,
    /// Whether over TLS 1.3, with AES-128-GCM and nothing else.
    pub(crate) tls: bool,
    /// Asked for in turn.
    pub(crate) targets: Vec<String>,
    pub(crate) status: u16,
    /// The Content-Length that every response must have; without it, any.
    pub(crate) length: Option<u64>,
    pub(crate) connections: usize,
}

impl Job {
    /// GET of a file of `length` bytes over plain TCP.
    pub(crate) fn file(address: SocketAddr, target: &str, length: u64, connections: usize) -> Self {
        Self { address, tls: false, targets: vec![target.to_owned()], status: 200, length: Some(length), connections }
    }

    /// The same over TLS.
    pub(crate) fn over_tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// The request heads, ready to send.
    fn requests(&self) -> Vec<Vec<u8>> {
        let head = |target: &String| format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.targets.iter().map(|target| head(target).into_bytes()).collect()
    }
}
