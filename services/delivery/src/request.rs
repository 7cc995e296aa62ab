//! A request as it is after the door: whatever was ambiguous or broken in its head was refused before.
//!
//! The engine (hyper now) parses octets; what it lets through is checked here once more against RFC 9110 and 9112, so that
//! no handler has to.

pub mod host;

use std::{net::SocketAddr, sync::Mutex, sync::PoisonError};

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header,
    uri::{Authority, PathAndQuery},
};

use crate::{answer::Answer, semantics::methods, stream::ByteStream};

/// The longest request target that is served. RFC 9112 section 3 asks for at least 8000 octets.
pub const LONGEST_TARGET: usize = 8 * 1024;

/// The most octets that all header fields may have together.
pub const LARGEST_HEADERS: usize = 32 * 1024;

/// The most octets that a head may have: what a target and the fields may take, and the rest of the request line.
pub(crate) const LARGEST_HEAD: usize = LARGEST_HEADERS + LONGEST_TARGET + 8 * 1024;

/// What a field takes of [`LARGEST_HEADERS`]: its name and value in octets, the colon, the blank and the line's end.
pub(crate) const fn size_of_field(name: usize, value: usize) -> usize {
    name + value + 4
}

/// A request whose head is sound.
#[derive(Debug)]
pub struct Request {
    /// The method; never CONNECT or TRACE.
    pub method: Method,
    /// What is asked for.
    pub target: Target,
    /// The host and port that the client believes it talks to; `None` only in HTTP/1.0. Nothing may be connected to on its
    /// word.
    pub host: Option<Authority>,
    /// The protocol version.
    pub version: Version,
    /// The header fields.
    pub headers: HeaderMap,
    /// The content, if there is any.
    pub content: Content,
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// Whether the connection is TLS.
    pub secure: bool,
    /// Whether it is a GET with nothing in it that bears on the answer but the path, as far as the engine looked.
    pub plain: bool,
}

/// The path and the query of a request target, still encoded; the path begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(PathAndQuery);

/// The content of a request, which at most one reader gets.
#[derive(Debug, Default)]
pub struct Content(Mutex<Option<ByteStream>>);

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// Whether the connection is TLS.
    pub secure: bool,
}

/// Why a request is answered at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// RFC 9112 section 3.2: exactly one valid `Host`, and one that agrees with HTTP/2's `:authority`.
    #[error("the request's host is missing, repeated, invalid or contradictory")]
    Host,
    /// The target is of no form that an origin server answers (RFC 9112 section 3.2).
    #[error("the request target has a form that is not served")]
    Target,
    /// What is asked for as `https` must come over it (RFC 9110 section 7.4). HTTP/2's `:scheme` is let off: it comes from whoever
    /// ended the client's TLS.
    #[error("what is asked for as https is not served over a connection without TLS")]
    Scheme,
    /// The target is longer than [`LONGEST_TARGET`].
    #[error("the request target is too long")]
    TargetTooLong,
    /// The header fields are larger than [`LARGEST_HEADERS`].
    #[error("the request's header fields are too large")]
    HeadersTooLarge,
    /// Chunks in chunks (RFC 9112 section 7.1): where such content ends, its readers disagree.
    #[error("the request's content is chunked more than once")]
    Chunks,
    /// A transfer coding besides chunks (RFC 9112 section 6.1).
    #[error("the request's transfer coding is not known")]
    Coding,
    /// CONNECT or TRACE: there is no tunnel here, and nobody needs his own header fields back.
    #[error("the method is not served")]
    Method,
    /// `OPTIONS *`, which asks about the server and not about anything on it.
    #[error("these methods are served")]
    Server,
}

