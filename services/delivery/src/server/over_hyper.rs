//! HTTP/2, and HTTP/1.1 with content in the request: over hyper.

use std::{
    convert::Infallible,
    error::Error,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use futures_util::poll;
use http::{Response, Version};
use http_body::Body as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    Handler,
    connection::{Shared, handled},
    limits::LAST_HEADS,
    render::{self, Rendered},
    watched::{Clock, Watched},
};
use crate::{
    request::{self, Arrival, Request},
    stream::{ByteStream, Patient},
};

/// What a request's head may take in hyper's buffer; larger ones are answered 431 by hyper. It also bounds what an answer may have
/// waiting before the next chunk of a file is read.
const BUFFER: usize = request::LARGEST_HEAD;

/// Serves a connection, of which `received` was read already, until its client leaves, a limit is reached, or the server stops.
pub(super) async fn serve<H, S>(
    shared: Arc<Shared<H>>,
    stream: S,
    received: Bytes,
    arrival: Arrival,
    stop: CancellationToken,
) where
    H: Handler,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let clock = Arc::new(Clock::start());
    let service = service_fn(|head| {
        let (shared, clock) = (Arc::clone(&shared), Arc::clone(&clock));
        async move { Ok::<_, Infallible>(answer(&shared, head, arrival, clock).await) }
    });
    let begun = !received.is_empty();
    let io = TokioIo::new(Watched::new(stream, received, Arc::clone(&clock)));
    let engine = engine();
    let mut connection = pin!(engine.serve_connection(io, service));
    let mut glance = time::interval(shared.limits.glance());
    let mut last_heads = pin!(None::<time::Sleep>);
    // A request that was handed over is heard before a stop: hyper ends a connection at once that has none.
    if begun && let Poll::Ready(ended) = poll!(connection.as_mut()) {
        return tell(ended, arrival);
    }
    loop {
        tokio::select! {
            biased; // a stop is heard before more work is taken on
            () = stop.cancelled(), if last_heads.is_none() => {
                connection.as_mut().graceful_shutdown();
                last_heads.set(Some(time::sleep(LAST_HEADS)));
            }
            ended = connection.as_mut() => return tell(ended, arrival),
            () = elapsed(last_heads.as_mut()), if clock.activity.is_quiet() => return,
            _ = glance.tick() => {
                if let Some(why) = clock.activity.overdue(clock.now(), &shared.limits) {
                    tracing::debug!(peer = %arrival.peer, ?why, "the client took too long");
                    return;
                }
            }
        }
    }
}

fn tell(ended: Result<(), Box<dyn Error + Send + Sync>>, arrival: Arrival) {
    if let Err(error) = ended {
        tracing::debug!(peer = %arrival.peer, error, "the connection broke off");
    }
}

/// Ends with the timer; never, if there is none.
async fn elapsed(timer: Pin<&mut Option<time::Sleep>>) {
    match timer.as_pin_mut() {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

fn engine() -> auto::Builder<TokioExecutor> {
    let mut engine = auto::Builder::new(TokioExecutor::new());
    // Timeouts are the connection's own, one for both versions; hyper's timer is for HTTP/2's pings.
    engine.http1().half_close(true).max_buf_size(BUFFER).timer(TokioTimer::new());
    engine
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_send_buf_size(256 * 1024)
        .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(32);
    engine
}

/// Answers one request; nothing that goes wrong in here reaches another.
async fn answer<H: Handler>(
    shared: &Shared<H>,
    head: http::Request<Incoming>,
    arrival: Arrival,
    clock: Arc<Clock>,
) -> Response<Rendered> {
    let version = head.version();
    let method = head.method().clone();
    let running = Running::begin(clock, version >= Version::HTTP_2);
    let (head, incoming) = head.into_parts();
    let content = if incoming.is_end_stream() {
        request::Content::default()
    } else {
        let patient = Patient::new(incoming, shared.limits.content);
        request::Content::of(ByteStream::new(patient.length(), patient))
    };
    let answer = match Request::admit(head, content, arrival) {
        Ok(request) => handled(shared, request).await,
        Err(refusal) => refusal.answer(),
    };
    render::response(answer, &method, version, running.handed_on())
}

/// A request that counts on its connection's clock, also when its handler is dropped half way.
struct Running(Option<Arc<Clock>>);

impl Running {
    fn begin(clock: Arc<Clock>, multiplexed: bool) -> Self {
        clock.activity.begin(multiplexed);
        Self(Some(clock))
    }

    /// Leaves the end of the request to the answer's body.
    fn handed_on(mut self) -> Arc<Clock> {
        self.0.take().expect("it is taken once, by value")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(clock) = &self.0 {
            clock.activity.end(clock.now());
        }
    }
}
