//! A client that sends octets and reads what comes back, and hides nothing.

use std::{net::SocketAddr, time::Duration};

use http::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time,
};

/// No answer of these tests takes so long unless it never comes.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
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

impl Wire {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("the server listens"), buffer: Vec::new() }
    }

    /// A connection whose window is small, so that little is in the kernel when this end does not read.
    pub(super) async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small window");
        Self { stream: socket.connect(address).await.expect("the server listens"), buffer: Vec::new() }
    }

    pub(super) async fn send(&mut self, octets: &str) {
        self.stream.write_all(octets.as_bytes()).await.expect("the server reads");
    }

    /// Sends a GET with further header lines and reads the answer.
    pub(super) async fn get(&mut self, target: &str, fields: &str) -> Response {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).await;
        self.answer(&Method::GET).await
    }

    /// Reads a head, and leaves the body.
    pub(super) async fn head(&mut self) -> Response {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            assert!(
                self.more().await,
                "the connection ended within a head: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).expect("a head of ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header field");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Response { status: status.expect("a status line"), fields: fields.collect(), body: Vec::new() }
    }

    /// Reads an answer of known length.
    pub(super) async fn answer(&mut self, method: &Method) -> Response {
        let mut response = self.head().await;
        if *method != Method::HEAD && !matches!(response.status, 204 | 304) {
            let length = response.field("content-length").parse().expect("an answer of known length");
            response.body = self.exactly(length).await;
        }
        response
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

    async fn more(&mut self) -> bool {
        let read =
            time::timeout(LIMIT, self.stream.read_buf(&mut self.buffer)).await.expect("bytes or the end in time");
        read.is_ok_and(|count| count > 0)
    }
}
