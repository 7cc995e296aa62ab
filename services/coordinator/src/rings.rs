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
    match store.compare_and_swap(name, Expected::Absent, Change::Put(record.clone().into())).await {
        Ok(_) => Ok(true),
        // Put by an earlier attempt whose answer was lost: nobody else can have drawn the same key.
        Err(Error::Conflict { current: Some(current) }) if current.value == record => Ok(true),
        Err(Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use ferry_store::{Embedded, Faulty};

    use super::*;

    /// The first user key is shown to whoever made it, once: if it took its own ring for somebody else's, nobody would know the key.
    #[tokio::test]
    async fn a_ring_whose_making_was_not_answered_is_known_for_ones_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Embedded::open(folder.path().join("store")).await.expect("a new store opens");
        let (store, faults) = Faulty::new(Arc::new(store));
        let store: Arc<dyn Store> = Arc::new(store);
        let (ours, theirs) = (generate("u1", &mut rand::rng()), generate("u1", &mut rand::rng()));
        faults.lose_answers(1);
        assert!(create(&store, USER, ours.clone()).await.is_err(), "nobody knows");
        assert_eq!(create(&store, USER, theirs).await, Ok(false));
        assert_eq!(create(&store, USER, ours).await, Ok(true));
    }
}
