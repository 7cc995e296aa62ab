//! The copy of the routing table on disk, from which a gateway starts when no coordinator answers (P2).
//!
//! The file is a line that names the format, the SHA-256 of what follows, and a `SavedTable`. It is replaced as a whole, and
//! a copy that was cut short or changed is recognised by its digest. It holds the key rings: nobody else may read it.

use std::{
    io,
    path::{Path, PathBuf},
};

use ferry_core::{
    merge::{GatewayFacts, Merge, Tombstone},
    node::NodeView,
    time::UnixMillis,
};
use ferry_proto::{convert::Invalid, v1};
use ferry_runtime::atomic_file::{self, Mode, WriteError};
use prost::Message as _;
use ring::digest::{SHA256, digest};

const FORMAT: &[u8] = b"ferry routing table 1\n";
const DIGEST: usize = 32;

/// Why there is no copy to start from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("could not read {path}")]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("{0} is no routing table, or one of a newer ferry")]
    Format(PathBuf),
    #[error("{0} is damaged: it was cut short or changed")]
    Damaged(PathBuf),
    #[error("{path} makes no sense")]
    Content {
        path: PathBuf,
        #[source]
        cause: Invalid,
    },
}

/// A copy that was found.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) merge: Merge,
    pub(crate) at: UnixMillis,
    /// How far the coordinators' clock was ahead, in milliseconds, if the copy says it.
    pub(crate) clock_offset_millis: Option<i64>,
}

/// Reads the copy; `None` where there is none.
pub(crate) fn load(path: &Path) -> Result<Option<Saved>, LoadError> {
    let found = atomic_file::read(path).map_err(|cause| LoadError::Read { path: path.to_owned(), cause })?;
    let Some(bytes) = found else { return Ok(None) };
    let rest = bytes.strip_prefix(FORMAT).ok_or_else(|| LoadError::Format(path.to_owned()))?;
    let damaged = || LoadError::Damaged(path.to_owned());
    let (sum, body) = rest.split_at_checked(DIGEST).ok_or_else(damaged)?;
    if digest(&SHA256, body).as_ref() != sum {
        return Err(damaged());
    }
    let table = v1::SavedTable::decode(body).map_err(|_| damaged())?;
    let (at, clock_offset_millis) = (UnixMillis(table.saved_unix_ms), table.clock_offset_ms);
    let merge = Merge::try_from(table).map_err(|cause| LoadError::Content { path: path.to_owned(), cause })?;
    Ok(Some(Saved { merge, at, clock_offset_millis }))
}

/// Replaces the copy.
pub(crate) fn save(path: &Path, table: &v1::SavedTable) -> Result<(), WriteError> {
    let body = table.encode_to_vec();
    let mut bytes = Vec::with_capacity(FORMAT.len() + DIGEST + body.len());
    bytes.extend_from_slice(FORMAT);
    bytes.extend_from_slice(digest(&SHA256, &body).as_ref());
    bytes.extend_from_slice(&body);
    atomic_file::write(path, &bytes, Mode::Private)
}

/// What of a table lasts, as it was at one moment: quickly taken, for the keeper waits for that, and turned into what is written elsewhere.
#[derive(Debug)]
pub(crate) struct Lasting {
    views: Vec<NodeView>,
    removed: Vec<Tombstone>,
    facts: GatewayFacts,
    at: UnixMillis,
    clock_offset_millis: i64,
}

impl Lasting {
    pub(crate) fn of(merge: &Merge, at: UnixMillis, clock_offset_millis: i64) -> Self {
        Self {
            views: merge.views().cloned().collect(),
            removed: merge.tombstones().collect(),
            facts: merge.facts().clone(),
            at,
            clock_offset_millis,
        }
    }

    /// The table without what changes with every beat.
    pub(crate) fn table(self) -> v1::SavedTable {
        let merge = Merge::from_saved(self.views, self.removed, self.facts);
        let mut table = v1::SavedTable::from((&merge, self.at));
        table.clock_offset_ms = Some(self.clock_offset_millis);
        for node in &mut table.nodes {
            node.load = None;
            node.beat = 0;
            node.heard_ms_ago = 0;
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("table");
        let node = v1::NodeView {
            facts: Some(v1::NodeFacts {
                node_id: "a".into(),
                address: "127.0.0.1:1".into(),
                weight: 1,
                ..Default::default()
            }),
            state: v1::NodeState::Up.into(),
            ..Default::default()
        };
        let table = v1::SavedTable {
            version: 1,
            saved_unix_ms: 7,
            nodes: vec![node],
            removed: Vec::new(),
            facts: Some(v1::GatewayFacts::default()),
            clock_offset_ms: Some(-7_200_000),
        };
        save(&path, &table).expect("written");
        (folder, path)
    }

    #[test]
    fn a_copy_is_read_back() {
        let (_folder, path) = written();
        let saved = load(&path).expect("sound").expect("there");
        assert_eq!((saved.at, saved.clock_offset_millis), (UnixMillis(7), Some(-7_200_000)));
        assert_eq!(saved.merge.views().count(), 1);
    }

    #[test]
    fn no_copy_is_no_fault() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(load(&folder.path().join("none")).expect("no fault").is_none());
    }

    #[test]
    fn a_copy_that_is_cut_short_anywhere_is_refused() {
        let (_folder, path) = written();
        let whole = std::fs::read(&path).expect("there");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            let why = load(&path).expect_err("cut short");
            assert!(matches!(why, LoadError::Damaged(_) | LoadError::Format(_)), "{length}: {why}");
        }
    }
}
