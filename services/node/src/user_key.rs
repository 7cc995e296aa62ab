//! The user ring of a node that stands alone: one key, from a file.

use std::path::Path;

use ferry_core::ring::{Key, KeyRing};
use ferry_runtime::key_file::{self, KeyFileError};

/// What the key is called: as a coordinator calls the first key of its ring, so that one signature fits both.
const KID: &str = "u1";

/// Reads the ring.
pub(crate) fn load(path: &Path) -> Result<KeyRing, KeyFileError> {
    let current: Key = key_file::load_key(path, KID.parse().expect("a plain name"))?;
    Ok(KeyRing { previous: None, current, next: None, revision: 0 })
}