impl Request {
    /// Checks a head that an engine has parsed.
    pub fn admit(head: http::request::Parts, content: Content, arrival: Arrival) -> Result<Self, Refusal> {
        let http::request::Parts { method, uri, version, headers, .. } = head;
        if headers.iter().map(|(name, value)| size_of_field(name.as_str().len(), value.len())).sum::<usize>()
            > LARGEST_HEADERS
        {
            return Err(Refusal::HeadersTooLarge);
        }
        if headers.contains_key(header::TRANSFER_ENCODING) {
            chunked_once(&headers)?;
        }
        let host = host::of(&uri, version, &headers)?;
        if method == Method::CONNECT || method == Method::TRACE {
            return Err(Refusal::Method);
        }
        if version < Version::HTTP_2 && !arrival.secure && uri.scheme_str() == Some("https") {
            return Err(Refusal::Scheme);
        }
        let target = Target::of(uri, &method)?;
        let Arrival { peer, local, secure } = arrival;
        Ok(Self { method, target, host, version, headers, content, peer, local, secure, plain: false })
    }

    /// A request that came over no connection: for probes of a node by itself, and for tests.
    ///
    /// `target` is a path with its leading slash and an optional query.
    pub fn internal(method: Method, target: &str) -> Result<Self, Refusal> {
        let uri: Uri = target.parse().map_err(|_| Refusal::Target)?;
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self {
            target: Target::of(uri, &method)?,
            method,
            host: None,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            content: Content::default(),
            peer: nobody,
            local: nobody,
            secure: false,
            plain: false,
        })
    }
}

/// The one transfer coding that is read, once.
fn chunked_once(headers: &HeaderMap) -> Result<(), Refusal> {
    let values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let codings = values.flat_map(|value| value.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    let (chunks, others): (Vec<_>, Vec<_>) =
        codings.filter(|coding| !coding.is_empty()).partition(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    match (chunks.len(), others.is_empty()) {
        (_, false) => Err(Refusal::Coding),
        (0 | 1, true) => Ok(()),
        (_, true) => Err(Refusal::Chunks),
    }
}

impl Target {
    fn of(uri: Uri, method: &Method) -> Result<Self, Refusal> {
        if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
            return Err(Refusal::Target);
        }
        let target = uri.into_parts().path_and_query.ok_or(Refusal::Target)?;
        if target.as_str().len() > LONGEST_TARGET {
            return Err(Refusal::TargetTooLong);
        }
        if target.path() == "*" && *method == Method::OPTIONS {
            return Err(Refusal::Server);
        }
        match target.as_str().chars().next() {
            Some('/') => Ok(Self(target)),
            // An absolute form with a query right after the authority: the path is empty, which means "/" (RFC 9110 section 4.2.3).
            Some('?') => format!("/{}", target.as_str()).parse().map(Self).map_err(|_| Refusal::Target),
            _ => Err(Refusal::Target),
        }
    }

    /// The path, encoded as it came, with its leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The query without the question mark, encoded as it came.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.0.query()
    }

    /// Path and query as they came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Content {
    /// Content to come.
    #[must_use]
    pub fn of(stream: ByteStream) -> Self {
        Self(Mutex::new(Some(stream)))
    }

    /// Whether there is nothing to read: none was announced, or somebody took it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Takes the content, once.
    #[must_use]
    pub fn take(&self) -> Option<ByteStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Refusal {
    /// The answer; the connection closes after it, since a peer that sends such heads may mean something else by what follows.
    #[must_use]
    pub fn answer(self) -> Answer {
        let status = match self {
            Self::Host | Self::Target | Self::Chunks => StatusCode::BAD_REQUEST,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::Scheme => StatusCode::MISDIRECTED_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Server => return methods::options(),
        };
        let answer = Answer::text(status, self.to_string()).closing();
        match self {
            Self::Method => answer.with(header::ALLOW, HeaderValue::from_static(methods::ALLOW)),
            Self::Host
            | Self::Target
            | Self::Scheme
            | Self::TargetTooLong
            | Self::HeadersTooLarge
            | Self::Chunks
            | Self::Coding
            | Self::Server => answer,
        }
    }
}

#[cfg(test)]
mod tests;
