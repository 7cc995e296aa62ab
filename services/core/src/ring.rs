//! Rings of signing keys: the previous one still verifies, the next one is known before it signs.

use std::{fmt, sync::Arc};

use ::ring::hmac;

use crate::id::Kid;

/// A secret key with its name.
#[derive(Clone)]
pub struct Key {
    kid: Kid,
    secret: Vec<u8>,
    /// The same, made ready: to do that for each MAC takes as long as a short one does.
    hmac: Arc<hmac::Key>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.kid, &self.secret) == (&other.kid, &other.secret)
    }
}

impl Eq for Key {}

/// Why a secret is no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key needs at least {} bytes, this one has {length}", Key::SHORTEST)]
pub struct KeyTooShort {
    length: usize,
}

impl Key {
    /// Shorter secrets than this could be guessed.
    pub const SHORTEST: usize = 16;

    /// A key of at least [`Self::SHORTEST`] bytes.
    pub fn new(kid: Kid, secret: Vec<u8>) -> Result<Self, KeyTooShort> {
        if secret.len() < Self::SHORTEST {
            return Err(KeyTooShort { length: secret.len() });
        }
        let hmac = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &secret));
        Ok(Self { kid, secret, hmac })
    }

    /// The key's name.
    #[must_use]
    pub const fn kid(&self) -> &Kid {
        &self.kid
    }

    /// For HMAC-SHA256.
    pub(crate) fn hmac(&self) -> &hmac::Key {
        &self.hmac
    }

    /// The secret itself, for the wire.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of every log.
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Up to three keys; `current` signs, all verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    /// Signed until the last rotation.
    pub previous: Option<Key>,
    /// Signs now.
    pub current: Key,
    /// Will sign after the next rotation.
    pub next: Option<Key>,
    /// The store's revision of this ring; the highest wins.
    pub revision: u64,
}

impl KeyRing {
    /// The key of that name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Key> {
        self.keys().find(|key| key.kid.as_str() == kid)
    }

    /// All keys, the current one first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        [Some(&self.current), self.previous.as_ref(), self.next.as_ref()].into_iter().flatten()
    }
}
