//! The two key rings: made once by whichever coordinator comes first, then kept in the store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_core::ring::{Key, KeyRing, KeyTooShort};
use ferry_proto::v1;
use ferry_runtime::key_file::{self, KeyFileError};
use ferry_store::{Change, Error, Expected, Store};
use prost::Message as _;
use rand::Rng;

pub(crate) const USER: &str = "rings/user";
pub(crate) const NODE: &str = "rings/node";

/// Why the configured user key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UserKeyError {
    /// The file holds none.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It could be guessed.
    #[error("{path} holds no usable key")]
    Short {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: KeyTooShort,
    },
}

/// Reads the first key of the user ring from a file.
pub(crate) fn load_user_key(path: &Path) -> Result<Key, UserKeyError> {
    let kid = "u1".parse().expect("a plain name");
    Key::new(kid, key_file::load(path)?).map_err(|cause| UserKeyError::Short { path: path.to_owned(), cause })
}

/// A key that nobody can guess.
pub(crate) fn generate(kid: &str, random: &mut impl Rng) -> Key {
    let mut secret = vec![0; 32];
    random.fill_bytes(&mut secret);
    Key::new(kid.parse().expect("a plain name"), secret).expect("32 bytes are long enough")
}

/// Puts a ring with this key into the store, unless one is there; returns whether it is ours.
pub(crate) async fn create(store: &Arc<dyn Store>, name: &str, key: Key) -> Result<bool, Error> {
    let ring = KeyRing { previous: None, current: key, next: None, revision: 0 };
    let record = v1::RingRecord::from(&ring).encode_to_vec();
    match store.compare_and_swap(name, Expected::Absent, Change::Put(record.into())).await {
        Ok(_) => Ok(true),
        Err(Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, "abcd").expect("written");
        assert!(matches!(load_user_key(&path), Err(UserKeyError::Short { .. })));
        std::fs::write(&path, "00112233445566778899aabbccddeeff").expect("written");
        assert_eq!(load_user_key(&path).expect("long enough").kid().as_str(), "u1");
    }
}
