//! Which listeners may be reached from elsewhere.

use std::net::SocketAddr;

use crate::config::Common;

/// Refuses a gRPC or admin listener that other machines can reach in plain text, or over TLS by anybody: it wants TLS and an admin token, unless the
/// operator asked for an open one by name (`--insecure`). The text is a fault for [`crate::config::Reader::fault`].
pub fn check_exposure(listen: SocketAddr, common: &Common, what: &str) -> Result<(), String> {
    if common.insecure || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if common.tls.is_none() {
        return Err(format!(
            "plain-text {what} on an address other than loopback wants --insecure, or tls-cert and tls-key"
        ));
    }
    if common.admin_token_file.is_none() {
        return Err(format!("{what} on an address other than loopback wants admin-token-file, or --insecure"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::TlsFiles,
        telemetry::{Filter, Format},
    };

    fn allowed(listen: &str, insecure: bool, tls: bool, token: bool) -> bool {
        let common = Common {
            insecure,
            tls: tls.then(|| TlsFiles { certificate: "cert.pem".into(), key: "key.pem".into() }),
            admin_token_file: token.then(|| "token".into()),
            tls_listen: None,
            workers: None,
            otlp_endpoint: None,
            trace_sample: 0.0,
            log: Filter::default(),
            log_format: Format::default(),
        };
        check_exposure(listen.parse().expect("an address"), &common, "gRPC").is_ok()
    }

    #[test]
    fn what_is_open_to_all_stays_on_loopback_unless_asked_for() {
        for here in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(allowed(here, false, false, false), "{here}");
        }
        for anywhere in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1"] {
            assert!(!allowed(anywhere, false, false, false), "{anywhere}");
            assert!(!allowed(anywhere, false, false, true), "{anywhere}: a token in plain text is everybody's");
            assert!(!allowed(anywhere, false, true, false), "{anywhere}: TLS alone keeps nobody out");
            assert!(allowed(anywhere, false, true, true), "{anywhere} with TLS and a token");
            assert!(allowed(anywhere, true, false, false), "{anywhere} with --insecure");
        }
    }
}
