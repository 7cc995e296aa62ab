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

/// Connections at one time; the rest wait in the kernel's queue. Ten thousand nodes, gateways and operators leave room.
const CONNECTIONS: usize = 16_384;

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
                    self.tasks.spawn_one_of_many("admin-connection", async move {
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
            // On the heap, each kind when it is wanted: else every connection has room for both.
            let Some(tls) = tls else { return Box::pin(serve(stream, info, router, tasks)).await };
            match timeout(FIRST_REQUEST, TlsAcceptor::from(tls).accept(stream)).await {
                Ok(Ok(stream)) => Box::pin(serve(stream, info, router, tasks)).await,
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
    // Pinned where it stays: on the stack it would be moved, and have two places.
    let mut connection = Box::pin(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
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
        self.0.spawn_one_of_many("admin-stream", future.map(drop));
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        time::Instant,
    };

    use super::*;

    /// A client's end of a connection that is served on a runtime whose time is paused: it jumps to whatever comes next.
    fn connect() -> (DuplexStream, Tasks) {
        let (client, server) = tokio::io::duplex(4096);
        let tasks = Tasks::new();
        let router = Router::new().route("/slow", get(|| async { sleep(Duration::from_secs(60)).await }));
        let info = TcpConnectInfo { local_addr: None, remote_addr: None };
        tasks.spawn("connection", serve(server, info, router, tasks.clone()));
        (client, tasks)
    }

    /// How long after this call the server hung up.
    async fn hung_up(mut client: DuplexStream) -> Duration {
        let began = Instant::now();
        let _rest = timeout(Duration::from_secs(3600), client.read_to_end(&mut Vec::new())).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_ended() {
        let (client, _tasks) = connect();
        assert_eq!(hung_up(client).await, FIRST_REQUEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stops_within_its_first_word_is_ended() {
        let (mut client, _tasks) = connect();
        // As much of HTTP/2's preface as leaves open what it will be.
        client.write_all(b"PRI * HT").await.expect("sent");
        assert_eq!(hung_up(client).await, FIRST_REQUEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_request_head_that_does_not_end_is_given_up() {
        let (mut client, _tasks) = connect();
        client.write_all(b"GET /nothing HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("sent");
        client.read_exact(&mut [0; 16]).await.expect("an answer");
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: ").await.expect("sent");
        assert_eq!(hung_up(client).await, REQUEST_HEAD);
    }

    /// An HTTP/2 client that asks for `/slow` (RFC 9113 section 3.4, RFC 7541 appendix A) and never reads again.
    const FROZEN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \x00\x00\x00\x04\x00\x00\x00\x00\x00\
        \x00\x00\x0b\x01\x05\x00\x00\x00\x01\x82\x86\x04\x05/slow\x41\x00";

    #[tokio::test(start_paused = true)]
    async fn a_frozen_http_2_peer_is_noticed_by_its_missing_pongs() {
        let (mut client, _tasks) = connect();
        client.write_all(FROZEN).await.expect("sent");
        assert_eq!(hung_up(client).await, PING_EVERY + PING_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_what_a_connection_carries_but_not_for_ever() {
        let (mut client, tasks) = connect();
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("sent");
        sleep(Duration::from_secs(1)).await;
        tasks.stop();
        assert_eq!(hung_up(client).await, GRACE);
    }
}
