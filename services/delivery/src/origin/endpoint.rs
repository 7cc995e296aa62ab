//! One address of an origin: its connections, and the breaker before them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ferry_core::time::Tick;
use ferry_runtime::Clock;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::runtime::{self, Handle};

use super::{
    breaker::{Breaker, BreakerState, Failure, Pass, Witness},
    dial::Dial,
    settings::Settings,
    upload::Upload,
};

/// How much is read from a connection at a time: what stays in a processor's cache until it is written.
const READ_BYTES: usize = 64 * 1024;

/// What an HTTP/2 stream may have under way to us. The connection's window has room for all streams that there can be: else a few
/// slow clients would stop all the others on their connection.
const STREAM_WINDOW: u32 = 1 << 20;

/// The largest window that HTTP/2 knows (RFC 9113 section 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// How long an HTTP/2 peer may leave a ping unanswered; it is pinged as often while streams are open.
const PING: Duration = Duration::from_secs(10);

/// An address.
pub(super) struct Endpoint {
    address: SocketAddr,
    /// One for each runtime that asks: a body is received by the thread that writes and sends it.
    clients: Mutex<HashMap<runtime::Id, Client<Dial, Upload>>>,
    make: Box<dyn Fn() -> Client<Dial, Upload> + Send + Sync>,
    open: Arc<AtomicUsize>,
    breaker: Mutex<Breaker>,
    clock: Clock,
}

/// Leave to send one request to an address. Whoever has it says what came of it; dropped without a word, nothing is held against
/// the address.
pub(super) struct Permit {
    endpoint: Arc<Endpoint>,
    pass: Option<Pass>,
}

impl Endpoint {
    pub(super) fn new(
        address: SocketAddr,
        tls: (ServerName<'static>, Arc<ClientConfig>),
        settings: &Settings,
        clock: Clock,
    ) -> Arc<Self> {
        let open = Arc::new(AtomicUsize::new(0));
        let dial = Dial::new(address, tls, (settings.connect, settings.keep_alive), Arc::clone(&open));
        let most = u32::try_from(settings.limit_per_origin).unwrap_or(u32::MAX);
        let window = STREAM_WINDOW.saturating_mul(most).min(LARGEST_WINDOW);
        let (keep_alive, limit) = (settings.keep_alive, settings.limit_per_origin);
        let make = move || {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(keep_alive)
                .pool_max_idle_per_host(limit)
                .http1_max_buf_size(READ_BYTES)
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(window)
                .http2_keep_alive_interval(PING)
                .http2_keep_alive_timeout(PING)
                .build(dial.clone())
        };
        Arc::new(Self {
            address,
            clients: Mutex::default(),
            make: Box::new(make),
            open,
            breaker: Mutex::new(Breaker::new()),
            clock,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The client of the runtime that this is called in.
    fn client(&self) -> Client<Dial, Upload> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(Handle::current().id()).or_insert_with(&self.make).clone()
    }

    /// Leave to send a request now, or how long there is none.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Permit, Duration> {
        let pass = self.breaker().admit(self.clock.now())?;
        Ok(Permit { endpoint: Arc::clone(self), pass: Some(pass) })
    }

    /// The body of an answer that had counted as a success broke off.
    pub(super) fn broke_off(&self, witness: Witness) {
        self.breaker().failed(self.clock.now(), Pass::Ordinary, Failure::Unanswered(witness));
    }

    /// How long nothing may be sent, if that is so.
    pub(super) fn shut(&self) -> Option<Duration> {
        self.breaker().shut(self.clock.now())
    }

    pub(super) fn state(&self) -> BreakerState {
        self.breaker().state(self.clock.now())
    }

    pub(super) fn is_suspect(&self, now: Tick) -> bool {
        self.breaker().is_suspect(now)
    }

    /// TCP connections, idle ones included.
    pub(super) fn connections(&self) -> usize {
        self.open.load(Relaxed)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Sends the request that it is the leave for.
    pub(super) async fn send(&self, request: Request<Upload>) -> Result<Response<Incoming>, legacy::Error> {
        self.endpoint.client().request(request).await
    }

    /// The address answered.
    pub(super) fn succeeded(mut self) -> Arc<Endpoint> {
        if let Some(pass) = self.pass.take() {
            self.endpoint.breaker().succeeded(self.endpoint.clock.now(), pass);
        }
        Arc::clone(&self.endpoint)
    }

    /// It did not, or said itself that it cannot.
    pub(super) fn failed(mut self, failure: Failure) -> Arc<Endpoint> {
        if let Some(pass) = self.pass.take() {
            self.endpoint.breaker().failed(self.endpoint.clock.now(), pass, failure);
        }
        Arc::clone(&self.endpoint)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.endpoint.breaker().abandoned(pass);
        }
    }
}
