//! Where a cluster in one process keeps what must last.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

/// A folder; a temporary one goes with the process.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl State {
    pub(super) fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        match named {
            Some(path) => {
                std::fs::create_dir_all(path).with_context(|| format!("could not make {}", path.display()))?;
                Ok(Self { path: path.to_owned(), _temporary: None })
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("ferry-up-").tempdir();
                let temporary = temporary.context("could not make a temporary folder")?;
                Ok(Self { path: temporary.path().to_owned(), _temporary: Some(temporary) })
            }
        }
    }

    /// A path inside, as text for a setting.
    pub(super) fn inside(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}
