//! Servers that keep what they fetch from an origin: nginx's proxy_cache and ferry's node, each beginning with an empty cache.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::{
    get::compare,
    ground::Ground,
    load::{Content, Job},
    origin::Origin,
    server::{Server, pause},
    site::target,
};

/// For what was fetched to be kept.
const KEEP_LIMIT: Duration = Duration::from_secs(20);

/// A cache, and the folder that it fills.
#[derive(Debug)]
pub(crate) struct Cached {
    // Ended before its folder goes.
    pub(crate) server: Server,
    _folder: TempDir,
}

impl Cached {
    /// A new server: nginx, ferry.
    pub(crate) fn contender(ground: &Ground<'_>, origin: &Origin, contender: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cache").tempdir_in(ground.scratch)?;
        let start = if contender == 0 { Ground::nginx_cache } else { Ground::ferry_cache };
        Ok(Self { server: start(ground, origin, folder.path())?, _folder: folder })
    }

    /// Asks for a file until the origin hears no more of it. Every byte of every answer is compared.
    pub(crate) fn keep(&self, origin: &Origin, target: &str, file: &Path) -> Result<()> {
        let begun = Instant::now();
        loop {
            let before = origin.sent()?;
            compare(self.server.doors.http, target, file)?;
            if origin.sent()? == before {
                return Ok(());
            }
            ensure!(begun.elapsed() < KEEP_LIMIT, "{target} is fetched again and again");
            pause(Duration::from_millis(20));
        }
    }

    /// GET of a file of this size, of which every answer is looked at.
    pub(crate) fn job(&self, ground: &Ground<'_>, size: u64, clients: usize) -> Result<Job> {
        let content = Some(Arc::new(Content::of(&ground.site.file(size))?));
        Ok(Job { content, ..Job::file(self.server.doors.http, &target(size), size, clients) })
    }
}
