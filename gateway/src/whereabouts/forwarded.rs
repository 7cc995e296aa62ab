//! Which address a client has, by the word of the proxies in front of this gateway.
//!
//! Pure. Every proxy adds, at the end, from where it was asked; so the list is read from its end, for as long as those who speak are trusted. What
//! stands before that anybody may have written.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header::FORWARDED};

/// The field in which proxies say whom they speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddressHeader {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Addresses with commas between them: `X-Forwarded-For`, or one with a single address.
    List(HeaderName),
}

impl AddressHeader {
    pub(crate) fn named(name: HeaderName) -> Self {
        if name == FORWARDED { Self::Forwarded } else { Self::List(name) }
    }

    /// The client for whom `peer`, a trusted proxy, asks: the last address that is no trusted proxy's. Where all are, the first; where something
    /// is no address, the proxy that wrote it down is all that is known.
    pub(crate) fn client(&self, fields: &HeaderMap, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
        let name = match self {
            Self::Forwarded => &FORWARDED,
            Self::List(name) => name,
        };
        let mut client = peer;
        // No address has a comma in it. A quoted text may, and is taken for two texts, neither of which is an address then: the walk ends there.
        let entries =
            fields.get_all(name).iter().rev().flat_map(|field| field.as_bytes().rsplit(|octet| *octet == b','));
        for entry in entries {
            let Some(address) = std::str::from_utf8(entry).ok().and_then(|entry| self.address(entry.trim())) else {
                return client;
            };
            client = address.to_canonical();
            if !trusted(client) {
                return client;
            }
        }
        client
    }

    fn address(&self, entry: &str) -> Option<IpAddr> {
        match self {
            Self::List(_) => address(entry),
            Self::Forwarded => {
                let pairs = entry.split(';').filter_map(|pair| pair.trim().split_once('='));
                let mut nodes = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, node)| node);
                // RFC 7239 section 4: each parameter at most once.
                let (node, None) = (nodes.next()?, nodes.next()) else { return None };
                let quoted = node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                address(quoted.unwrap_or(node))
            }
        }
    }
}

/// An address, perhaps with a port behind it (RFC 7239 section 6; some proxies write one in `X-Forwarded-For`, too).
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    text.parse().ok().or_else(bare).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn header(name: &str) -> AddressHeader {
        AddressHeader::named(name.parse().expect("a name"))
    }

    /// Everything in 10.0.0.0/8 is trusted, and in fd00::/8.
    fn client(name: &str, values: &[&str]) -> String {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(HeaderName::try_from(name).expect("a name"), HeaderValue::from_str(value).expect("a value"));
        }
        let trusted = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.octets()[0] == 0xfd,
        };
        header(name).client(&fields, PROXY, trusted).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxys_is_the_clients() {
        for (values, found) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            (&["198.51.100.1, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            (&["198.51.100.1", "192.0.2.7,10.0.0.2", "10.0.0.3"], "192.0.2.7"),
            (&["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            (&["2001:db8::1, fd00::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7:4711, [fd00::1]:80, [fd00::2]"], "192.0.2.7"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client("x-forwarded-for", values), found, "{values:?}");
        }
        assert_eq!(client("cf-connecting-ip", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn where_something_is_no_address_the_proxy_that_wrote_it_is_all_that_is_known() {
        for (values, found) in [
            (&["192.0.2.7, unknown"][..], "10.0.0.1"),
            (&["192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.7,,10.0.0.2"], "10.0.0.2"),
            (&[""], "10.0.0.1"),
            (&["192.0.2.7, 192.0.2.300"], "10.0.0.1"),
        ] {
            assert_eq!(client("x-forwarded-for", values), found, "{values:?}");
        }
    }

    #[test]
    fn forwarded_is_read_by_its_own_grammar() {
        for (values, found) in [
            (&["for=192.0.2.7"][..], "192.0.2.7"),
            (&["for=198.51.100.1, For=\"192.0.2.7:4711\";proto=https;by=10.0.0.2"], "192.0.2.7"),
            (&["proto=https; for=\"[2001:db8::1]:4711\"", "for=10.0.0.2"], "2001:db8::1"),
            (&["for=\"[2001:db8::1]\""], "2001:db8::1"),
            (&["for=192.0.2.7, for=_hidden"], "10.0.0.1"),
            (&["for=192.0.2.7, for=unknown, for=10.0.0.3"], "10.0.0.3"),
            (&["for=192.0.2.7;for=192.0.2.8"], "10.0.0.1"),
            (&["by=192.0.2.7"], "10.0.0.1"),
        ] {
            assert_eq!(client("forwarded", values), found, "{values:?}");
        }
    }

    #[test]
    fn an_open_quote_of_the_client_swallows_nothing_that_a_proxy_added() {
        assert_eq!(client("forwarded", &["for=\"198.51.100.1, for=192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("forwarded", &["for=192.0.2.7;ext=\"a,b\""]), "10.0.0.1");
    }
}
