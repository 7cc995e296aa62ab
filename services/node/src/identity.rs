//! Who this node is, over all its lives: an id, a secret that proves it, and the number of the life.
//!
//! It lies in the storage path. Whoever has the file is the node, so it is readable by its owner alone, and a second process on
//! the same storage path is refused (invariant N3). A file that cannot be understood is an error, never replaced: a node that took a new
//! identity by itself would be a stranger to its cluster.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use ferry_core::{
    id::{Incarnation, NodeId},
    time::UnixMillis,
};
use ferry_runtime::{
    atomic_file::{self, Mode, WriteError},
    storage_lock::{LockError, StorageLock},
};
use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use ferry_runtime::key_file::from_hex;

const VERSION: u32 = 1;
const FILE: &str = "identity";
const LOCK: &str = "lock";

/// The storage path, held by this process alone, and the identity that lies there.
pub(crate) struct Identity {
    /// Who.
    pub(crate) id: NodeId,
    /// What proves it.
    pub(crate) secret: [u8; 32],
    /// Which life.
    life: watch::Sender<Incarnation>,
    path: PathBuf,
    /// The lock, for as long as the node lives.
    _lock: StorageLock,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The storage path cannot be made or used.
    #[error("could not {step} {}", .path.display())]
    Storage {
        /// What was tried.
        step: &'static str,
        /// Where.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// Another process uses the storage path.
    #[error("another process uses the storage path {}: every node wants one of its own", .0.display())]
    Taken(PathBuf),
    /// The identity file makes no sense.
    #[error(
        "{} is no identity ({why}): restore it, or remove it to make this node a new one that has to register anew",
        .path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The identity cannot be kept.
    #[error("could not keep the node's identity")]
    Keep(#[from] WriteError),
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    node_id: String,
    secret: String,
    incarnation: u64,
}

impl Identity {
    /// Takes the storage path, making it if need be, and begins a new life of the node that lives there; of a new one if none does.
    ///
    /// `chosen` is the operator's name for it, which replaces the one that is kept. `wall` is the time of the start.
    pub(crate) fn take(
        storage: &Path,
        chosen: Option<NodeId>,
        wall: UnixMillis,
        random: &mut impl Rng,
    ) -> Result<Self, IdentityError> {
        let failed = |step, path: &Path| {
            let path = path.to_owned();
            move |cause| IdentityError::Storage { step, path, cause }
        };
        std::fs::create_dir_all(storage).map_err(failed("create the storage path", storage))?;
        let lock = lock(storage)?;
        let path = storage.join(FILE);
        let kept = atomic_file::read(&path).map_err(failed("read", &path))?;
        let kept = kept.map(|bytes| parse(&path, &bytes)).transpose()?;
        let (id, secret, last) = match kept {
            Some((id, secret, last)) => (chosen.unwrap_or(id), secret, last),
            None => {
                let mut secret = [0; 32];
                random.fill_bytes(&mut secret);
                (chosen.unwrap_or_else(|| generated(random)), secret, 0)
            }
        };
        // The clock may have been set back since the last life, and two lives must never be mistaken for each other.
        let incarnation = Incarnation(wall.0.max(last.saturating_add(1)));
        let identity = Self { id, secret, life: watch::Sender::new(incarnation), path, _lock: lock };
        identity.keep()?;
        Ok(identity)
    }

    /// Which life this is.
    pub(crate) fn incarnation(&self) -> Incarnation {
        *self.life.borrow()
    }

    /// Which life this is, as that changes.
    pub(crate) fn lives(&self) -> watch::Receiver<Incarnation> {
        self.life.subscribe()
    }

    /// Goes on as a life that is newer than `newest`: one of a copy of the storage path, which has died. Whoever is newer already stays what it is.
    ///
    /// Returns whether a life began: then it is to be kept ([`Self::keep`]).
    pub(crate) fn outlive(&self, newest: Incarnation, wall: UnixMillis) -> bool {
        let Some(next) = newest.0.checked_add(1) else { return false };
        self.life.send_if_modified(|life| {
            let older = *life <= newest;
            if older {
                *life = Incarnation(wall.0.max(next));
            }
            older
        })
    }

    /// Writes the identity down. Blocks on the disk.
    pub(crate) fn keep(&self) -> Result<(), WriteError> {
        atomic_file::write(&self.path, &self.bytes(), Mode::Private)
    }

    fn bytes(&self) -> Vec<u8> {
        let saved = Saved {
            version: VERSION,
            node_id: self.id.to_string(),
            secret: self.secret.iter().map(|byte| format!("{byte:02x}")).collect(),
            incarnation: self.incarnation().0,
        };
        let mut bytes = serde_json::to_vec_pretty(&saved).expect("texts and numbers are JSON");
        bytes.push(b'\n');
        bytes
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of every log.
        f.debug_struct("Identity")
            .field("id", &self.id)
            .field("incarnation", &self.incarnation())
            .finish_non_exhaustive()
    }
}

fn lock(storage: &Path) -> Result<StorageLock, IdentityError> {
    StorageLock::take(&storage.join(LOCK)).map_err(|why| match why {
        LockError::Taken(_) => IdentityError::Taken(storage.to_owned()),
        LockError::Unusable { step, path, cause } => IdentityError::Storage { step, path, cause },
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<(NodeId, [u8; 32], u64), IdentityError> {
    let damaged = |why: String| IdentityError::Damaged { path: path.to_owned(), why };
    // The version first: what a newer ferry wrote may look different altogether.
    let version = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let version = version.as_ref().and_then(|file| file.get("version")?.as_u64());
    if version.is_some_and(|version| version > u64::from(VERSION)) {
        return Err(damaged("it is of a newer version than this ferry knows".to_owned()));
    }
    let saved: Saved = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    let id = saved.node_id.parse().map_err(|error| damaged(format!("node_id: {error}")))?;
    let secret = from_hex(&saved.secret).and_then(|bytes| bytes.try_into().ok());
    let secret = secret.ok_or_else(|| damaged("secret: expected 64 hexadecimal digits".to_owned()))?;
    Ok((id, secret, saved.incarnation))
}

fn generated(random: &mut impl Rng) -> NodeId {
    format!("node-{:08x}", random.next_u32()).parse().expect("letters, digits and a dash")
}

#[cfg(test)]
mod tests;
