//! Connections of the admin listener: accepted, limited, ended.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request, response::Response};
use futures_util::FutureExt;
use hyper::{body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::Tasks;

/// Connections at one time; the rest wait in the kernel's queue. Far above nodes and gateways of one cluster that is sane.
const CONNECTIONS: usize = 4096;

/// How long a connection may take to say its first request, TLS included.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How long the head of a request may take.
const REQUEST_HEAD: Duration = Duration::from_secs(10);

/// Pings that notice a frozen peer: after 2 s of silence, with 4 s to answer; so its stream ends about when its beats made it DOWN.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_LIMIT: Duration = Duration::from_secs(4);

/// How long a connection may finish what it carries once the process stops.
const GRACE: Duration = Duration::from_secs(3);

/// After a failure to accept (out of descriptors, mostly): waiting lets others end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The loop that accepts.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) tasks: Tasks,
}

impl Acceptor {
    /// Accepts until the tasks are asked to stop.
    pub(super) async fn run(self) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let mut failing = false;
        loop {
            let (slot, accepted) = tokio::select! {
                biased; // stop before work
                () = self.tasks.stopped() => return,
                next = async {
                    let slot = Arc::clone(&slots).acquire_owned().await;
                    (slot, self.listener.accept().await)
                } => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    let connection = self.connection(stream, peer);
                    self.tasks.spawn("admin-connection", async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    // The first of a row says it all.
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "cannot accept admin connections");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + Send + use<> {
        let (router, tls, tasks) = (self.router.clone(), self.tls.clone(), self.tasks.clone());
        async move {
            // Small messages must not wait for each other; without it they are late, not lost.
            let _slower = stream.set_nodelay(true);
            let info = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: Some(peer) };
            let Some(tls) = tls else { return serve(stream, info, router, tasks).await };
            match timeout(FIRST_REQUEST, TlsAcceptor::from(tls).accept(stream)).await {
                Ok(Ok(stream)) => serve(stream, info, router, tasks).await,
                Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => debug!(%peer, "TLS handshake took too long"),
            }
        }
    }
}

/// Serves one connection, HTTP/1.1 or HTTP/2, until it ends, goes silent before its first request, or the process stops.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    info: TcpConnectInfo,
    router: Router,
    tasks: Tasks,
) {
    let peer = info.remote_addr;
    let spoke = Arc::new(Notify::new());
    let said = Arc::clone(&spoke);
    let service = service_fn(move |request: Request<Incoming>| {
        said.notify_one();
        answer(router.clone(), request.map(Body::new), info.clone())
    });
    let builder = builder(&tasks);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = silence(&spoke) => return debug!(?peer, "no request came"),
        () = tasks.stopped() => {
            connection.as_mut().graceful_shutdown();
            match timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return debug!(?peer, "cut a connection that did not end in time"),
            }
        }
    };
    if let Err(error) = ended {
        debug!(?peer, %error, "admin connection failed");
    }
}

/// Ends if no request comes in time; else never.
async fn silence(spoke: &Notify) {
    if timeout(FIRST_REQUEST, spoke.notified()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn answer(router: Router, mut request: Request<Body>, info: TcpConnectInfo) -> Result<Response, Infallible> {
    if let Some(peer) = info.remote_addr {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request.extensions_mut().insert(info);
    router.oneshot(request).await
}

fn builder(tasks: &Tasks) -> auto::Builder<OnTasks> {
    let mut builder = auto::Builder::new(OnTasks(tasks.clone()));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(REQUEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_LIMIT)
        .max_concurrent_streams(1024);
    builder
}

/// Lets hyper run the streams of an HTTP/2 connection where somebody stops them.
#[derive(Clone)]
struct OnTasks(Tasks);

impl<F> Executor<F> for OnTasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.0.spawn("admin-stream", future.map(drop));
    }
}
