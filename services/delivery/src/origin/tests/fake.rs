//! An origin that sends exactly what a test wants, right or wrong.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ferry_runtime::tasks::Tasks;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

type Reply = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What happens after the reply.
#[derive(Clone, Copy)]
enum After {
    NextRequest,
    Close,
    /// So many bytes of body.
    Body(u64),
    /// So many single bytes of body, each after a pause.
    Drops(u64, Duration),
}

pub(super) struct Fake {
    base: String,
    seen: Arc<Seen>,
    certificate: Option<CertificateDer<'static>>,
    _tasks: Tasks,
}

#[derive(Default)]
struct Seen {
    heads: Mutex<Vec<String>>,
    connections: AtomicUsize,
    written: AtomicUsize,
}

impl Fake {
    /// Answers every request with these octets, and waits for the next one on the same connection.
    pub(super) async fn always(reply: &'static str) -> Self {
        Self::start(Arc::new(move |_| reply.to_owned()), After::NextRequest, None).await
    }

    /// Sends these octets and closes the connection.
    pub(super) async fn then_close(reply: &'static str) -> Self {
        Self::start(Arc::new(move |_| reply.to_owned()), After::Close, None).await
    }

    /// Answers by path and query.
    pub(super) async fn by_path(reply: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(reply), After::NextRequest, None).await
    }

    /// A body of that many bytes, as fast as it is taken.
    pub(super) async fn endless(length: u64) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        Self::start(Arc::new(move |_| head.clone()), After::Body(length), None).await
    }

    /// A body of that many bytes, one at a time.
    pub(super) async fn trickle(length: u64, pause: Duration) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        Self::start(Arc::new(move |_| head.clone()), After::Drops(length, pause), None).await
    }

    /// The first of them, over TLS.
    pub(super) async fn tls(reply: &'static str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let certificate = made.cert.der().clone();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("they belong together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let reply: Reply = Arc::new(move |_| reply.to_owned());
        Self::start(reply, After::NextRequest, Some((acceptor, certificate))).await
    }

    async fn start(reply: Reply, after: After, tls: Option<(TlsAcceptor, CertificateDer<'static>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (tasks, seen) = (Tasks::new(), Arc::new(Seen::default()));
        let (acceptor, certificate) = tls.unzip();
        let scheme = if certificate.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let (within, noting) = (tasks.clone(), Arc::clone(&seen));
        tasks.spawn("fake origin", async move {
            while let Ok((socket, _)) = listener.accept().await {
                noting.connections.fetch_add(1, Relaxed);
                let (reply, seen, acceptor) = (Arc::clone(&reply), Arc::clone(&noting), acceptor.clone());
                within.spawn("fake connection", async move {
                    match acceptor {
                        None => serve(Box::new(socket), reply, after, seen).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(socket).await {
                                serve(Box::new(stream), reply, after, seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { base: format!("{scheme}:{port}"), seen, certificate, _tasks: tasks }
    }

    pub(super) fn base(&self) -> String {
        self.base.clone()
    }

    pub(super) fn authority(&self) -> &str {
        self.base.split_once("//").expect("a URL").1
    }

    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone().expect("an origin with TLS")
    }

    /// The heads of all requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.seen.heads.lock().expect("nobody panicked").clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Relaxed)
    }

    /// Bytes of bodies that the kernel took.
    pub(super) fn written(&self) -> usize {
        self.seen.written.load(Relaxed)
    }
}

/// An address at which nobody listens.
pub(super) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}

/// A certificate of the same name and another key.
pub(super) fn other_certificate() -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    made.cert.der().clone()
}

/// Boxed, so that plain and TLS connections are the same task.
fn serve(
    mut socket: Box<dyn Socket>,
    reply: Reply,
    after: After,
    seen: Arc<Seen>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut buffer = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at + 4;
                }
                if !matches!(socket.read_buf(&mut buffer).await, Ok(1..)) {
                    return;
                }
            };
            let head = String::from_utf8(buffer.drain(..end).collect()).expect("a head of ASCII");
            let path = head.split(' ').nth(1).expect("a request line").to_owned();
            seen.heads.lock().expect("nobody panicked").push(head);
            if socket.write_all(reply(&path).as_bytes()).await.is_err() {
                return;
            }
            // What is buffered for TLS must leave before the next read.
            let _ = socket.flush().await;
            match after {
                After::NextRequest => {}
                After::Close => return,
                After::Drops(length, pause) => {
                    for _ in 0..length {
                        tokio::time::sleep(pause).await;
                        if socket.write_all(b"x").await.is_err() {
                            return;
                        }
                    }
                }
                After::Body(length) => {
                    let mut left = length;
                    while left > 0 {
                        let chunk = &[7; 64 << 10][..usize::try_from(left.min(64 << 10)).expect("a chunk")];
                        if socket.write_all(chunk).await.is_err() {
                            return;
                        }
                        seen.written.fetch_add(chunk.len(), Relaxed);
                        left -= chunk.len() as u64;
                    }
                }
            }
        }
    })
}
