//! The cache: where it is, and how it is kept there.
//!
//! What an operator says of freshness is the policy's ([`caching::config`]). A setting that would be ignored is a fault: whoever limits a
//! cache believes that there is one.

mod room;
mod settings;

use std::{
    path::{Path, PathBuf, absolute},
    time::Duration,
};

use ferry_delivery::{
    cache::store::{self, Mode},
    disk::Sending,
    semantics::caching::{self, Policy},
};
use ferry_runtime::config::{ByteSize, Provenance, Reader};

use super::Backend;
pub(super) use settings::SETTINGS;

/// Smaller blocks cost more in metadata than they save in bytes; a larger one is much to fetch anew for one bad byte.
const SMALLEST_BLOCK: u64 = 64 << 10;
const LARGEST_BLOCK: u64 = 64 << 20;

/// What the kernel's page cache counts in: a block shares no page with another.
const PAGE: u64 = 4 << 10;

/// A node's cache, as it was told.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Where it is.
    pub directory: PathBuf,
    /// How it is kept there.
    pub store: store::Settings,
    /// What is kept, for how long, and when it is given out.
    pub policy: Policy,
    /// How many bytes a fill may be ahead of its fastest client.
    pub fill_ahead: u64,
    /// How many bytes may be missing for a fill to be ended although nobody waits for it any more.
    pub finish: u64,
    /// How long clients wait for an origin where something stale may stand in for it.
    pub stale_patience: Duration,
}

/// Where a cache may be, as far as was said.
enum Place {
    /// Here.
    At(PathBuf),
    /// Nowhere, by somebody's own word.
    Off,
    /// Nowhere: why, and what would change that.
    None(&'static str),
    /// Something is wrong that has its own fault.
    Unknown,
}

/// Reads all that concerns it, whatever the backend: each value that cannot stand is a fault. `None` where there is no cache, and where there
/// is a fault.
pub(super) fn read(
    reader: &mut Reader<'_>,
    backend: Option<&Backend>,
    storage: Option<&Path>,
    sending: Option<Sending>,
) -> Option<CacheConfig> {
    let place = place(reader, backend, storage);
    let policy = caching::config::read(reader);
    let block_bytes = block(reader);
    let space = room::read(reader, block_bytes);
    let (rate, every) = (reader.require::<ByteSize>("cache-scrub-rate"), reader.require("cache-scrub-every"));
    let fill_ahead = fill_ahead(reader, block_bytes);
    let finish = reader.require::<ByteSize>("cache-finish").map(ByteSize::bytes);
    let patience = reader.require("cache-stale-patience");
    let mode = if reader.switch("cache-read-only") { Mode::ReadOnly } else { Mode::ReadWrite };
    let digest_while_filled = reader.switch("cache-digest");
    let directory = match place {
        Place::At(directory) => directory,
        Place::Off | Place::Unknown => return None,
        Place::None(why) => {
            refuse_what_is_in_vain(reader, why);
            return None;
        }
    };
    let store = store::Settings {
        mode,
        block_bytes: u32::try_from(block_bytes?).ok()?,
        sending: sending?,
        space: space?,
        scrub_rate: rate?.bytes(),
        scrub_every: every?,
        digest_while_filled,
        ..store::Settings::default()
    };
    Some(CacheConfig {
        directory,
        store,
        policy: policy?,
        fill_ahead: fill_ahead?,
        finish: finish?,
        stale_patience: patience?,
    })
}

fn place(reader: &mut Reader<'_>, backend: Option<&Backend>, storage: Option<&Path>) -> Place {
    const NO_ORIGIN: &str = "with backend-mode filesystem no origin is asked, so there is nothing to keep";
    let said: Option<PathBuf> = reader.get("cache");
    let off = said.as_deref().is_some_and(|said| said == Path::new("off"));
    let (directory, root) = match (backend, said) {
        _ if off => return Place::Off,
        (None, _) => return Place::Unknown,
        (Some(Backend::Filesystem(_)), Some(_)) => {
            reader.fault("cache", NO_ORIGIN);
            return Place::Unknown;
        }
        (Some(Backend::Filesystem(_)), None) => return Place::None(NO_ORIGIN),
        (Some(Backend::Http(_)), None) => {
            return Place::None("there is no cache: with backend-mode http, `cache` has to name a directory");
        }
        (Some(Backend::Http(_)), Some(directory)) => (directory, None),
        (Some(Backend::Hybrid(root, _)), Some(directory)) => (directory, Some(root)),
        (Some(Backend::Hybrid(root, _)), None) => match storage {
            Some(storage) => (storage.join("cache"), Some(root)),
            None => return Place::Unknown,
        },
    };
    if root.is_some_and(|root| resolved(&directory).starts_with(resolved(root))) {
        let at = directory.display();
        reader.fault(
            "cache",
            format!("expected a directory that is not below root, as {at} is: what lies there is served to everybody"),
        );
        return Place::Unknown;
    }
    Place::At(directory)
}

/// A path without its links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let whole = absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = whole.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match there {
        Some((above, real)) => real.join(whole.strip_prefix(above).unwrap_or(Path::new(""))),
        None => whole,
    }
}

/// Whatever somebody said of a cache that is not there.
fn refuse_what_is_in_vain(reader: &mut Reader<'_>, why: &str) {
    let all = SETTINGS.iter().chain(caching::config::SETTINGS);
    for setting in all.filter(|setting| setting.name != "cache") {
        if reader.is_set(setting.name) && reader.origin_of(setting.name) != Provenance::Default {
            reader.fault(setting.name, why);
        }
    }
}

/// How far a fill may run ahead: a block at least, as less than that is never fetched.
fn fill_ahead(reader: &mut Reader<'_>, block: Option<u64>) -> Option<u64> {
    let bytes = reader.require::<ByteSize>("cache-fill-ahead")?.bytes();
    if let Some(block) = block.filter(|block| bytes < *block) {
        reader.fault("cache-fill-ahead", format!("must be at least cache-block ({})", ByteSize(block)));
        return None;
    }
    Some(bytes)
}

fn block(reader: &mut Reader<'_>) -> Option<u64> {
    let bytes = reader.require::<ByteSize>("cache-block")?.bytes();
    if !(SMALLEST_BLOCK..=LARGEST_BLOCK).contains(&bytes) || !bytes.is_multiple_of(PAGE) {
        reader.fault("cache-block", "must be between 64KiB and 64MiB, and a multiple of 4KiB");
        return None;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
