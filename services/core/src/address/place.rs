//! Where an address leads that somebody else chose: what a node says of itself is dialled by coordinators and gateways, and clients are sent there.
//!
//! Private networks are places like any other: that is where clusters are. What is never dialled is what has no clients behind it and is of use to
//! an attacker only: this-network addresses, link-local ones (cloud machines keep their credentials there), multicast and reserved ones. This machine is
//! dialled on the word of somebody who is on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Authority;

/// Metadata services of clouds whose addresses are not link-local: of AWS over IPv6, and of Alibaba Cloud.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To some machine.
    Elsewhere,
    /// To the machine of whoever dials it.
    Here,
    /// Nowhere that a node can be.
    Nowhere,
}

/// Why an address that a node gave is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// It means this machine, and was given from another one.
    #[error("{0} means every machine's own self: expected HOST:PORT that others reach the node by")]
    Here(Authority),
    /// No node can be there.
    #[error("{0} is link-local, multicast, unspecified or reserved: expected HOST:PORT that others reach the node by")]
    Nowhere(Authority),
}

impl Place {
    /// Where a number leads. An IPv4 address in the clothes of IPv6 (mapped, compatible, or NAT64 of RFC 6052) is what it is undressed.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => match ip.segments() {
                [0, 0, 0, 0, 0, 0, 0, 1] => Self::Here,
                [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    Self::of_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
                }
                _ if ip.is_unicast_link_local() || ip.is_multicast() || ip == METADATA_V6 => Self::Nowhere,
                _ => Self::Elsewhere,
            },
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            [127, ..] => Self::Here,
            // This network (RFC 1122), link-local (RFC 3927), multicast and reserved up to broadcast (RFC 1112).
            [0, ..] | [169, 254, ..] | [224..=255, ..] => Self::Nowhere,
            _ if ip == METADATA_V4 => Self::Nowhere,
            _ => Self::Elsewhere,
        }
    }
}

impl Authority {
    /// Whether a node may give this address: `local` says whether it does so from this very machine.
    pub fn check_place(&self, local: bool) -> Result<(), NoPlace> {
        match self.place() {
            Place::Elsewhere => Ok(()),
            Place::Here if local => Ok(()),
            Place::Here => Err(NoPlace::Here(self.clone())),
            Place::Nowhere => Err(NoPlace::Nowhere(self.clone())),
        }
    }

    /// Whether it may be dialled at `ip`, to which it was resolved: a name may lead here only if it says so, and never nowhere.
    #[must_use]
    pub fn may_lead_to(&self, ip: IpAddr) -> bool {
        match Place::of(ip) {
            Place::Elsewhere => true,
            Place::Here => self.place() == Place::Here,
            Place::Nowhere => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Authority {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_leads_where_its_number_says_in_whatever_clothes() {
        for (place, addresses) in [
            (
                Place::Here,
                &["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1", "a.localhost:1"][..],
            ),
            (
                Place::Nowhere,
                &[
                    "0.0.0.0:1",
                    "0.1.2.3:1",
                    "169.254.169.254:80",
                    "224.0.0.1:1",
                    "255.255.255.255:1",
                    "[::]:1",
                    "[fe80::1]:1",
                    "[febf::1]:1",
                    "[ff02::1]:1",
                    "[::ffff:169.254.169.254]:80",
                    "[::169.254.169.254]:80",
                    "[64:ff9b::a9fe:a9fe]:80",
                    "[fd00:ec2::254]:80",
                    "100.100.100.200:80",
                ],
            ),
            (
                Place::Elsewhere,
                &[
                    "10.0.0.1:1",
                    "172.16.0.1:1",
                    "192.168.1.1:1",
                    "100.64.0.1:1",
                    "192.0.2.1:1",
                    "[fd00::1]:1",
                    "[2001:db8::1]:1",
                    "node1:1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(authority(address).place(), place, "{address}");
            }
        }
    }

    #[test]
    fn this_machine_is_given_from_this_machine_only() {
        assert_eq!(authority("localhost:1").check_place(true), Ok(()));
        let refused = authority("localhost:1").check_place(false).expect_err("from elsewhere");
        assert!(refused.to_string().starts_with("localhost:1 means"), "{refused}");
        assert!(authority("169.254.169.254:80").check_place(true).is_err());
        assert_eq!(authority("10.0.0.1:1").check_place(false), Ok(()));
    }

    #[test]
    fn a_name_does_not_lead_here_unless_it_says_so() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        // The resolver takes numbers in forms that are no addresses here.
        for sly in ["node1.example:1", "2130706433:1", "127.1:1"] {
            assert!(!authority(sly).may_lead_to(ip("127.0.0.1")), "{sly}");
        }
        assert!(authority("localhost:1").may_lead_to(ip("::1")));
        assert!(authority("node1.example:1").may_lead_to(ip("10.0.0.1")));
        assert!(!authority("node1.example:1").may_lead_to(ip("169.254.169.254")));
    }
}
