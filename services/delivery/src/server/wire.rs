//! What the engine for HTTP/1.1 wants of a socket: octets, and where there is no TLS, the kernel's own way to send a file.

use std::{
    io::{self, IoSlice, Write},
    task::{Context, Poll},
};

use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// How much may wait in a TLS session to be sent, in octets before they are sealed: what is sealed at a time, and what was gathered
/// before it.
const SEALED: usize = 192 * 1024;

/// A connected socket.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The socket, if what is written to it reaches the client as it is.
    fn plain(&self) -> Option<&TcpStream>;

    /// The socket below, for its options.
    fn socket(&self) -> &TcpStream;

    /// Whether a read is worth a buffer. It may still find nothing; the waker is heard either way.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Over TLS, seals octets, which wait in the session until they are sent; how many, no more than it has room for. Records
    /// are as large as they can be: they span pieces. Without TLS, none.
    fn seal(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether anything waits in the session to be sent.
    fn has_sealed(&self) -> bool;

    /// Sends of what waits in the session as much as the socket takes at once; how many octets.
    fn send_sealed(&mut self) -> io::Result<usize>;
}

/// Hands pieces to a socket, and says how many octets it took at once.
pub(super) fn send_now(socket: &TcpStream, pieces: &[IoSlice<'_>], flags: SendFlags) -> io::Result<usize> {
    let wanted = pieces.iter().map(|piece| piece.len()).sum();
    let mut taken = 0;
    let sent = socket.try_io(Interest::WRITABLE, || {
        taken = rustix::net::sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), flags)?;
        // A part means that the socket is full: to say so saves the call that would find it out.
        if taken < wanted { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match sent {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(taken),
    }
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

    fn seal(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn has_sealed(&self) -> bool {
        false
    }

    fn send_sealed(&mut self) -> io::Result<usize> {
        Ok(0)
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

    fn seal(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let (_, session) = self.get_mut();
        session.set_buffer_limit(Some(SEALED));
        session.writer().write_vectored(pieces)
    }

    fn has_sealed(&self) -> bool {
        self.get_ref().1.wants_write()
    }

    fn send_sealed(&mut self) -> io::Result<usize> {
        let (socket, session) = self.get_mut();
        session.write_tls(&mut Records(socket))
    }
}

/// Where a session writes its records to: all of them at once, so that they leave in one call. Takes none from a socket that is full.
struct Records<'a>(&'a TcpStream);

impl Write for Records<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, records: &[IoSlice<'_>]) -> io::Result<usize> {
        send_now(self.0, records, SendFlags::NOSIGNAL)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
