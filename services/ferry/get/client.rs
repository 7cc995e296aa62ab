//! One request, with the redirects that it leads through.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use ferry_core::chain::Chain;
use ferry_delivery::origin::{Trust, client_config};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header, response::Parts};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::timeout;
use url::Url;

use super::links;

/// Gateway, node, and the node that a full one sends on to: what needs more is a loop.
const MOST_HOPS: usize = 8;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(3);

/// What the user's own origin is told and no other.
const PRIVATE: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");

/// How requests are made.
#[derive(Debug)]
pub(super) struct Settings {
    /// Whose certificates are good, instead of the system's.
    pub(super) ca: Option<PathBuf>,
    /// How long a server may say nothing.
    pub(super) silence: Duration,
    /// The user's own fields.
    pub(super) headers: HeaderMap,
}

/// Makes requests.
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    silence: Duration,
    fields: HeaderMap,
}

/// A response that is no redirect.
pub(super) struct Arrived {
    pub(super) head: Parts,
    pub(super) body: Incoming,
    /// Who gave it.
    pub(super) from: Url,
    /// Whether a redirect led there.
    pub(super) redirected: bool,
    /// Where else the redirects said that the file is, the best first.
    pub(super) duplicates: Vec<Url>,
}

/// No response: the way to one broke off.
pub(super) struct Lost {
    /// Who did not answer, and why, in words for people.
    pub(super) why: String,
    /// As in [`Arrived`]: they were named before it broke off.
    pub(super) duplicates: Vec<Url>,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let trust = match &settings.ca {
            None => Trust::System,
            Some(path) => {
                let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
                Trust::Only(certificates.with_context(|| format!("could not read {}", path.display()))?)
            }
        };
        let tls = match client_config(&trust, &[]) {
            Ok(tls) => tls,
            // A machine with no certificates can still fetch over plain HTTP.
            Err(_) if settings.ca.is_none() => {
                client_config(&Trust::Only(Vec::new()), &[]).map_err(anyhow::Error::from_boxed)?
            }
            Err(why) => return Err(anyhow::Error::from_boxed(why)),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT.min(settings.silence)));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let mut fields = HeaderMap::from_iter([
            (header::ACCEPT, HeaderValue::from_static("*/*")),
            (header::USER_AGENT, HeaderValue::from_static(concat!("ferry/", env!("CARGO_PKG_VERSION")))),
            (WANT_REPR_DIGEST, HeaderValue::from_static("sha-256=10")),
        ]);
        for name in settings.headers.keys() {
            fields.remove(name);
        }
        fields.extend(settings.headers.clone());
        Ok(Self { pool: Pool::builder(TokioExecutor::new()).build(connector), silence: settings.silence, fields })
    }

    /// How long a server may say nothing.
    pub(super) const fn silence(&self) -> Duration {
        self.silence
    }

    /// The fields of a request for the whole file.
    pub(super) const fn fields(&self) -> &HeaderMap {
        &self.fields
    }

    /// Asks for `url` with these fields. What is private goes to the origin of `home` only. Cancelling it ends the request.
    ///
    /// # Errors
    /// [`Lost`], where somebody on the way did not answer, or the way leads nowhere.
    pub(super) async fn ask(&self, home: &Url, url: &Url, fields: &HeaderMap) -> Result<Arrived, Lost> {
        let mut url = url.clone();
        let mut duplicates = Vec::new();
        for hop in 0..MOST_HOPS {
            let (head, body) = match self.send(home, &url, fields).await {
                Ok(answer) => answer,
                Err(why) => return Err(Lost { why: format!("{}: {why}", place(&url)), duplicates }),
            };
            let Some(next) = location(&url, head.status, &head.headers) else {
                return Ok(Arrived { head, body, from: url, redirected: hop > 0, duplicates });
            };
            let others = links::duplicates(&url, &head.headers);
            if !others.is_empty() {
                duplicates = others;
            }
            url = match next {
                Ok(next) => next,
                Err(why) => return Err(Lost { why: format!("{}: {why}", place(&url)), duplicates }),
            };
        }
        Err(Lost { why: format!("{}: redirected {MOST_HOPS} times", place(home)), duplicates })
    }

    async fn send(&self, home: &Url, url: &Url, fields: &HeaderMap) -> Result<(Parts, Incoming), String> {
        let mut request = Request::get(url.as_str()).body(Empty::new()).map_err(|why| why.to_string())?;
        request.headers_mut().clone_from(fields);
        if url.origin() != home.origin() {
            for name in PRIVATE {
                request.headers_mut().remove(name);
            }
        }
        match timeout(self.silence, self.pool.request(request)).await {
            Ok(Ok(response)) => Ok(response.into_parts()),
            Ok(Err(why)) => Err(Chain(&why).to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.silence)),
        }
    }
}

/// Who is behind a URL, for people: its query may be a secret.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Where a response redirects to; `None` if it does not.
fn location(base: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Result<Url, &'static str>> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = headers.get(header::LOCATION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let url = target.and_then(|target| base.join(target).ok());
    Some(url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or("a redirect that leads nowhere"))
}
