//! A secret key in a file, as operators keep it: hexadecimal or base64, with or without a line break.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ferry_core::{
    id::Kid,
    ring::{Key, KeyTooShort},
};

/// Why a file holds no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("could not read the key {path}")]
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
    #[error("{path} holds no usable key")]
    Short {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: KeyTooShort,
    },
}

/// Reads a signing key and calls it `kid`.
pub fn load_key(path: &Path, kid: Kid) -> Result<Key, KeyFileError> {
    Key::new(kid, load(path)?).map_err(|cause| KeyFileError::Short { path: path.to_owned(), cause })
}

fn load(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let text = std::fs::read_to_string(path).map_err(|cause| KeyFileError::Read { path: path.to_owned(), cause })?;
    let text = text.trim();
    from_hex(text)
        .or_else(|| STANDARD.decode(text).ok())
        .or_else(|| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or_else(|| KeyFileError::Encoding(path.to_owned()))
}

/// A key as an operator copies it into a frontend.
#[must_use]
pub fn print(secret: &[u8]) -> String {
    STANDARD.encode(secret)
}

/// Bytes from pairs of hexadecimal digits.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
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
            assert_eq!(load(&path).expect("a key"), (0..16).collect::<Vec<u8>>(), "{text}");
        }
        std::fs::write(&path, "abcd").expect("written");
        let kid = || "u1".parse().expect("a plain name");
        assert!(matches!(load_key(&path, kid()), Err(KeyFileError::Short { .. })));
        std::fs::write(&path, "not a key!").expect("written");
        assert!(matches!(load(&path), Err(KeyFileError::Encoding(_))));
        assert!(matches!(load(&folder.path().join("none")), Err(KeyFileError::Read { .. })));
    }
}
