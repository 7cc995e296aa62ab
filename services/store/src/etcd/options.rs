//! How to reach etcd, and as whom.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

use crate::error::Error;

/// The prefix of all keys, unless another is configured. Its last part is the version of what the keys hold.
pub const DEFAULT_PREFIX: &str = "/ferry/v1/";

/// Well below [`super::CALL_LIMIT`], so that a write, too, finds another member when one's machine is off.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// Notices a connection that died in silence under an idle client. Not sooner: etcd closes connections that ping more often
/// than every 5 s (`--grpc-keepalive-min-time`). Watches and requests notice sooner, by limits of their own.
const PING_EVERY: Duration = Duration::from_secs(8);
const PING_LIMIT: Duration = Duration::from_secs(3);

/// Where etcd is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// `http://HOST:PORT` or `https://HOST:PORT` of each member.
    pub endpoints: Vec<String>,
    /// Put before every key; clusters with different prefixes share an etcd and see nothing of each other.
    pub prefix: String,
    /// For `https` endpoints.
    pub tls: Option<EtcdTls>,
    /// For an etcd with authentication.
    pub credentials: Option<Credentials>,
}

/// PEM files, read anew at every connection, so that renewed certificates are taken up.
#[derive(Debug, Clone)]
pub struct EtcdTls {
    /// The authorities that etcd's certificate must come from.
    pub ca: PathBuf,
    /// Our certificate (with its chain) and its key, where etcd asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// An etcd user.
#[derive(Clone)]
pub struct Credentials {
    /// Its name.
    pub user: String,
    /// Its password; in no log.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl EtcdOptions {
    /// These endpoints, [`DEFAULT_PREFIX`], no TLS, no user.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            prefix: DEFAULT_PREFIX.to_owned(),
            tls: None,
            credentials: None,
        }
    }

    /// Finds what can never work, without touching network or disk.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.endpoints.is_empty() {
            return Err(Error::refused("no etcd endpoint is configured"));
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        for endpoint in &self.endpoints {
            let uri = endpoint.parse::<tonic::transport::Uri>().ok();
            let fits = uri.is_some_and(|uri| {
                uri.scheme_str() == Some(scheme) && uri.port_u16().is_some() && matches!(uri.path(), "" | "/")
            });
            if !fits {
                let tls = if self.tls.is_some() { "with" } else { "without" };
                return Err(Error::refused(format!(
                    "etcd endpoint {endpoint:?}: expected {scheme}://HOST:PORT ({tls} TLS options)"
                )));
            }
        }
        Ok(())
    }

    /// The client library's form of these options.
    pub(super) async fn for_connecting(&self) -> Result<ConnectOptions, Error> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_LIMIT)
            .with_keep_alive(PING_EVERY, PING_LIMIT)
            .with_keep_alive_while_idle(false)
            // A member that lost its majority says so, instead of leaving a watch in peace for ever.
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(credentials) = &self.credentials {
            options = options.with_user(&credentials.user, &credentials.password);
        }
        if let Some(tls) = self.tls.clone() {
            let read = tokio::task::spawn_blocking(move || tls.read()).await;
            options = options.with_tls(read.map_err(|_| Error::unavailable("reading the TLS files was cut short"))??);
        }
        Ok(options)
    }
}

impl EtcdTls {
    fn read(&self) -> Result<TlsOptions, Error> {
        let options = TlsOptions::new().ca_certificate(Certificate::from_pem(pem(&self.ca)?));
        Ok(match &self.identity {
            Some((certificate, key)) => options.identity(Identity::from_pem(pem(certificate)?, pem(key)?)),
            None => options,
        })
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::refused(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_whose_scheme_fits_the_tls_options() {
        let with = |endpoint: &str, tls: bool| {
            let tls = tls.then(|| EtcdTls { ca: "ca.pem".into(), identity: None });
            EtcdOptions { tls, ..EtcdOptions::new([endpoint]) }.check()
        };
        assert_eq!(with("http://a:2379", false), Ok(()));
        assert_eq!(with("https://a:2379", true), Ok(()));
        for (endpoint, tls) in
            [("https://a:2379", false), ("http://a:2379", true), ("a:2379", false), ("http://a", false), ("", false)]
        {
            assert!(matches!(with(endpoint, tls), Err(Error::Refused { .. })), "{endpoint:?} was accepted");
        }
        assert!(EtcdOptions::new(Vec::<String>::new()).check().is_err());
    }

    #[test]
    fn a_password_is_in_no_log() {
        let credentials = Some(Credentials { user: "ferry".into(), password: "hunter2".into() });
        let shown = format!("{:?}", EtcdOptions { credentials, ..EtcdOptions::new(["http://a:1"]) });
        assert!(shown.contains("ferry") && !shown.contains("hunter2"), "{shown}");
    }
}
