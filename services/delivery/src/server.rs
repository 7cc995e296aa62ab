//! Connections: from accepted sockets to rendered answers.
//!
//! Two engines stand behind one [`Handler`]: [`http1`] is made for files and serves HTTP/1.1; [`over_hyper`] serves HTTP/2 and requests with
//! content. What an answer means is the same in both: [`framing`] and [`outgoing`] stand before them.
//!
//! Every wait for a client has a limit ([`Limits`]), and what a client does not read costs a chunk and a socket buffer at most.

mod accept;
mod activity;
mod brief;
mod connection;
mod deadline;
mod framing;
mod heads;
mod http1;
mod limits;
mod linger;
mod outgoing;
mod over_hyper;
mod reactor;
mod render;
mod watched;
mod wire;

use std::{io, net::SocketAddr, sync::Arc};

use ferry_runtime::Workers;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use brief::{Brief, Sound};
pub(crate) use http1::plain_head;
pub use limits::Limits;

use connection::Engine;

use crate::{answer::Answer, ready::Prompt, request::Request};

/// Connections that the kernel holds for us while all our own are taken.
const BACKLOG: u32 = 1024;

/// Answers requests; shared by all connections of a server.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. It is dropped when the client breaks off, and a few seconds after the client has sent its end, which may mean that it
    /// only listens; a panic becomes a 500.
    fn handle(&self, request: Request) -> impl Future<Output = Answer> + Send;

    /// An answer that is ready to this request, the same in every way as [`Self::handle`] would give; `None` is never wrong.
    ///
    /// It is asked for what has no query.
    fn ready(&self, _plain: Plain<'_>) -> Option<Prompt> {
        None
    }

    /// Writes an answer without content to this request, for which nothing is ready: the same as [`Self::handle`] would give. `false` is never
    /// wrong, whatever was written.
    fn brief(&self, _plain: Plain<'_>, _brief: &mut Brief<'_>) -> bool {
        false
    }
}

/// A GET over HTTP/1.1 with nothing in it that bears on the answer but its target.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'a> {
    /// The target: a path and perhaps a query, both still encoded. Not all of their octets need be such as belong there.
    pub target: &'a str,
    /// The value of its `User-Agent`, which bears on no answer's content; empty if it says none.
    pub user_agent: &'a [u8],
    /// Whether the connection is TLS.
    pub secure: bool,
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// Its first octets came before: a look at a file that was taken since then saw what this request is to see.
    pub since: Instant,
}

impl<F, A> Handler for F
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send,
{
    fn handle(&self, request: Request) -> impl Future<Output = Answer> + Send {
        self(request)
    }
}

/// A listening socket that accepts nobody yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    engine: Engine,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

impl Server {
    /// Binds an address for plain HTTP. Port 0 lets the system choose; [`Self::local_addr`] tells what it chose.
    pub fn bind(address: SocketAddr, limits: Limits) -> Result<Self, BindError> {
        Self::listen(address, None, limits).map_err(|cause| BindError { address, cause })
    }

    /// Binds an address for HTTPS. ALPN, as `tls` has it, chooses between HTTP/2 and HTTP/1.1.
    pub fn bind_tls(address: SocketAddr, tls: Arc<ServerConfig>, limits: Limits) -> Result<Self, BindError> {
        Self::listen(address, Some(tls), limits).map_err(|cause| BindError { address, cause })
    }

    fn listen(address: SocketAddr, tls: Option<Arc<ServerConfig>>, limits: Limits) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local, tls, limits, engine: Engine::Own })
    }

    /// The address that is listened on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The same, with hyper alone.
    #[cfg(test)]
    fn with_hyper(self) -> Self {
        Self { engine: Engine::Hyper, ..self }
    }

    /// Serves on `workers` until `stop`, then lets running requests end for at most [`Limits::grace`]; idle connections close at once.
    ///
    /// Dropping the future breaks all connections off.
    pub async fn serve<H: Handler>(self, workers: Workers, handler: Arc<H>, stop: CancellationToken) {
        accept::serve(self, workers, handler, stop).await;
    }
}

#[cfg(test)]
mod tests;
