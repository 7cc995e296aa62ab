//! Key rings, coordinators and the cluster's guard.

use ferry_core::{
    merge::Peer,
    ring::{Key, KeyRing},
};

use super::{Invalid, name};
use crate::v1;

impl TryFrom<v1::Key> for Key {
    type Error = Invalid;

    fn try_from(wire: v1::Key) -> Result<Self, Invalid> {
        Ok(Self::new(name("kid")(&wire.kid)?, wire.secret)?)
    }
}

impl From<&Key> for v1::Key {
    fn from(key: &Key) -> Self {
        Self { kid: key.kid().as_str().to_owned(), secret: key.secret().to_vec() }
    }
}

impl TryFrom<v1::KeyRing> for KeyRing {
    type Error = Invalid;

    fn try_from(wire: v1::KeyRing) -> Result<Self, Invalid> {
        Ok(Self {
            previous: wire.previous.map(Key::try_from).transpose()?,
            current: wire.current.ok_or(Invalid::Missing("current"))?.try_into()?,
            next: wire.next.map(Key::try_from).transpose()?,
            revision: wire.revision,
        })
    }
}

impl From<&KeyRing> for v1::KeyRing {
    fn from(ring: &KeyRing) -> Self {
        Self {
            previous: ring.previous.as_ref().map(v1::Key::from),
            current: Some((&ring.current).into()),
            next: ring.next.as_ref().map(v1::Key::from),
            revision: ring.revision,
        }
    }
}

impl TryFrom<v1::Coordinator> for Peer {
    type Error = Invalid;

    fn try_from(wire: v1::Coordinator) -> Result<Self, Invalid> {
        if wire.url.is_empty() {
            return Err(Invalid::Missing("url"));
        }
        Ok(Self { id: name("coordinator_id")(&wire.coordinator_id)?, url: wire.url })
    }
}

impl From<&Peer> for v1::Coordinator {
    fn from(peer: &Peer) -> Self {
        Self { coordinator_id: peer.id.as_str().to_owned(), url: peer.url.clone() }
    }
}

/// Whether downloads are guarded: `None` while no gateway has said.
#[must_use]
pub const fn access_from_wire(wire: v1::Access) -> Option<bool> {
    match wire {
        v1::Access::Unspecified => None,
        v1::Access::Open => Some(false),
        v1::Access::Guarded => Some(true),
    }
}

/// The reverse of [`access_from_wire`].
#[must_use]
pub const fn access_to_wire(guarded: Option<bool>) -> v1::Access {
    match guarded {
        None => v1::Access::Unspecified,
        Some(false) => v1::Access::Open,
        Some(true) => v1::Access::Guarded,
    }
}
