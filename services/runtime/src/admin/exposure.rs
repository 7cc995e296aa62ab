//! Which listeners may be reached from elsewhere.

use std::net::SocketAddr;

/// Refuses a plain-text gRPC or admin listener that other machines can reach, unless the operator asked for it by name.
/// The text is a fault for [`crate::config::Reader::fault`].
pub fn check_exposure(listen: SocketAddr, insecure: bool, tls: bool, what: &str) -> Result<(), String> {
    if insecure || tls || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(format!("plain-text {what} on an address other than loopback wants --insecure, or tls-cert and tls-key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(listen: &str, insecure: bool, tls: bool) -> bool {
        check_exposure(listen.parse().expect("an address"), insecure, tls, "gRPC").is_ok()
    }

    #[test]
    fn plain_text_stays_on_loopback_unless_asked_for() {
        for here in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(allowed(here, false, false), "{here}");
        }
        for anywhere in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1"] {
            assert!(!allowed(anywhere, false, false), "{anywhere}");
            assert!(allowed(anywhere, true, false), "{anywhere} with --insecure");
            assert!(allowed(anywhere, false, true), "{anywhere} with TLS");
        }
    }
}
