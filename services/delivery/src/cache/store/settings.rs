//! How a store is kept.

use std::time::Duration;

use super::space::Space;
use crate::disk::Sending;

/// How a store is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether anything is written.
    pub mode: Mode,
    /// How long a block of a new object is, in bytes: what is listed, verified and fetched anew as a whole.
    pub block_bytes: u32,
    /// After how many bytes of a fill they are forced to the disk and listed. What a crash takes from a fill is at most four times this.
    pub flush_bytes: u64,
    /// How often what fills wrote is forced to the disk and listed, where it is less. By then the kernel has written most of it by itself.
    pub flush_every: Duration,
    /// How many objects stay open between requests.
    pub open_objects: usize,
    /// How many calls that may block are made at once.
    pub calls_at_once: usize,
    /// How long one of these may take, its wait for a turn included.
    pub patience: Duration,
    /// How the bytes of its objects are sent.
    pub sending: Sending,
    /// How much room it may take, and for what.
    pub space: Space,
    /// How fast what is on the disk is proved, in bytes per second; not at all with 0.
    pub scrub_rate: u64,
    /// How long after the beginning of one round over all objects the next one begins, at the earliest.
    pub scrub_every: Duration,
    /// Whether SHA-256 is computed while an object is filled in order, which takes half a second of CPU for each GiB. Otherwise the first round
    /// of the scrub does.
    pub digest_while_filled: bool,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Objects come and go.
    #[default]
    ReadWrite,
    /// What is there is given out, and the directory stays as it is.
    ReadOnly,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            block_bytes: 1 << 20,
            flush_bytes: 64 << 20,
            flush_every: Duration::from_secs(5),
            open_objects: 4096,
            calls_at_once: 64,
            patience: Duration::from_secs(15),
            sending: Sending::default(),
            space: Space::default(),
            scrub_rate: 10 << 20,
            scrub_every: Duration::from_secs(24 * 3600),
            digest_while_filled: false,
        }
    }
}
