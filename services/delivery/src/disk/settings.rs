//! How a root is served.

use std::time::Duration;

use super::{open_file::Sending, resolve::Symlinks};
use crate::semantics::{coding::Coding, content_type::ContentTypes};

/// How a root is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether a path with a segment that begins with a dot is served.
    pub dotfiles: Dotfiles,
    /// What is done with symbolic links.
    pub symlinks: Symlinks,
    /// How many calls of this root that may block are made at once.
    pub calls_at_once: usize,
    /// How long one opening or one reading may take, its wait for a turn included.
    pub patience: Duration,
    /// How the bytes of its files are sent.
    pub sending: Sending,
    /// How many files may stay open between requests, if the system lets this process open so many; none with 0.
    pub open_files: usize,
    /// In which codings files may lie beside their plain form, the most welcome first.
    pub precompressed: Vec<Coding>,
    /// The media types of its files.
    pub types: ContentTypes,
    /// What its validators are made of.
    pub etag: EtagForm,
}

/// What the entity tags of a root's files are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EtagForm {
    /// Modification time and length: known at once, and the same on disks whose copies agree in both.
    #[default]
    MtimeSize,
    /// SHA-256: known once the file was read, and the same on any disk.
    Digest,
}

/// What is done with names that begin with a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dotfiles {
    /// They do not exist.
    #[default]
    Hidden,
    /// They are files like others.
    Served,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dotfiles: Dotfiles::default(),
            symlinks: Symlinks::default(),
            calls_at_once: 64,
            patience: Duration::from_secs(15),
            sending: Sending::default(),
            open_files: 10_000,
            precompressed: Vec::new(),
            types: ContentTypes::default(),
            etag: EtagForm::default(),
        }
    }
}
