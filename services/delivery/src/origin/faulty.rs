//! An origin that misbehaves on command: the failing twin of every HTTP server, for tests.
//!
//! It has one object, of any length, at every path, and serves it as a good server does: ranges, conditions, validators. What
//! [`Fault`]s say is spoiled, request by request. Every byte of the object is known ([`Content`]), so that a test can tell right bytes from
//! others without keeping them.

mod content;
mod http1;
mod http2;
mod reply;
mod transport;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ferry_runtime::tasks::Tasks;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;

pub use content::Content;
pub use transport::Transport;

use reply::Reply;

/// What is wrong with one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It comes in sixteen pieces, with a pause before each.
    Slow(Duration),
    /// The head comes after a pause.
    Late(Duration),
    /// No head ever comes.
    Silent,
    /// What comes is not HTTP; over HTTP/2, the stream is reset before the head.
    Garbage,
    /// The connection is closed before the head.
    Unheard,
    /// Nothing more comes after so many bytes of the body.
    Hang(u64),
    /// The connection is reset after so many; over HTTP/2, the stream is.
    Reset(u64),
    /// The connection is closed after so many.
    Close(u64),
    /// The connection is closed after so many; over HTTP/2 with a GOAWAY that disowns its streams.
    GoAway(u64),
    /// The answer is whole, and the last one on its connection: `Connection: close`, or a GOAWAY.
    Last,
    /// `Content-Length` promises so many bytes that never come.
    Overlong(u64),
    /// So many bytes come that `Content-Length` did not announce.
    Overfull(u64),
    /// No length is announced.
    Chunked,
    /// No length is announced, and it breaks off after so many bytes.
    ChunkedClose(u64),
    /// No length is announced, and so many bytes are all there is.
    Stub(u64),
    /// A 206 says that it begins one byte later than it does.
    Shifted,
    /// A 206 does not say what it is a part of.
    Unlabelled,
    /// A 206 has fewer bytes than its range.
    Miscounted,
    /// A 206 has fewer bytes than its range, and announces no length.
    Short {
        /// Whether it has validators.
        tagged: bool,
    },
    /// A range is answered with the whole.
    Whole,
    /// From now on there is another object, with another entity tag.
    Renewed,
    /// From now on there is another object; this answer is a part of it, whatever `If-Range` says.
    Careless,
    /// The entity tag is weak.
    Weak,
    /// There are no validators.
    Untagged,
    /// It says that it is compressed, and is not.
    GzipLie,
    /// That status, without content.
    Status(u16),
    /// That status, with a field.
    StatusWith(u16, &'static str, &'static str),
    /// A redirect to there.
    Redirect(String),
    /// Two at once, such as a weak entity tag and a body that breaks off.
    Both(Box<[Fault; 2]>),
}

/// A request as the origin saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The fields; `host` also where it was `:authority`.
    pub headers: HeaderMap,
    /// The content.
    pub body: Vec<u8>,
    /// Whether it came over HTTP/2.
    pub http2: bool,
}

/// The origin. It ends with its last handle.
pub struct Faulty {
    address: SocketAddr,
    transport: Transport,
    certificate: Option<CertificateDer<'static>>,
    state: Arc<State>,
    tasks: Tasks,
}

/// What all connections share.
struct State {
    content: Content,
    version: AtomicU64,
    plan: Mutex<Plan>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    sent: AtomicU64,
}

struct Plan {
    next: VecDeque<Fault>,
    always: Fault,
    fields: HeaderMap,
}

impl Fault {
    /// Two at once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::Both(Box::new([self, other]))
    }

    /// Whether it is that one, or has it in it.
    fn has(&self, fault: &Self) -> bool {
        self == fault || matches!(self, Self::Both(both) if both.iter().any(|one| one.has(fault)))
    }
}

impl Faulty {
    /// An origin of an object of `length` bytes, on a free port of the loopback.
    ///
    /// # Panics
    ///
    /// Where there is no port, or outside a tokio runtime.
    pub async fn start(transport: Transport, length: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (acceptor, certificate) = transport.secure().unzip();
        let state = Arc::new(State {
            content: Content::new(length),
            version: AtomicU64::new(1),
            plan: Mutex::new(Plan { next: VecDeque::new(), always: Fault::None, fields: HeaderMap::new() }),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
        });
        let tasks = Tasks::new();
        let (within, shared) = (tasks.clone(), Arc::clone(&state));
        tasks.spawn("faulty origin", async move {
            while let Ok((socket, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Relaxed);
                let (state, acceptor, tasks) = (Arc::clone(&shared), acceptor.clone(), within.clone());
                within.spawn("faulty connection", transport::serve(socket, transport, acceptor, state, tasks));
            }
        });
        Self { address, transport, certificate, state, tasks }
    }

    /// What is wrong with the next answers, one each; after that, all is well again.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.plan().next.extend(faults);
    }

    /// What is wrong with every answer that [`Self::next`] says nothing of.
    pub fn always(&self, fault: Fault) {
        self.state.plan().always = fault;
    }

    /// A field of every answer that has the object, such as `Cache-Control`.
    pub fn say(&self, name: &'static str, value: &'static str) {
        self.state.plan().fields.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }

    /// From now on there is another object of the same length.
    pub fn change(&self) {
        self.state.version.fetch_add(1, Relaxed);
    }

    /// The object.
    #[must_use]
    pub fn content(&self) -> Content {
        self.state.content
    }

    /// Which object there is, counted from 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state.version.load(Relaxed)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it speaks.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Its certificate, where it has one.
    #[must_use]
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.certificate.clone()
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Relaxed)
    }

    /// How many bytes of bodies were handed to the system so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Relaxed)
    }

    /// Ends it: connections break, and nobody listens any more.
    pub async fn stop(self) {
        // Nothing of it watches for the stop: what is left is dropped at once.
        let _dropped = self.tasks.finish(Duration::ZERO).await;
    }
}

impl State {
    /// Notes a request, and decides what it gets.
    fn answer(&self, seen: Seen) -> Reply {
        let (fault, fields) = {
            let mut plan = self.plan();
            (plan.next.pop_front().unwrap_or_else(|| plan.always.clone()), plan.fields.clone())
        };
        if fault.has(&Fault::Renewed) || fault.has(&Fault::Careless) {
            self.version.fetch_add(1, Relaxed);
        }
        let reply = Reply::to(&seen, self.content, self.version.load(Relaxed), &fault, fields);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        reply
    }

    fn count(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
