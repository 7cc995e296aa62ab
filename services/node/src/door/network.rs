//! The network that a token is bound to.

use std::net::IpAddr;

/// Whether `client` is in `network`: `ADDRESS/BITS`, or one address. What is not understood covers nobody.
pub(super) fn covers(network: &str, client: IpAddr) -> bool {
    let (address, bits) = network.split_once('/').map_or((network, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let ((network, width), (client, client_width)) = (number(address), number(client));
    let Ok(bits) = bits.map_or(Ok(width), str::parse) else { return false };
    // A shift by the whole width would overflow: then every address is covered.
    width == client_width && bits <= width && (bits == 0 || (network ^ client) >> (width - bits) == 0)
}

/// An address and its width; one of IPv4 in IPv6's clothes is the one of IPv4.
fn number(address: IpAddr) -> (u128, u32) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_covers_its_own_addresses_only() {
        for (network, client, covered) in [
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.77", false),
            ("192.0.2.77", "192.0.2.77", true),
            ("192.0.2.77", "192.0.2.78", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.5", true),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("2001:db8::/32", "2001:db9::5", false),
            ("::/0", "2001:db9::5", true),
            ("", "192.0.2.1", false),
            ("192.0.2.0/33", "192.0.2.1", false),
            ("192.0.2.0/x", "192.0.2.1", false),
            ("everybody", "192.0.2.1", false),
        ] {
            assert_eq!(covers(network, client.parse().expect("an address")), covered, "{network} and {client}");
        }
    }
}
