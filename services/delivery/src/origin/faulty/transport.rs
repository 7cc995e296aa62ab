//! How the faulty origin is reached: plain, over TLS in good order, or over TLS that no client should accept.

use std::{future, sync::Arc};

use ferry_runtime::tasks::Tasks;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use socket2::{SockRef, Socket};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{State, http1, http2};

/// What a client finds at the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 without TLS.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
    /// TLS with a certificate that is over.
    Expired,
    /// TLS with a certificate for another name.
    Misnamed,
    /// It accepts connections, and says nothing where TLS should begin.
    MuteTls,
    /// It answers TLS with something else.
    NoTls,
}

impl Transport {
    /// Whether it speaks HTTP to a client that trusts its certificate.
    const fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Http2 => &[b"h2"],
            Self::Plain | Self::Tls | Self::Expired | Self::Misnamed | Self::MuteTls | Self::NoTls => &[],
        }
    }

    /// What it needs for TLS: a certificate that it signed itself.
    pub(super) fn secure(self) -> Option<(TlsAcceptor, CertificateDer<'static>)> {
        if self == Self::Plain {
            return None;
        }
        let name = if self == Self::Misnamed { "elsewhere.example" } else { "127.0.0.1" };
        let mut wanted = rcgen::CertificateParams::new(["localhost".to_owned(), name.to_owned()]).expect("good names");
        if self == Self::Misnamed {
            wanted.subject_alt_names.remove(0);
        }
        if self == Self::Expired {
            wanted.not_after = rcgen::date_time_ymd(2001, 1, 1);
            wanted.not_before = rcgen::date_time_ymd(2000, 1, 1);
        }
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        let certificate = wanted.self_signed(&key).expect("a certificate can be made").der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("they belong together");
        config.alpn_protocols = self.alpn().iter().map(|protocol| protocol.to_vec()).collect();
        Some((TlsAcceptor::from(Arc::new(config)), certificate))
    }
}

/// Serves one connection. How it ends is for the client to judge.
pub(super) async fn serve(
    mut socket: TcpStream,
    transport: Transport,
    acceptor: Option<TlsAcceptor>,
    state: Arc<State>,
    tasks: Tasks,
) {
    let Ok(raw) = SockRef::from(&socket).try_clone() else { return };
    match (transport, acceptor) {
        (Transport::MuteTls, _) => future::pending().await,
        (Transport::NoTls, _) => {
            let _sent = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
        (_, Some(acceptor)) => secured(socket, raw, acceptor, state, tasks).await,
        (_, None) => {
            let _ended = http1::serve(socket, raw, state).await;
        }
    }
}

async fn secured(socket: TcpStream, raw: Socket, acceptor: TlsAcceptor, state: Arc<State>, tasks: Tasks) {
    let Ok(stream) = acceptor.accept(socket).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let _ended = http2::serve(stream, state, tasks).await;
    } else {
        let _ended = http1::serve(stream, raw, state).await;
    }
}
