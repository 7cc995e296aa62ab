//! One keep-alive connection: sends a request, takes the response, never blocks.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::net::{RecvFlags, recv};
use rustls::ClientConfig;

use super::{
    response::{Response, Wanted},
    tls::Tls,
};

/// As much of a response as is read where it is looked at: a head, and a small file whole. Other bytes are thrown away unseen.
const FIRST_READ: usize = 4 * 1024;

/// For a connection to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Memory that all connections of one thread read into. Its pages are never touched where the kernel discards bodies.
#[derive(Debug)]
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    pub(super) fn new() -> Self {
        Self(vec![0; 4 * 1024 * 1024])
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    response: Response,
}

impl Connection {
    /// Connects; over TLS the handshake is done when this returns.
    pub(super) fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>, wanted: Wanted) -> Result<Self> {
        let mut stream =
            TcpStream::connect_timeout(&address, CONNECT_LIMIT).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let tls = tls.map(|config| Tls::handshake(config, &mut stream)).transpose()?.map(Box::new);
        stream.set_nonblocking(true)?;
        Ok(Self { stream, tls, response: Response::new(wanted) })
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Sends a request head; the socket's buffer is empty, so it fits.
    pub(super) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.response.begin();
        match &mut self.tls {
            Some(tls) => tls.send(request, &mut self.stream),
            None => self.stream.write_all(request).context("sending a request"),
        }
    }

    /// Whether anything of the response has arrived.
    pub(super) fn has_answer(&self) -> bool {
        self.response.has_begun()
    }

    /// Takes what has arrived. The body's length, once the response is complete.
    pub(super) fn receive(&mut self, scratch: &mut Scratch) -> Result<Option<u64>> {
        if self.tls.is_some() {
            self.receive_sealed(&mut scratch.0)?;
        } else {
            self.receive_plain(&mut scratch.0, usize::MAX)?;
        }
        Ok(self.response.complete())
    }

    /// Takes at most `most` bytes of what has arrived, over plain TCP. How many there were.
    pub(super) fn receive_some(&mut self, scratch: &mut Scratch, most: usize) -> Result<usize> {
        self.receive_plain(&mut scratch.0, most)
    }

    /// Goes on until the response is complete, `most` bytes are taken, or no more have arrived; a read that is short of what
    /// was asked for says so, and the next bytes are a new event.
    fn receive_plain(&mut self, scratch: &mut [u8], most: usize) -> Result<usize> {
        let mut taken = 0;
        while self.response.complete().is_none() && taken < most {
            let room = most - taken;
            let (wanted, arrived) = match self.response.owed() {
                None => {
                    let first = &mut scratch[..FIRST_READ.min(room)];
                    let Some(count) = arrived(self.stream.read(first))? else { break };
                    self.response.take(&first[..count])?;
                    (first.len(), count)
                }
                Some(owed) => {
                    let room = usize::try_from(owed)?.min(scratch.len()).min(room);
                    // tcp(7): MSG_TRUNC throws the bytes away instead of copying them.
                    let discarded = recv(&self.stream, &mut scratch[..room], RecvFlags::TRUNC).map(|(_, count)| count);
                    let Some(count) = arrived(discarded.map_err(io::Error::from))? else { break };
                    self.response.discarded(count as u64)?;
                    (room, count)
                }
            };
            taken += arrived;
            if arrived < wanted {
                break;
            }
        }
        Ok(taken)
    }

    fn receive_sealed(&mut self, scratch: &mut [u8]) -> Result<()> {
        let tls = self.tls.as_mut().context("this connection is over TLS")?;
        let response = &mut self.response;
        loop {
            let Some(count) = arrived(self.stream.read(scratch))? else { return Ok(()) };
            tls.open(&scratch[..count], |bytes| response.take(bytes))?;
            if count < scratch.len() {
                return Ok(());
            }
        }
    }
}

/// How many bytes arrived; `None` if there are none yet.
fn arrived(result: io::Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(0) => bail!("the server closed the connection in the middle"),
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error).context("receiving a response"),
    }
}
