//! A client's network: what has one way to a node.

use std::net::IpAddr;

/// The network of a client: /24 of IPv4, /48 of IPv6, which is about what one operator hands to one customer or office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The first three octets.
    V4([u8; 3]),
    /// The first six.
    V6([u8; 6]),
}

impl Network {
    /// The network of an address; one of IPv4 in IPv6's clothes is the one of IPv4.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, ..] = address.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    /// What all its addresses begin with.
    #[must_use]
    pub const fn octets(&self) -> &[u8] {
        match self {
            Self::V4(octets) => octets,
            Self::V6(octets) => octets,
        }
    }

    /// From what its addresses begin with, of which the length tells the family.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        if let Ok(octets) = octets.try_into() {
            return Some(Self::V4(octets));
        }
        octets.try_into().ok().map(Self::V6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Network {
        Network::of(address.parse().expect("an address"))
    }

    #[test]
    fn neighbours_share_a_network_and_others_do_not() {
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.9"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ffff::1"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
    }

    #[test]
    fn a_network_is_what_its_octets_say() {
        for address in ["192.0.2.1", "2001:db8:1::1", "0.0.0.0", "::1"] {
            assert_eq!(Network::from_octets(of(address).octets()), Some(of(address)), "{address}");
        }
        for none in [&[][..], &[1, 2], &[1, 2, 3, 4], &[0; 16]] {
            assert_eq!(Network::from_octets(none), None, "{none:?}");
        }
    }
}
