//! An HTTP server with files, to stand behind the nodes: what an operator has before there is ferry.

use std::{
    convert::Infallible,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::workshop::Workshop;

/// What it reads at a time.
const BLOCK: usize = 64 * 1024;

/// A request as the origin saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

pub(crate) struct Origin {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: JoinHandle<()>,
}

impl Origin {
    /// Serves the files below `root`: GET and HEAD, with an ETag, an hour of freshness, one range, and If-Range.
    pub(crate) async fn start(workshop: &Workshop, root: PathBuf) -> Self {
        let address = format!("127.0.0.1:{}", workshop.ports.next());
        let listener = TcpListener::bind(&address).await.expect("a free port");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let accept = async move {
            let mut connections = JoinSet::new(); // ends with this task, and its connections with it
            while let Ok((stream, _)) = listener.accept().await {
                let (root, record) = (root.clone(), Arc::clone(&record));
                let service = service_fn(move |request: Request<Incoming>| {
                    record.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
                        method: request.method().clone(),
                        target: request.uri().to_string(),
                        headers: request.headers().clone(),
                    });
                    let answer = answer(&root, &request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        };
        #[allow(clippy::disallowed_methods, reason = "aborted on drop")]
        let accepting = tokio::spawn(accept);
        Self { address, seen, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn answer(root: &Path, request: &Request<Incoming>) -> Response<Piece> {
    let name = percent_decode_str(request.uri().path().trim_start_matches('/')).decode_utf8_lossy().into_owned();
    let path = root.join(name);
    let Some(length) = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len()) else {
        return respond(StatusCode::NOT_FOUND, &[], Piece::none());
    };
    let etag = format!("\"{length}\"");
    let whole = [
        (header::ETAG, etag.as_str()),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "max-age=3600"),
        (header::CONTENT_TYPE, "application/octet-stream"),
    ];
    let head = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let current = head(header::IF_RANGE).is_none_or(|validator| validator == etag);
    match head(header::RANGE).filter(|_| current && request.method() == Method::GET).map(|text| range(text, length)) {
        // hyper takes the length from the body and sends none of it where the method is HEAD.
        None => respond(StatusCode::OK, &whole, Piece::of(&path, 0, length)),
        Some(None) => respond(StatusCode::RANGE_NOT_SATISFIABLE, &[], Piece::none()),
        Some(Some((first, last))) => {
            let place = format!("bytes {first}-{last}/{length}");
            let headers = [whole.as_slice(), &[(header::CONTENT_RANGE, place.as_str())]].concat();
            respond(StatusCode::PARTIAL_CONTENT, &headers, Piece::of(&path, first, last + 1 - first))
        }
    }
}

/// `bytes=FIRST-` and `bytes=FIRST-LAST`, brought into bounds.
fn range(text: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let end = length.checked_sub(1)?;
    let last = if last.is_empty() { end } else { last.parse::<u64>().ok()?.min(end) };
    (first <= last).then_some((first, last))
}

fn respond(status: StatusCode, headers: &[(header::HeaderName, &str)], body: Piece) -> Response<Piece> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, *value);
    }
    response.body(body).expect("plain headers")
}

/// A part of a file, read as fast as the client takes it.
struct Piece {
    file: Option<File>,
    left: u64,
}

impl Piece {
    fn none() -> Self {
        Self { file: None, left: 0 }
    }

    fn of(path: &Path, first: u64, length: u64) -> Self {
        let mut file = File::open(path).expect("it was there a moment ago");
        file.seek(SeekFrom::Start(first)).expect("a file can be sought in");
        Self { file: Some(file), left: length }
    }
}

impl Body for Piece {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK);
        let Some(file) = self.file.as_mut().filter(|_| size > 0) else { return Poll::Ready(None) };
        let mut block = vec![0; size];
        // Blocks the test's one thread for a read from the page cache: microseconds.
        let read = file.read_exact(&mut block);
        self.left -= size as u64;
        Poll::Ready(Some(read.map(|()| Frame::data(block.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
