//! What every store promises, and the words in which it is asked.

use std::{collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{error::Error, watch::Watch};

/// The longest key. Names of members have at most 63 bytes, so this is generous.
pub const MAX_KEY_BYTES: usize = 512;
/// The largest value: below etcd's own limit of 1.5 MiB for a whole request, so that no provider takes what another refuses.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// A value and the revision that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes, as they were put.
    pub value: Bytes,
    /// The store-wide revision of the change that put them; never 0.
    pub revision: u64,
}

/// Everything below a prefix at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Keys (whole, with the prefix) and what they hold.
    pub entries: BTreeMap<String, Versioned>,
    /// The store's revision at that moment: changes after it have higher ones.
    pub revision: u64,
}

/// What must be true of a key for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing is there.
    Absent,
    /// The last change of the key is this one.
    Revision(u64),
}

/// What a compare-and-swap does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Puts these bytes.
    Put(Bytes),
    /// Removes the key. Removing an absent key ([`Expected::Absent`]) changes nothing and succeeds.
    Delete,
}

/// Keeps a key present for as long as it is polled; ends only after its stop token was cancelled.
pub type Presence = BoxFuture<'static, ()>;

/// A linearizable store of small records.
///
/// Keys are paths such as `nodes/a`: 1 to [`MAX_KEY_BYTES`] bytes without control characters; values have at most
/// [`MAX_VALUE_BYTES`]. Anything else is [`Error::Refused`]. A key belongs either to [`Self::compare_and_swap`] or to
/// [`Self::present`] for good; what happens when both write it, no provider promises.
///
/// Every call ends by itself within a few seconds. A call that is dropped half-way may or may not have had its effect.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The key's value, no older than the call (linearizable).
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Versioned>, Error>>;

    /// All keys that begin with `prefix` (possibly empty), at one moment no older than the call (linearizable).
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>>;

    /// Makes the change if the key is as expected; returns the store's revision of that change.
    ///
    /// When `Ok` arrives, the change is durable. [`Error::Conflict`] and [`Error::Refused`] mean that nothing was
    /// changed; after [`Error::Unavailable`] nobody knows.
    fn compare_and_swap<'a>(
        &'a self,
        key: &'a str,
        expected: Expected,
        change: Change,
    ) -> BoxFuture<'a, Result<u64, Error>>;

    /// Follows everything below `prefix`, starting with all of it. Never fails and never ends; see [`Watch`].
    fn watch(&self, prefix: &str) -> Watch;

    /// Keeps `key` at `value` until `stop`; puts it back when its lease was lost or somebody took it away.
    ///
    /// When `stop` is cancelled the key is withdrawn (within a second, if the store answers) and the future ends. When the
    /// future is dropped or its process dies, the key is gone within `ttl` (etcd rounds it up to whole seconds, and to
    /// one and a half of its election timeouts). Store failures are logged and retried, never returned.
    fn present(&self, key: &str, value: Bytes, ttl: Duration, stop: CancellationToken) -> Presence;
}

/// Refuses keys that some provider could not hold or a log line could not show.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
        let shown: String = key.chars().take(64).collect();
        return Err(Error::refused(format!(
            "a key has 1 to {MAX_KEY_BYTES} bytes and no control characters, unlike {shown:?}"
        )));
    }
    Ok(())
}

/// Refuses values that some provider could not hold.
pub(crate) fn check_value(key: &str, value: &Bytes) -> Result<(), Error> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::refused(format!("{key} would have {} bytes, at most {MAX_VALUE_BYTES} fit", value.len())));
    }
    Ok(())
}

/// Both of the above, for a change.
pub(crate) fn check_change(key: &str, change: &Change) -> Result<(), Error> {
    check_key(key)?;
    match change {
        Change::Put(value) => check_value(key, value),
        Change::Delete => Ok(()),
    }
}
