//! The load generator: keep-alive connections on one thread over epoll, cheaper than any server that it measures.
//!
//! Bodies on plain TCP are discarded inside the kernel. Every response is checked: its status, its Content-Length, and that
//! as many bytes come; where a job says what bodies hold, also what is in them, in places. A response that is not as asked
//! ends the run, since what was measured is then something else.

mod closed;
mod connection;
mod content;
mod first_byte;
mod h2load;
mod open;
mod pace;
mod response;
mod tls;

pub(crate) use closed::{Fleet, Tally};
pub(crate) use content::Content;
pub(crate) use first_byte::Rest;
pub(crate) use h2load::h2load;
pub(crate) use pace::SlowReaders;

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use crate::origin::Names;

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
    /// What bodies must hold; without it, anything. With it, every head is checked.
    pub(crate) content: Option<Arc<Content>>,
    /// Where it is given, a target is asked for under a new name each time.
    pub(crate) names: Option<Names>,
    pub(crate) connections: usize,
}

impl Job {
    /// GET of a file of `length` bytes over plain TCP.
    pub(crate) fn file(address: SocketAddr, target: &str, length: u64, connections: usize) -> Self {
        Self {
            address,
            tls: false,
            targets: vec![target.to_owned()],
            status: 200,
            length: Some(length),
            content: None,
            names: None,
            connections,
        }
    }

    /// The same over TLS.
    pub(crate) fn over_tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// The request heads.
    fn requests(&self) -> Requests {
        match &self.names {
            Some(names) => Requests::New { names: names.clone(), targets: self.targets.clone(), address: self.address },
            None => Requests::Ready(self.targets.iter().map(|target| head(self.address, target)).collect()),
        }
    }
}

/// The heads of requests, one for each target.
#[derive(Debug)]
enum Requests {
    Ready(Vec<Vec<u8>>),
    /// Made when they are sent, since each has a name of its own.
    New {
        names: Names,
        targets: Vec<String>,
        address: SocketAddr,
    },
}

impl Requests {
    fn len(&self) -> usize {
        match self {
            Self::Ready(heads) => heads.len(),
            Self::New { targets, .. } => targets.len(),
        }
    }

    /// The one for the target of this number.
    fn get(&self, number: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Ready(heads) => heads[number].as_slice().into(),
            Self::New { names, targets, address } => head(*address, &names.next(&targets[number])).into(),
        }
    }
}

fn head(address: SocketAddr, target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}
