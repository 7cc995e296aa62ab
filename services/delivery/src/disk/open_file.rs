//! A file that was found and opened: the same bytes for as long as it is held, whatever happens to its name.

use std::{
    fs::File, io, os::fd::AsFd, os::fd::BorrowedFd, os::fd::OwnedFd, sync::Arc, time::Duration, time::SystemTime,
};

use rustix::fs::Stat;
use tokio::sync::Semaphore;

use super::Settings;

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    pub(super) file: Arc<File>,
    length: u64,
    modified: SystemTime,
    opened: SystemTime,
    sending: Sending,
    pub(super) calls: Arc<Semaphore>,
    pub(super) patience: Duration,
}

/// How the bytes of a file get to a client, where the connection leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Whether the kernel may send the file by itself; if not, its bytes go through a buffer, with the same outcome.
    pub sendfile: bool,
    /// How many bytes are read at a time where they go through a buffer.
    pub buffer_bytes: usize,
}

impl Default for Sending {
    fn default() -> Self {
        Self { sendfile: true, buffer_bytes: 64 * 1024 }
    }
}

impl OpenFile {
    /// `calls` and the settings' patience bound the reads as they do the opening.
    pub(super) fn new(
        file: OwnedFd,
        stat: &Stat,
        opened: SystemTime,
        calls: Arc<Semaphore>,
        settings: &Settings,
    ) -> io::Result<Self> {
        let length = u64::try_from(stat.st_size).map_err(io::Error::other)?;
        let modified = moment(stat.st_mtime, stat.st_mtime_nsec);
        let (sending, patience) = (settings.sending, settings.patience);
        Ok(Self { file: Arc::new(File::from(file)), length, modified, opened, sending, calls, patience })
    }

    /// Its length when it was opened, in bytes: what an answer announces.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// When it was last modified, as of when it was opened.
    #[must_use]
    pub const fn modified(&self) -> SystemTime {
        self.modified
    }

    /// When it was opened: how fresh the length and the modification time are.
    #[must_use]
    pub const fn opened(&self) -> SystemTime {
        self.opened
    }

    /// How its bytes are to be sent.
    #[must_use]
    pub const fn sending(&self) -> Sending {
        self.sending
    }

    /// The descriptor, for an engine that lets the kernel send.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The moment `seconds` and `nanoseconds` after 1970; what lies before becomes 1970.
fn moment(seconds: i64, nanoseconds: u64) -> SystemTime {
    let since = u64::try_from(seconds).map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds))
    });
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
