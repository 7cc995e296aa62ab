//! A client that sends octets and reads what comes back, and hides nothing.

use std::{io, net::SocketAddr, time::Duration};

use http::Method;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time,
};

/// No answer of these tests takes so long unless it never comes.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

pub(super) struct Wire {
    stream: Box<dyn Socket>,
    buffer: Vec<u8>,
    /// How the other end ended, once it has.
    end: Option<io::Result<()>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The value of a field that comes exactly once, or nothing.
    pub(super) fn field(&self, name: &str) -> &str {
        let mut values = self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let value = values.next().unwrap_or_default();
        assert!(values.next().is_none(), "{name} comes twice");
        value
    }
}

/// A connection to the server.
pub(super) async fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).await.expect("the server listens");
    socket.set_nodelay(true).expect("a socket");
    socket
}

/// A connection whose window is small, so that little is in the kernel when this end does not read.
pub(super) async fn dial_narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    socket.connect(address).await.expect("the server listens")
}

impl Wire {
    pub(super) fn over(stream: impl Socket + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new(), end: None }
    }

    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::over(dial(address).await)
    }

    pub(super) async fn connect_narrow(address: SocketAddr) -> Self {
        Self::over(dial_narrow(address).await)
    }

    pub(super) async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.try_send(octets).await.expect("the server reads");
    }

    /// Sends to a server that may have had enough.
    pub(super) async fn try_send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(octets.as_ref()).await?;
        self.stream.flush().await
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub(super) async fn finish(&mut self) {
        self.stream.shutdown().await.expect("the connection stands");
    }

    /// Sends a GET with further header lines and reads the answer.
    pub(super) async fn get(&mut self, target: &str, fields: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).await;
        self.answer(&Method::GET).await
    }

    /// Reads a head, and leaves the body.
    pub(super) async fn head(&mut self) -> Response {
        let unended = "the connection ended within a head";
        self.head_or_end().await.unwrap_or_else(|| panic!("{unended}: {}", self.buffer.escape_ascii()))
    }

    /// Reads a head; `None` if the connection ends first.
    pub(super) async fn head_or_end(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).expect("a head of ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header field");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Some(Response { status: status.expect("a status line"), fields: fields.collect(), body: Vec::new() })
    }

    /// Reads an answer, whose end is told in whichever way.
    pub(super) async fn answer(&mut self, method: &Method) -> Response {
        let mut response = self.head().await;
        response.body = self.body(method, &response).await;
        response
    }

    pub(super) async fn body(&mut self, method: &Method, head: &Response) -> Vec<u8> {
        if *method == Method::HEAD || matches!(head.status, 204 | 304) {
            return Vec::new();
        }
        match (head.field("transfer-encoding"), head.field("content-length")) {
            ("chunked", "") => self.chunks().await,
            ("", "") => self.rest().await,
            ("", length) => self.exactly(length.parse().expect("a number")).await,
            both => panic!("the end of the body is told in two ways: {both:?}"),
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.line().await;
            let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("{size:?} is the size of no chunk"));
            body.extend(self.exactly(size).await);
            assert_eq!(self.line().await, "", "behind a chunk");
            if size == 0 {
                return body;
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.exactly(1).await);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).expect("ASCII")
    }

    pub(super) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.more().await, "the connection ended after {} of {length} bytes", self.buffer.len());
        }
        self.buffer.drain(..length).collect()
    }

    /// Reads until the connection ends, in whichever way.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the other end, of which everything was read, said that it was one.
    pub(super) fn ended_well(&self) -> bool {
        self.end.as_ref().is_some_and(Result::is_ok)
    }

    async fn more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.buffer);
        match time::timeout(LIMIT, read).await.expect("bytes or the end in time") {
            Ok(count @ 1..) => count > 0,
            ended => {
                self.end = Some(ended.map(drop));
                false
            }
        }
    }
}
