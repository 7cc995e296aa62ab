//! Where something is reached: the HOST:PORT of a URL.

mod place;

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

pub use place::{NoPlace, Place};

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:PORT, such as 192.0.2.7:8001 or node1.example:8001, not {text:?}")]
pub struct InvalidAuthority {
    text: String,
}

/// A host (name, IPv4 or bracketed IPv6) and a port other than 0; safe to print into a URL and a header as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority(Arc<str>);

impl Authority {
    /// HOST:PORT.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(&*self.0, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Where it leads, as far as the text says: a name may lead anywhere until it is resolved, but for `localhost`.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.host().parse() {
            Ok(ip) => Place::of(ip),
            Err(_) if self.is_loopback() => Place::Here,
            Err(_) => Place::Elsewhere,
        }
    }

    /// Whether the address means "this machine" wherever it is read, so that it is useless to anybody else.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost")
            || host.to_ascii_lowercase().ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, InvalidAuthority> {
        let refused = || InvalidAuthority { text: text.chars().take(80).collect() };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port_fits = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
        let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => matches!(inner.parse::<IpAddr>(), Ok(IpAddr::V6(_))),
            None => {
                !host.is_empty()
                    && host.len() <= 253
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            }
        };
        if port_fits && host_fits { Ok(Self(text.into())) } else { Err(refused()) }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_a_port() {
        for good in ["a:1", "10.0.0.1:8001", "[::1]:8001", "node-1.example.org:65535", "localhost:80"] {
            assert_eq!(good.parse::<Authority>().expect("a good address").as_str(), good);
        }
        for bad in
            ["", "a", "a:", ":1", "a:0", "a:70000", "a:+1", "::1:80", "[a]:1", "u@h:1", "a/b:1", "a b:1", "a\r\n:1"]
        {
            assert!(bad.parse::<Authority>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn loopback_is_recognised_by_name_and_by_number() {
        for here in ["localhost:1", "LOCALHOST:1", "127.0.0.9:1", "[::1]:1", "0.0.0.0:1"] {
            assert!(here.parse::<Authority>().expect("valid").is_loopback(), "{here}");
        }
        assert!(!"10.0.0.1:1".parse::<Authority>().expect("valid").is_loopback());
    }
}
