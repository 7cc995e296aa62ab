//! One connection, from its handshake to its end: which engine serves it.

use std::{
    io,
    net::SocketAddr,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use ferry_runtime::workers::Place;
use futures_util::FutureExt as _;
use http::{Method, StatusCode};
use tokio::{
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    task::{JoinError, JoinSet},
    time::{self, Instant},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Handler, Limits, Plain, brief,
    http1::{self, Ended, Giving, Pace, Parts},
    over_hyper,
    reactor::{Inbox, Kept},
    wire::Wire,
};
use crate::{
    answer::Answer,
    ready::Prompt,
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

/// Where a connection stands that becomes a task.
#[derive(Debug)]
pub(super) struct Begin {
    /// What was received of it and not used.
    pub(super) received: BytesMut,
    /// Whether it had an answer before.
    pub(super) later: bool,
    /// When the first octet of its next request is due; of its first request, all of the head.
    pub(super) due: Instant,
    pub(super) pace: Option<Pace>,
    /// An answer on its way.
    pub(super) giving: Option<Box<Giving>>,
    /// What is left to be sent of an answer without content.
    pub(super) unsent: Vec<u8>,
}

/// An answer on the spot.
pub(super) enum AtOnce {
    /// It was ready.
    Ready(Prompt),
    /// It has no content, and its head is written.
    Brief,
}

impl Begin {
    /// It was just accepted.
    pub(super) fn first(limits: &Limits) -> Self {
        let due = Instant::now() + limits.head;
        Self { received: BytesMut::new(), later: false, due, pace: None, giving: None, unsent: Vec::new() }
    }
}

impl<H: Handler> Shared<H> {
    /// The answer that can be given on the spot, if there is one; what it has of its own to send is written over `head`. A handler that panicks has
    /// none: it will say so where that reaches nobody else.
    pub(super) fn at_once(&self, plain: Plain<'_>, date: &[u8; 29], head: &mut Vec<u8>) -> Option<AtOnce> {
        let asked = AssertUnwindSafe(|| {
            if !plain.target.contains('?')
                && let Some(prompt) = self.handler.ready(plain)
            {
                return Some(AtOnce::Ready(prompt));
            }
            brief::write(head, date, |brief| self.handler.brief(plain, brief)).then_some(AtOnce::Brief)
        });
        panic::catch_unwind(asked).ok().flatten()
    }
}

/// Makes a connection one of `tasks`, on the thread where it has its place.
pub(super) fn spawn<H: Handler>(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared<H>>,
    accepted: Accepted,
    begin: Begin,
    stop: &CancellationToken,
    home: Option<&Arc<Inbox>>,
) {
    let (peer, runtime) = (accepted.peer, accepted.place.runtime().clone());
    match serve(Arc::clone(shared), accepted, begin, stop.clone(), home.cloned()) {
        Ok(serving) => {
            let span = tracing::debug_span!("connection", %peer);
            tasks.spawn_on(serving.instrument(span), &runtime);
        }
        Err(error) => tracing::warn!(%peer, %error, "cannot serve a connection"),
    }
}

/// Says that a task of connections came to an end that is none.
pub(super) fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

/// A connection's task: serves it until its client leaves, a limit is reached, the server stops, or it is quiet and goes `home`, if it has
/// one. It belongs on the thread where the connection has its place.
fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
    accepted: Accepted,
    mut begin: Begin,
    stop: CancellationToken,
    home: Option<Arc<Inbox>>,
) -> io::Result<impl Future<Output = ()> + Send> {
    let Accepted { socket, peer, slot, place } = accepted;
    let (socket, local) = {
        // Its readiness and its timers are that thread's.
        let _context = place.runtime().enter();
        let socket = TcpStream::from_std(socket)?;
        let local = socket.local_addr().unwrap_or(shared.local);
        (socket, local)
    };
    Ok(async move {
        let secure = shared.tls.is_some();
        let arrival = Arrival { peer, local, secure };
        match shared.tls.clone() {
            None => {
                let mut connection =
                    http1::Connection::new(shared, socket, arrival, stop, begin.pace.take(), home.is_some());
                match connection.serve(begin).await {
                    Ended::Closed => {}
                    Ended::HandedOn => Box::pin(hand_on(connection)).await,
                    Ended::Quiet(due) => {
                        let Parts { wire, pace, .. } = connection.into_parts();
                        if let (Some(home), Ok(socket)) = (home, wire.into_std()) {
                            // Where nobody is at home, the server has stopped.
                            drop(home.put(Kept::back(Accepted { socket, peer, slot, place }, pace, due)));
                            return;
                        }
                    }
                }
            }
            Some(tls) => Box::pin(serve_tls(shared, tls, socket, arrival, begin, stop)).await,
        }
        drop((slot, place));
    })
}

async fn serve_tls<H: Handler>(
    shared: Arc<Shared<H>>,
    tls: TlsAcceptor,
    socket: TcpStream,
    arrival: Arrival,
    begin: Begin,
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
            let begin = Begin { due: Instant::now() + shared.limits.head, ..begin };
            let mut connection = http1::Connection::new(shared, stream, arrival, stop, None, false);
            if connection.serve(begin).await == Ended::HandedOn {
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
    let Parts { shared, wire, received, arrival, stop, .. } = connection.into_parts();
    // hyper drops an answer that the socket does not take at once, where the request might have been for an upgrade. And whether a socket
    // takes anything is not known yet when it is new to its thread.
    if let Some(socket) = wire.plain()
        && !matches!(time::timeout(shared.limits.stall, socket.writable()).await, Ok(Ok(())))
    {
        return;
    }
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
