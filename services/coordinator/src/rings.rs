//! The two key rings: made once by whichever coordinator comes first, then kept in the store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ferry_core::ring::{Key, KeyRing, KeyTooShort};
use ferry_proto::v1;
use ferry_store::{Change, Error, Expected, Store};
use prost::Message as _;
use rand::Rng;

pub(crate) const USER: &str = "rings/user";
pub(crate) const NODE: &str = "rings/node";

/// Why the configured user key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("could not read the user key {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// It is neither hexadecimal nor base64.
    #[error("{0} holds no key: expected hexadecimal or base64")]
    Encoding(PathBuf),
    /// It could be guessed.
    #[error("{path} holds no key")]
    Short {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: KeyTooShort,
    },
}

/// Reads the first key of the user ring from a file.
pub(crate) fn load_user_key(path: &Path) -> Result<Key, KeyFileError> {
    let text = std::fs::read_to_string(path).map_err(|cause| KeyFileError::Read { path: path.to_owned(), cause })?;
    let text = text.trim();
    let secret = from_hex(text)
        .or_else(|| STANDARD.decode(text).ok())
        .or_else(|| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or_else(|| KeyFileError::Encoding(path.to_owned()))?;
    let kid = "u1".parse().expect("a plain name");
    Key::new(kid, secret).map_err(|cause| KeyFileError::Short { path: path.to_owned(), cause })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
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

/// A key as an operator copies it into a frontend.
pub(crate) fn print(key: &Key) -> String {
    STANDARD.encode(key.secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_may_be_hexadecimal_or_base64() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for text in ["000102030405060708090a0b0c0d0e0f\n", "AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODw"] {
            std::fs::write(&path, text).expect("written");
            let key = load_user_key(&path).expect("a key");
            assert_eq!(key.secret(), (0..16).collect::<Vec<u8>>(), "{text}");
        }
        std::fs::write(&path, "abcd").expect("written");
        assert!(matches!(load_user_key(&path), Err(KeyFileError::Short { .. })));
        std::fs::write(&path, "not a key!").expect("written");
        assert!(matches!(load_user_key(&path), Err(KeyFileError::Encoding(_))));
        assert!(matches!(load_user_key(&folder.path().join("none")), Err(KeyFileError::Read { .. })));
    }
}
