//! The way to the coordinators: how one is dialled, and which of them a node or a gateway keeps a stream to.
//!
//! A coordinator is configured by a URL, or discovered: the others name it. [`Links`] keeps one stream to each, redials what is
//! lost, and never holds two streams to one coordinator that has two names. What is said on a stream is its user's business.

mod board;
mod links;
mod names;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::client::legacy::connect::HttpConnector;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use self::names::Shuffled;
pub use self::{
    board::Status,
    links::{Ending, Link, Links},
};
use crate::config::BaseUrl;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(2);

/// Pings on a silent connection: a frozen coordinator is noticed within twice this, well before anybody waits for its word.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_LIMIT: Duration = Duration::from_secs(2);

/// Why a coordinator cannot even be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The file with the authorities cannot be read.
    #[error("could not read the coordinators' authorities from {path}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// The URL or the authorities are of no use.
    #[error("cannot dial {url}")]
    Endpoint {
        /// The coordinator.
        url: String,
        /// What tonic says.
        #[source]
        cause: tonic::transport::Error,
    },
}

/// A channel to a coordinator, which connects when it is first used, to any address of its name that takes the connection. An `https` URL is
/// checked against the authorities of `ca` (a PEM file), else against those that the system trusts.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn dial(url: &BaseUrl, ca: Option<&Path>) -> Result<Channel, DialError> {
    let failed = |cause| DialError::Endpoint { url: url.to_string(), cause };
    let mut endpoint = Endpoint::from_shared(url.origin())
        .map_err(failed)?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_LIMIT)
        .keep_alive_while_idle(true);
    if url.is_tls() {
        let tls = match ca {
            None => ClientTlsConfig::new().with_enabled_roots(),
            Some(path) => {
                let pem =
                    std::fs::read(path).map_err(|cause| DialError::Authorities { path: path.to_owned(), cause })?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
        };
        endpoint = endpoint.tls_config(tls).map_err(failed)?;
    }
    let mut connector = HttpConnector::new_with_resolver(Shuffled::system());
    connector.enforce_http(false); // what TLS there is, tonic puts around it
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT)); // each of several addresses has its part of that
    Ok(endpoint.connect_with_connector_lazy(connector))
}
