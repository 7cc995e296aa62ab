//! The copy on disk of what is known of the cluster. It holds a signing key, so it is readable by its owner alone.

use std::{
    io,
    path::{Path, PathBuf},
};

use ferry_proto::{
    VERSION,
    convert::{Invalid, access_to_wire, check_version},
    v1,
};
use ferry_runtime::atomic_file::{self, Mode};
use prost::Message as _;
use tokio::{sync::watch, task};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Facts, State};

/// Why there is nothing to begin with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    /// The file is there, and cannot be read.
    #[error("could not read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// It was cut short, or is something else.
    #[error("{} cannot be decoded", .path.display())]
    Bytes {
        /// Which file.
        path: PathBuf,
        /// Where decoding failed.
        #[source]
        cause: prost::DecodeError,
    },
    /// It makes no sense, or is newer than this build.
    #[error("{} makes no sense", .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Invalid,
    },
}

/// What an earlier life knew, and how far the coordinators' clock was ahead, in milliseconds.
pub(super) fn load(path: &Path) -> Result<Option<(Facts, i64)>, SavedError> {
    let path_owned = || path.to_owned();
    let bytes = atomic_file::read(path).map_err(|cause| SavedError::Read { path: path_owned(), cause })?;
    let Some(bytes) = bytes else { return Ok(None) };
    let saved = v1::SavedCluster::decode(&*bytes).map_err(|cause| SavedError::Bytes { path: path_owned(), cause })?;
    parse(saved).map(Some).map_err(|cause| SavedError::Content { path: path_owned(), cause })
}

fn parse(saved: v1::SavedCluster) -> Result<(Facts, i64), Invalid> {
    check_version(saved.version)?;
    let facts = saved.facts.ok_or(Invalid::Missing("facts"))?.try_into()?;
    Ok((facts, saved.clock_offset_ms))
}

fn encode(state: &State) -> Vec<u8> {
    let facts = v1::ClusterFacts {
        node_ring: state.facts.ring.as_ref().map(Into::into),
        coordinators: state.facts.coordinators.iter().map(Into::into).collect(),
        access: access_to_wire(state.facts.guarded).into(),
        // Of the moment; the offset is what lasts.
        unix_ms: 0,
    };
    v1::SavedCluster { version: VERSION, facts: Some(facts), clock_offset_ms: state.clock_offset_millis }
        .encode_to_vec()
}

/// Writes down each change. A disk that fails costs a warning: what is in memory is good.
pub(super) async fn follow(path: PathBuf, mut changes: watch::Receiver<State>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased; // what was learnt before the stop is written before it
            changed = changes.changed() => if changed.is_err() {
                return;
            },
            () = stop.cancelled() => return,
        }
        let (place, bytes) = (path.clone(), encode(&changes.borrow_and_update()));
        let written = task::spawn_blocking(move || atomic_file::write(&place, &bytes, Mode::Private)).await;
        if let Ok(Err(error)) = written {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            warn!(%error, cause, "what is known of the cluster is not kept");
        }
    }
}
