//! What the store holds, as bytes.

use std::sync::Arc;

use ferry_core::{
    membership::{Record, SecretDigest},
    merge::Peer,
    node::{Duty, Intent, Weight},
    ring::KeyRing,
    time::UnixMillis,
};
use prost::Message as _;

use super::{Invalid, check_version, node::duty};
use crate::{VERSION, v1};

/// Why stored bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// Not even a message.
    #[error("the record cannot be decoded")]
    Bytes(#[from] prost::DecodeError),
    /// A message that makes no sense, or a newer one.
    #[error("the record makes no sense")]
    Content(#[from] Invalid),
}

/// Reads a node's record, found at `revision`.
pub fn node_record(bytes: &[u8], revision: u64) -> Result<Record, InvalidRecord> {
    let wire = v1::NodeRecord::decode(bytes)?;
    check_version(wire.version)?;
    let secret = wire.secret_digest.try_into().map_err(|_| Invalid::Missing("secret_digest of 32 bytes"))?;
    let facts = wire.facts.ok_or(Invalid::Missing("facts"))?;
    Ok(Record {
        facts: Arc::new(facts.try_into()?),
        secret: SecretDigest(secret),
        first_seen: UnixMillis(wire.first_seen_unix_ms),
        intent: Intent { duty: duty(wire.drain, wire.maintenance), weight: Weight::new(wire.weight), revision },
    })
}

/// Reads a key ring, found at `revision`.
pub fn ring_record(bytes: &[u8], revision: u64) -> Result<KeyRing, InvalidRecord> {
    let wire = v1::RingRecord::decode(bytes)?;
    check_version(wire.version)?;
    let ring = KeyRing::try_from(wire.ring.ok_or(Invalid::Missing("ring"))?)?;
    Ok(KeyRing { revision, ..ring })
}

impl From<&Record> for v1::NodeRecord {
    fn from(record: &Record) -> Self {
        Self {
            version: VERSION,
            facts: Some((&*record.facts).into()),
            secret_digest: record.secret.0.to_vec(),
            first_seen_unix_ms: record.first_seen.0,
            drain: record.intent.drains(),
            maintenance: record.intent.duty == Duty::Maintenance,
            weight: record.intent.weight.map_or(0, Weight::get),
        }
    }
}

impl From<&KeyRing> for v1::RingRecord {
    fn from(ring: &KeyRing) -> Self {
        Self { version: VERSION, ring: Some(ring.into()) }
    }
}

impl From<&Peer> for v1::CoordinatorRecord {
    fn from(peer: &Peer) -> Self {
        Self { version: VERSION, coordinator: Some(peer.into()) }
    }
}

/// Reads a coordinator's presence.
pub fn peer_record(bytes: &[u8]) -> Result<Peer, InvalidRecord> {
    let wire = v1::CoordinatorRecord::decode(bytes)?;
    check_version(wire.version)?;
    Ok(wire.coordinator.ok_or(Invalid::Missing("coordinator"))?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_newer_version_is_refused_not_misread() {
        let bytes = v1::NodeRecord { version: 2, ..Default::default() }.encode_to_vec();
        let why = node_record(&bytes, 1).expect_err("newer");
        assert!(matches!(why, InvalidRecord::Content(Invalid::TooNew(2))), "{why}");
    }

    #[test]
    fn a_record_from_before_there_was_a_weight_to_decide_has_none() {
        let facts =
            v1::NodeFacts { node_id: "a".into(), address: "127.0.0.1:1".into(), weight: 7, ..Default::default() };
        let old = v1::NodeRecord {
            version: 1,
            facts: Some(facts),
            secret_digest: vec![1; 32],
            drain: true,
            ..Default::default()
        };
        let mut record = node_record(&old.encode_to_vec(), 3).expect("sound");
        assert_eq!(record.intent, Intent { duty: Duty::Drain, weight: None, revision: 3 });
        record.intent.weight = Weight::new(500);
        let new = v1::NodeRecord::from(&record).encode_to_vec();
        assert_eq!(node_record(&new, 3).expect("sound"), record);
    }

    #[test]
    fn garbage_is_refused() {
        assert!(matches!(node_record(&[0xff; 9], 1), Err(InvalidRecord::Bytes(_))));
        assert!(matches!(ring_record(&[], 1), Err(InvalidRecord::Content(Invalid::Missing("version")))));
    }
}
