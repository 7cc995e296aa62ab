//! Whom an origin's certificate must satisfy.

use std::sync::Arc;

use ferry_runtime::tls::AnyCertificate;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::settings::Trust;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A client's configuration for that trust, which offers these protocols (ALPN).
///
/// # Errors
/// If the system has no certificates, or one of those given is none.
pub fn config(trust: &Trust, protocols: &[&[u8]]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = match trust {
        Trust::System => {
            use hyper_rustls::ConfigBuilderExt as _;
            builder.with_native_roots()?.with_no_client_auth()
        }
        Trust::Only(certificates) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                roots.add(certificate.clone())?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Anyone => {
            let anyone = Arc::new(AnyCertificate::new(provider));
            builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}
