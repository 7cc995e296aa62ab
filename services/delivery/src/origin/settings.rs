//! What an operator says of the origins.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use http::{HeaderMap, uri::Authority};
use rustls::pki_types::CertificateDer;
use url::Url;

use super::s3::Credentials;

/// All origins, and the limits that hold for each of them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The origins, the preferred one first.
    pub origins: Vec<OriginSettings>,
    /// Requests under way to all origins together (HTTP_CONNECTOR_LIMIT).
    pub limit: usize,
    /// Requests under way to one origin (HTTP_CONNECTOR_LIMIT_PER_HOST).
    pub limit_per_origin: usize,
    /// Requests that wait for one of those; more are refused at once.
    pub waiting: usize,
    /// How long one waits.
    pub patience: Duration,
    /// How long an idle connection is kept (HTTP_KEEPALIVE_TIMEOUT).
    pub keep_alive: Duration,
    /// For a connection, TLS included (HTTP_CONNECT_TIMEOUT).
    pub connect: Duration,
    /// For one attempt, up to the response's head (HTTP_TOTAL_TIMEOUT).
    pub head: Duration,
    /// For all attempts at an answer together, waits and other origins included, up to the response's head.
    pub total: Duration,
    /// For the next bytes of a body. It runs only while we wait for the origin, not while the client is slow.
    pub idle: Duration,
    /// How often a GET or HEAD that came to nothing is sent again.
    pub retries: u32,
    /// How long a body that broke off may take to go on, where it can; nothing for never.
    pub resume: Duration,
    /// How long the addresses of an origin's name are used before it is looked up again.
    pub refresh: Duration,
    /// This instance's name in `CDN-Loop` (RFC 8586), such as the node's id: letters, digits, dots, dashes and underscores.
    pub loop_id: String,
}

/// One origin.
#[derive(Debug, Clone)]
pub struct OriginSettings {
    /// Where it is.
    pub base: Base,
    /// What `Host` says instead of the base's authority (PROXY_HOST_HEADER). The certificate is still the base's.
    pub host: Option<Authority>,
    /// Whom its certificate must satisfy (BACKEND_SSL_VERIFY).
    pub trust: Trust,
    /// Header fields of every request, such as credentials of our own.
    pub headers: HeaderMap,
    /// Whether HTTP/2 is offered over TLS.
    pub http2: bool,
    /// Set where it is an S3 bucket that wants signed requests. Only its objects are read, and queries are left out.
    pub s3: Option<Credentials>,
}

/// Whom an origin's certificate must satisfy.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The authorities that this system trusts.
    System,
    /// These authorities and no others.
    Only(Vec<CertificateDer<'static>>),
    /// Nobody: any certificate will do. The connection is then private only against those who merely listen.
    Anyone,
}

/// An origin's address: `http://` or `https://`, an authority, and a path that goes before every target.
#[derive(Clone, PartialEq, Eq)]
pub struct Base(Arc<Url>);

/// Why a text is no origin's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected http://HOST[:PORT][/PREFIX] or https://…, with no user, query or fragment, not {text:?}")]
pub struct InvalidBase {
    text: String,
}

/// Why there are no origins to ask.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOrigins {
    /// The list is empty.
    #[error("no origin is configured")]
    None,
    /// The system's certificates cannot be read, or given ones are no certificates.
    #[error("the certificates that origin {origin} must satisfy cannot be used")]
    Trust {
        /// The origin.
        origin: Base,
        /// What is wrong with them.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `Host` cannot say this.
    #[error("origin {origin} cannot be asked for as {host}")]
    Host {
        /// The origin.
        origin: Base,
        /// What it should be asked for as.
        host: Authority,
    },
}

impl Settings {
    /// The seed's defaults, for these origins.
    #[must_use]
    pub fn new(origins: Vec<OriginSettings>, loop_id: impl Into<String>) -> Self {
        Self {
            origins,
            limit: 100,
            limit_per_origin: 30,
            waiting: 1024,
            patience: Duration::from_secs(5),
            keep_alive: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            head: Duration::from_secs(30),
            total: Duration::from_secs(90),
            idle: Duration::from_secs(30),
            retries: 2,
            resume: Duration::from_secs(30),
            refresh: Duration::from_secs(30),
            loop_id: loop_id.into(),
        }
    }
}

impl OriginSettings {
    /// An origin with no peculiarities.
    #[must_use]
    pub fn new(base: Base) -> Self {
        Self { base, host: None, trust: Trust::System, headers: HeaderMap::new(), http2: true, s3: None }
    }
}

impl Base {
    /// The address of `target`, which begins with a slash, at this origin.
    #[must_use]
    pub fn join(&self, target: &str) -> String {
        let base = self.0.as_str().trim_end_matches('/');
        format!("{base}{target}")
    }

    /// Whether the address has the same scheme, host and port.
    #[must_use]
    pub fn is_authority_of(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// The same address under another name, as `Host` has it; `None` if that is no name.
    #[must_use]
    pub fn called(&self, host: &Authority) -> Option<Self> {
        let text = format!("{}://{host}{}", self.0.scheme(), self.0.path());
        text.parse().ok()
    }

    /// The address of a path and query outside of the base's own path.
    pub(super) fn beside(&self, place: &str) -> String {
        format!("{}{place}", &self.0[..url::Position::BeforePath])
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether connections are TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for Base {
    type Err = InvalidBase;

    fn from_str(text: &str) -> Result<Self, InvalidBase> {
        // What is refused may hold a password: it is not repeated.
        let refused =
            || InvalidBase { text: text.split_once('@').map_or(text, |(_, host)| host).chars().take(200).collect() };
        let url = Url::parse(text).map_err(|_| refused())?;
        let plain = url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none();
        let served = matches!(url.scheme(), "http" | "https") && url.has_host();
        if plain && bare && served { Ok(Self(Arc::new(url))) } else { Err(refused()) }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_an_address_with_an_optional_prefix() {
        for (text, joined) in [
            ("http://o", "http://o/a?b"),
            ("http://o/", "http://o/a?b"),
            ("https://o:8443/files", "https://o:8443/files/a?b"),
            ("http://[::1]:81/x/y/", "http://[::1]:81/x/y/a?b"),
        ] {
            assert_eq!(text.parse::<Base>().expect("a base").join("/a?b"), joined);
        }
        for bad in
            ["", "o", "o:80", "ftp://o", "http://", "http://u@o", "http://u:p@o", "http://o?q", "http://o#f", "/x"]
        {
            assert!(bad.parse::<Base>().is_err(), "{bad:?}");
        }
        let error = "http://user:secret@o".parse::<Base>().expect_err("has a password");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
