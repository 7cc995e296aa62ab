//! An HTTP/1.1 client that does exactly what it is told: follows no redirect by itself, reads as slowly as it is asked
//! to, and hashes what it reads.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Method, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{self, HeaderName},
};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep_until, timeout},
};

use super::samples::hex;

/// Nothing on loopback is silent for so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A slow reader's receive buffer: what is not read soon fills it, and the sender feels it.
const SMALL_BUFFER: u32 = 64 * 1024;
const REDIRECTS: usize = 5;

pub(crate) type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A request that is not sent yet.
#[derive(Clone)]
pub(crate) struct Request {
    method: Method,
    url: String,
    headers: Vec<(HeaderName, String)>,
    kib_per_second: Option<u32>,
}

/// A GET of that URL, `http://HOST:PORT/…`, whose path is sent as it stands.
pub(crate) fn get(url: &str) -> Request {
    Request { method: Method::GET, url: url.to_owned(), headers: Vec::new(), kib_per_second: None }
}

impl Request {
    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// `bytes=FIRST-`: the rest of a download that broke off.
    pub(crate) fn rest_from(self, first: u64) -> Self {
        self.header(header::RANGE, &format!("bytes={first}-"))
    }

    /// Reads the body no faster than this.
    pub(crate) fn kib_per_second(mut self, rate: u32) -> Self {
        self.kib_per_second = Some(rate);
        self
    }

    /// Sends it, and waits for the head of the answer.
    ///
    /// # Panics
    /// When there is no answer: [`Self::try_send`] is for servers that may be away.
    pub(crate) async fn send(self) -> Answer {
        let url = self.url.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The same; a server that does not answer is an error.
    pub(crate) async fn try_send(self) -> Result<Answer, Trouble> {
        timeout(PATIENCE, self.exchange()).await.map_err(|_| format!("no answer within {PATIENCE:?}"))?
    }

    /// Sends it, and the same again wherever a redirect leads.
    ///
    /// # Panics
    /// When there is no answer: [`Self::try_follow`] is for servers that may be away.
    pub(crate) async fn follow(self) -> Answer {
        let url = self.url.clone();
        self.try_follow().await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The same; a server that does not answer is an error.
    pub(crate) async fn try_follow(mut self) -> Result<Answer, Trouble> {
        for _ in 0..REDIRECTS {
            let answer = self.clone().try_send().await?;
            match answer.location() {
                Some(location) => self.url = location.to_owned(),
                None => return Ok(answer),
            }
        }
        Err(format!("more than {REDIRECTS} redirects").into())
    }

    async fn exchange(self) -> Result<Answer, Trouble> {
        let (authority, target) = split(&self.url)?;
        let stream = connect(authority, self.kib_per_second.is_some()).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        #[allow(clippy::disallowed_methods, reason = "a test's connection ends with its answer")]
        tokio::spawn(connection);

        let mut request = hyper::Request::builder().method(self.method).uri(target).header(header::HOST, authority);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let (head, body) = sender.send_request(request.body(Empty::<Bytes>::new())?).await?.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            received: 0,
            digest: Sha256::new(),
            began: Instant::now(),
            kib_per_second: self.kib_per_second,
        })
    }
}

fn split(url: &str) -> Result<(&str, &str), Trouble> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url} is not an http URL"))?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let target = if slash == rest.len() { "/" } else { &rest[slash..] };
    Ok((&rest[..slash], target))
}

async fn connect(authority: &str, slow: bool) -> Result<TcpStream, Trouble> {
    let socket = TcpSocket::new_v4()?;
    if slow {
        socket.set_recv_buffer_size(SMALL_BUFFER)?;
    }
    Ok(socket.connect(authority.parse()?).await?)
}

/// An answer whose head is here and whose body is on its way.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    received: u64,
    digest: Sha256,
    began: Instant,
    kib_per_second: Option<u32>,
}

/// A body that arrived whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) length: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

impl Answer {
    /// A header's text; empty where it is not there.
    pub(crate) fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where a redirect leads; `None` if this is none.
    pub(crate) fn location(&self) -> Option<&str> {
        self.status.is_redirection().then(|| self.header(&header::LOCATION)).filter(|location| !location.is_empty())
    }

    /// HOST:PORT of the node to which this redirects.
    pub(crate) fn target(&self) -> Option<String> {
        split(self.location()?).ok().map(|(authority, _)| authority.to_owned())
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The next piece of the body, at the reader's pace; `None` at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>, Trouble> {
        if let Some(rate) = self.kib_per_second {
            let due = Duration::from_secs_f64(self.received as f64 / (f64::from(rate) * 1024.0));
            sleep_until(self.began + due).await;
        }
        let frame = timeout(PATIENCE, self.body.frame()).await.map_err(|_| format!("silent for {PATIENCE:?}"))?;
        let Some(frame) = frame.transpose()? else { return Ok(None) };
        let data = frame.into_data().unwrap_or_default();
        self.received += data.len() as u64;
        self.digest.update(&data);
        Ok(Some(data))
    }

    /// Reads until `amount` bytes are here, and then no more: the transfer stays under way.
    pub(crate) async fn receive(&mut self, amount: u64) {
        while self.received < amount {
            let piece = self.piece().await.expect("the body goes on");
            assert!(piece.is_some(), "the body ended after {} bytes", self.received);
        }
    }

    /// Reads the rest; an error if the body breaks off.
    pub(crate) async fn finish(mut self) -> Result<Received, Trouble> {
        while self.piece().await?.is_some() {}
        Ok(Received { length: self.received, sha256: hex(&self.digest.finalize()) })
    }

    /// Appends the rest to `bytes`; what arrived before the body broke off is there too.
    pub(crate) async fn append_to(mut self, bytes: &mut Vec<u8>) -> Result<(), Trouble> {
        while let Some(piece) = self.piece().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// The rest, as text.
    pub(crate) async fn text(self) -> String {
        let mut text = Vec::new();
        self.append_to(&mut text).await.expect("the body arrives");
        String::from_utf8(text).expect("the body is text")
    }
}

/// Sends these bytes, whatever they are, and returns all that comes back until the server closes.
pub(crate) async fn raw(address: &str, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("the server is there");
        stream.write_all(bytes).await.expect("the server reads a request's head");
        let mut answer = Vec::new();
        // A server that closes on bytes it did not read resets the connection: what came before that counts.
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8_lossy(&answer).into_owned()
    };
    timeout(PATIENCE, exchange).await.expect("the server closes")
}
