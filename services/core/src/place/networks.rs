//! Networks in CIDR notation (RFC 4632, RFC 4291 section 2.3), and what is said of each: the longest that an address is in counts.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// Bits of the prefix under which IPv4 lies in IPv6 (RFC 4291 section 2.5.5.2).
const MAPPED: u8 = 96;

/// One network. IPv4 networks are kept as the IPv4-mapped ones that they also are: an address is in both or in neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    bits: u128,
    length: u8,
}

/// What is wrong with a list of networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No network at all.
    #[error("{0:?} is no network, such as 192.0.2.0/24 or 2001:db8::/32")]
    Malformed(String),
    /// Said twice, perhaps differently.
    #[error("{0} is listed twice")]
    Duplicate(Network),
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = Fault;

    /// `ADDRESS/LENGTH`, or an address alone. Bits beyond the length must be zero: `10.1.0.0/8` is one or the other network, and somebody's mistake.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let malformed = || Fault::Malformed(text.to_owned());
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let (most, before) = if address.is_ipv4() { (32, MAPPED) } else { (128, 0) };
        let length = match length {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| malformed())?
            }
            Some(_) => return Err(malformed()),
        };
        let bits = bits_of(address);
        if length > most || bits & !mask(before + length) != 0 {
            return Err(malformed());
        }
        Ok(Self { bits, length: before + length })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.bits);
        match address.to_ipv4_mapped().filter(|_| self.length >= MAPPED) {
            Some(address) => write!(f, "{address}/{}", self.length - MAPPED),
            None => write!(f, "{address}/{}", self.length),
        }
    }
}

/// What is said of each network.
#[derive(Debug, Clone)]
pub struct Networks<T> {
    said: HashMap<Network, T>,
    /// The lengths that occur, the longest first.
    lengths: Vec<u8>,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self { said: HashMap::new(), lengths: Vec::new() }
    }
}

impl<T> Networks<T> {
    /// The list, or all that is wrong with it: networks within each other are fine, the same one twice is not.
    pub fn new(list: impl IntoIterator<Item = (Network, T)>) -> Result<Self, Vec<Fault>> {
        let (mut networks, mut faults) = (Self::default(), Vec::new());
        for (network, what) in list {
            if networks.said.insert(network, what).is_some() {
                faults.push(Fault::Duplicate(network));
            }
            networks.lengths.push(network.length);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        networks.lengths.sort_unstable_by(|one, other| other.cmp(one));
        networks.lengths.dedup();
        Ok(networks)
    }

    /// What is said of the longest network that the address is in. Allocates nothing; as many look-ups as there are lengths.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let bits = bits_of(address);
        self.lengths.iter().find_map(|&length| self.said.get(&Network { bits: bits & mask(length), length }))
    }

    /// Whether nothing is said of any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(list: &[(&str, u32)]) -> Result<Networks<u32>, Vec<Fault>> {
        Networks::new(list.iter().map(|(network, what)| (network.parse().expect("a network"), *what)))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_longest_network_counts_in_both_families() {
        let list =
            [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.3", 3), ("2001:db8::/32", 4), ("2001:db8:1::/48", 5)];
        let list = networks(&list).expect("no duplicates");
        for (asked, found) in [
            ("10.9.9.9", Some(1)),
            ("10.1.9.9", Some(2)),
            ("10.1.2.3", Some(3)),
            ("::ffff:10.1.2.3", Some(3)),
            ("11.0.0.0", None),
            ("2001:db8:2::1", Some(4)),
            ("2001:db8:1:ff::1", Some(5)),
            ("::a01:203", None),
        ] {
            assert_eq!(list.find(address(asked)).copied(), found, "{asked}");
        }
        let all = networks(&[("0.0.0.0/0", 4), ("::/0", 6)]).expect("no duplicates");
        assert_eq!((all.find(address("192.0.2.1")), all.find(address("2001:db8::1"))), (Some(&4), Some(&6)));
    }

    #[test]
    fn one_network_twice_is_a_fault_however_it_is_written() {
        for other in ["10.0.0.0/8", "::ffff:10.0.0.0/104"] {
            let list = [("10.0.0.0/8", 1), (other, 1), ("::1", 1), ("::/0", 1), ("::1/128", 2)];
            let faults = networks(&list).expect_err("two duplicates");
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(faults, ["10.0.0.0/8 is listed twice", "::1/128 is listed twice"]);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.1.0.0/8",
            "2001:db8::1/32",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(Fault::Malformed(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn an_address_is_found_as_a_search_through_the_list_finds_it(
            list in proptest::collection::hash_map((any::<u8>(), 0_u8..=32), any::<u32>(), 0..20),
            asked in any::<u8>(),
        ) {
            // Addresses that differ in their first and last bits only, so that they meet often.
            let spread = |byte: u8| u32::from(byte >> 4) << 28 | u32::from(byte & 15);
            let network = |(byte, length): (u8, u8)| {
                let bits = spread(byte) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                (bits, length)
            };
            let list: HashMap<_, _> = list.into_iter().map(|(key, what)| (network(key), what)).collect();
            let text = |(bits, length): (u32, u8)| format!("{}/{length}", std::net::Ipv4Addr::from_bits(bits));
            let parsed = list.iter().map(|(key, what)| (text(*key).parse().expect("a network"), *what));
            let networks = Networks::new(parsed).expect("no duplicates");
            let asked = spread(asked);
            let within = list.iter().filter(|((bits, length), _)| network_of(asked, *length) == *bits);
            let longest = within.max_by_key(|((_, length), _)| *length).map(|(_, what)| what);
            prop_assert_eq!(networks.find(IpAddr::V4(std::net::Ipv4Addr::from_bits(asked))), longest);
        }
    }

    fn network_of(bits: u32, length: u8) -> u32 {
        bits & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
    }
}
