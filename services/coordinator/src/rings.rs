//! The two key rings: made once by whichever coordinator comes first, then kept in the store.

use std::{path::Path, sync::Arc};

use ferry_core::ring::{Key, KeyRing};
use ferry_proto::v1;
use ferry_runtime::key_file::{self, KeyFileError};
use ferry_store::{Change, Error, Expected, Store};
use prost::Message as _;
use rand::Rng;

pub(crate) const USER: &str = "rings/user";
pub(crate) const NODE: &str = "rings/node";

/// Reads the first key of the user ring from a file.
pub(crate) fn load_user_key(path: &Path) -> Result<Key, KeyFileError> {
    key_file::load_key(path, "u1".parse().expect("a plain name"))
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
