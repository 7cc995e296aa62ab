//! The folder and the ports of one test. The folder stays where the test failed, for whoever looks into it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::ports::Ports;

pub(crate) struct Workshop {
    folder: TempDir,
    pub(crate) ports: Ports,
}

impl Workshop {
    pub(crate) fn open() -> Self {
        // Below target/, so that sample files can be linked into it instead of copied.
        let folder = tempfile::Builder::new()
            .prefix("cluster-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("target/tmp can be written");
        Self { folder, ports: Ports::reserve() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder of that name, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("a folder in the test's own folder");
        path
    }

    /// A file of that name with that text.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).expect("a file in the test's own folder");
        path
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
        }
    }
}
