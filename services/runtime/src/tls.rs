//! TLS identities from PEM files.
//!
//! The cryptography is ring's, named explicitly: nothing depends on a provider that somebody installed for the process.

mod any_certificate;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use any_certificate::AnyCertificate;
use rustls::ServerConfig;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

/// Why there is no identity; each variant names the file to look at.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable, or no PEM.
    #[error("could not read {what} from {path}")]
    Read {
        /// What should be there.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: pem::Error,
    },
    /// The file holds no certificate.
    #[error("{path} holds no certificate")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("the key in {key} does not fit the certificate in {certificate}")]
    Mismatch {
        /// The certificates' file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What went wrong.
        #[source]
        cause: rustls::Error,
    },
}

/// A certificate chain, the server's own first.
pub fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |cause| TlsError::Read { what: "certificates", path: path.to_owned(), cause };
    let chain = CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

/// The first private key of a file (PKCS#8, PKCS#1 or SEC1).
pub fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| TlsError::Read {
        what: "a private key",
        path: path.to_owned(),
        cause,
    })
}

/// A server's side of TLS 1.2 and 1.3, without client certificates; `alpn` in order of preference, such as `[b"h2", b"http/1.1"]`.
pub fn server_config(certificate: &Path, key: &Path, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
    let mismatch = |cause| TlsError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned(), cause };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(mismatch)?
        .with_no_client_auth()
        .with_single_cert(load_chain(certificate)?, load_key(key)?)
        .map_err(mismatch)?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let (certificate, key) = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).expect("the directory is writable");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("the directory is writable");
        (certificate, key)
    }

    #[test]
    fn an_identity_that_fits_is_taken() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (certificate, key) = identity(directory.path(), "a");
        let config = server_config(&certificate, &key, &[b"h2", b"http/1.1"]).expect("they fit");
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (certificate, _) = identity(directory.path(), "a");
        let (_, key) = identity(directory.path(), "b");
        let refused = server_config(&certificate, &key, &[]).expect_err("they do not fit");
        assert!(matches!(refused, TlsError::Mismatch { .. }), "{refused:?}");
        assert!(refused.to_string().contains("b.key"), "{refused}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (_, key) = identity(directory.path(), "a");
        let refused = server_config(&directory.path().join("none.pem"), &key, &[]).expect_err("there is no such file");
        assert!(refused.to_string().contains("none.pem"), "{refused}");
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (_, key) = identity(directory.path(), "a");
        assert!(matches!(server_config(&key, &key, &[]), Err(TlsError::NoCertificate { .. })));
    }
}
