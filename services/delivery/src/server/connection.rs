//! One connection, from its handshake to its end: which engine serves it.

use std::{io, net::SocketAddr, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use bytes::Bytes;
use ferry_runtime::workers::Place;
use futures_util::FutureExt as _;
use http::{Method, StatusCode};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit, time};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    Handler, Limits,
    http1::{self, Ended, Parts},
    over_hyper,
    wire::Wire,
};
use crate::{
    answer::Answer,
    request::{Arrival, Request},
};

/// What every connection of a server shares.
pub(super) struct Shared<H> {
    pub(super) handler: Arc<H>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) limits: Limits,
    pub(super) local: SocketAddr,
    pub(super) engine: Engine,
}

/// Who serves connections that speak HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// The one made for files, which hands on what it does not serve.
    Own,
    /// hyper, which serves HTTP/2 in any case. For comparison.
    #[cfg(test)]
    Hyper,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) socket: std::net::TcpStream,
    pub(super) peer: SocketAddr,
    /// What it takes of the server's limits for as long as it lives.
    pub(super) slot: OwnedSemaphorePermit,
    pub(super) place: Place,
}

/// Begins a connection; the future serves it until its client leaves, a limit is reached, or the server stops. It belongs on the thread
/// where the connection has its place.
///
/// An idle connection over plain TCP is nothing but this future: it holds what is needed then, once, and whatever else may be needed is in
/// boxes.
pub(super) fn begin<H: Handler>(
    shared: Arc<Shared<H>>,
    accepted: Accepted,
    stop: CancellationToken,
) -> io::Result<impl Future<Output = ()> + Send> {
    let Accepted { socket, peer, slot, place } = accepted;
    let mut protocol = {
        // Its readiness and its timers are that thread's.
        let _context = place.runtime().enter();
        let socket = TcpStream::from_std(socket)?;
        // Small answers must not wait for an acknowledgement; without it they are merely slower.
        let _ = socket.set_nodelay(true);
        let local = socket.local_addr().unwrap_or(shared.local);
        match shared.tls.clone() {
            None => {
                let arrival = Arrival { peer, local, secure: false };
                Protocol::Plain(http1::Connection::new(shared, socket, arrival, stop))
            }
            Some(tls) => {
                let arrival = Arrival { peer, local, secure: true };
                Protocol::Tls(Box::pin(serve_tls(shared, tls, socket, arrival, stop)))
            }
        }
    };
    Ok(async move {
        match &mut protocol {
            Protocol::Tls(serving) => serving.await,
            Protocol::Plain(connection) => {
                if connection.serve().await == Ended::HandedOn
                    && let Protocol::Plain(connection) = protocol
                {
                    Box::pin(hand_on(connection)).await;
                }
            }
        }
        drop((slot, place));
    })
}

/// What stands on the socket.
#[expect(clippy::large_enum_variant, reason = "nearly all are plain, and each is in one allocation with its task")]
enum Protocol<H, T> {
    Plain(http1::Connection<H, TcpStream>),
    Tls(Pin<Box<T>>),
}

async fn serve_tls<H: Handler>(
    shared: Arc<Shared<H>>,
    tls: TlsAcceptor,
    socket: TcpStream,
    arrival: Arrival,
    stop: CancellationToken,
) {
    let peer = arrival.peer;
    let handshake = time::timeout(shared.limits.handshake, tls.accept(socket));
    // Nobody waits for an answer yet, so a stop need not wait either.
    let Some(shaken) = stop.run_until_cancelled(Box::pin(handshake)).await else { return };
    match shaken {
        Ok(Ok(stream)) if speaks_http_2(&stream) => {
            Box::pin(over_hyper::serve(shared, stream, Bytes::new(), arrival, stop)).await;
        }
        Ok(Ok(stream)) => {
            let mut connection = http1::Connection::new(shared, stream, arrival, stop);
            if connection.serve().await == Ended::HandedOn {
                Box::pin(hand_on(connection)).await;
            }
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

fn speaks_http_2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// What the engine for HTTP/1.1 does not serve goes on over hyper.
async fn hand_on<H: Handler, S: Wire>(connection: http1::Connection<H, S>) {
    let Parts { shared, wire, received, arrival, stop } = connection.into_parts();
    over_hyper::serve(shared, wire, received, arrival, stop).await;
}

/// The handler's answer; nothing that goes wrong in here reaches another request.
pub(super) async fn handled<H: Handler>(shared: &Shared<H>, request: Request) -> Answer {
    let asked = (request.method.clone(), request.target.clone());
    // The handler's state is shared and behind locks of its own; a request that panicked takes nothing of it along.
    match AssertUnwindSafe(shared.handler.handle(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let (method, target): (Method, _) = asked;
            let reason = reason(&*panic);
            // The query may hold a token: it stays out of the log.
            tracing::error!(%method, path = target.path(), reason, "a handler panicked");
            Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
        }
    }
}

fn reason(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown")
}
