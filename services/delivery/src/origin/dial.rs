//! New connections to one address of an origin: TCP, and TLS where the origin has it, under one limit of time.
//!
//! Whatever the request says of its host, the connection goes to that address, and the certificate must be for the origin's own
//! name.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time};
use tower::Service;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Dialling<S> = Pin<Box<dyn Future<Output = Result<S, Error>> + Send>>;

/// Makes connections to one address.
#[derive(Clone)]
pub(super) struct Dial {
    secured: HttpsConnector<Tcp>,
    limit: Duration,
}

/// Makes TCP connections to one address, and counts them.
#[derive(Clone)]
struct Tcp {
    address: SocketAddr,
    keep_alive: Duration,
    open: Arc<AtomicUsize>,
}

/// A connection that is counted as long as it exists.
pub(super) struct Counted {
    stream: TokioIo<TcpStream>,
    open: Arc<AtomicUsize>,
}

impl Dial {
    /// Connections to `address`, which are counted in `open`; each must stand within `limit`.
    pub(super) fn new(
        address: SocketAddr,
        (name, tls): (ServerName<'static>, Arc<ClientConfig>),
        (limit, keep_alive): (Duration, Duration),
        open: Arc<AtomicUsize>,
    ) -> Self {
        let tcp = Tcp { address, keep_alive, open };
        let name = Arc::new(FixedServerNameResolver::new(name));
        Self { secured: HttpsConnector::new(tcp, tls, false, name), limit }
    }
}

impl Service<Uri> for Dial {
    type Response = MaybeHttpsStream<Counted>;
    type Error = Error;
    type Future = Dialling<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.secured.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        // A peer that accepts and then says nothing would hold up a handshake for ever.
        let connecting = time::timeout(limit, self.secured.call(uri));
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}"));
            connecting.await.map_err(late)?
        })
    }
}

impl Service<Uri> for Tcp {
    type Response = Counted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Counted>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(this.address).await?;
            stream.set_nodelay(true)?;
            // A peer whose cable was cut must not look idle for ever.
            SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(this.keep_alive))?;
            this.open.fetch_add(1, Relaxed);
            Ok(Counted { stream: TokioIo::new(stream), open: this.open })
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}
