//! A writer of small MaxMind databases, for tests (the format: MaxMind DB File Format Specification, version 2.0).

use std::net::{IpAddr, Ipv6Addr};

/// Where a record leads.
#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    /// An offset in the data section.
    Data(usize),
}

/// A database built at that time, of `(network, continent, country, subdivision)`. Networks must not overlap.
pub(crate) fn database(built: u64, networks: &[(&str, &str, &str, &str)]) -> Vec<u8> {
    let (mut nodes, mut data) = (vec![[Record::Nothing; 2]], Vec::new());
    for (network, continent, country, subdivision) in networks {
        let (address, length) = network.split_once('/').expect("a network");
        let length: usize = length.parse().expect("a length");
        // IPv4 lies below ::/96.
        let (bits, length) = match address.parse().expect("an address") {
            IpAddr::V4(address) => (u128::from(address.to_bits()), length + 96),
            IpAddr::V6(address) => (Ipv6Addr::to_bits(address), length),
        };
        insert(&mut nodes, bits, length, data.len());
        let fields = [("continent", "code", continent), ("country", "iso_code", country)];
        data.extend(map(3));
        for (name, inner, code) in fields {
            data.extend([text(name), map(1), text(inner), text(code)].concat());
        }
        let parts = usize::from(!subdivision.is_empty());
        data.extend(text("subdivisions"));
        data.extend(array(parts));
        if parts > 0 {
            data.extend([map(1), text("iso_code"), text(subdivision)].concat());
        }
    }
    let count = nodes.len();
    let record = |record: &Record| {
        let number = match *record {
            Record::Nothing => count,
            Record::Node(node) => node,
            Record::Data(offset) => count + 16 + offset,
        };
        u32::try_from(number).expect("a small database").to_be_bytes()[1..].to_vec()
    };
    let tree: Vec<u8> = nodes.iter().flatten().flat_map(record).collect();
    [tree, vec![0; 16], data, b"\xab\xcd\xefMaxMind.com".to_vec(), metadata(built, count)].concat()
}

fn insert(nodes: &mut Vec<[Record; 2]>, bits: u128, length: usize, data: usize) {
    let mut node = 0;
    for depth in 0..length {
        let side = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == length {
            nodes[node][side] = Record::Data(data);
            return;
        }
        node = match nodes[node][side] {
            Record::Node(next) => next,
            _ => {
                nodes.push([Record::Nothing; 2]);
                nodes[node][side] = Record::Node(nodes.len() - 1);
                nodes.len() - 1
            }
        };
    }
}

fn metadata(built: u64, nodes: usize) -> Vec<u8> {
    let nodes = u32::try_from(nodes).expect("a small database");
    [
        map(9),
        text("binary_format_major_version"),
        vec![0xa1, 2],
        text("binary_format_minor_version"),
        vec![0xa0],
        text("build_epoch"),
        [&[0x08, 0x02][..], &built.to_be_bytes()].concat(),
        text("database_type"),
        text("Ferry-Sample-City"),
        text("description"),
        map(0),
        text("ip_version"),
        vec![0xa1, 6],
        text("languages"),
        array(0),
        text("node_count"),
        [&[0xc4][..], &nodes.to_be_bytes()].concat(),
        text("record_size"),
        vec![0xa1, 24],
    ]
    .concat()
}

/// A text of at most 28 octets.
fn text(text: &str) -> Vec<u8> {
    assert!(text.len() < 29, "longer ones have another head");
    [&[0x40 | text.len() as u8][..], text.as_bytes()].concat()
}

/// The head of a map with so many entries.
fn map(entries: usize) -> Vec<u8> {
    vec![0xe0 | entries as u8]
}

/// The head of an array with so many entries.
fn array(entries: usize) -> Vec<u8> {
    vec![entries as u8, 0x04]
}
