//! What the engine for HTTP/1.1 wants of a socket: octets, and where there is no TLS, the kernel's own way to send a file.

use std::{
    io,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// A connected socket.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The socket, if what is written to it reaches the client as it is.
    fn plain(&self) -> Option<&TcpStream>;

    /// The socket below, for its options.
    fn socket(&self) -> &TcpStream;

    /// Whether a read is worth a buffer. It may still find nothing; the waker is heard either way.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Wire for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn socket(&self) -> &TcpStream {
        self
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }
}

impl Wire for TlsStream<TcpStream> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn poll_readable(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Octets may wait behind the socket already, decrypted.
        Poll::Ready(Ok(()))
    }
}
