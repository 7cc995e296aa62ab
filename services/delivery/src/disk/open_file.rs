//! A file that was found and opened: the same bytes for as long as it is held, whatever happens to its name.

use std::{
    fs::File, io, os::fd::AsFd, os::fd::BorrowedFd, os::fd::OwnedFd, sync::Arc, time::Duration, time::SystemTime,
};

use bytes::{Bytes, BytesMut};
use rustix::{
    fs::Stat,
    io::{Errno, ReadWriteFlags},
};
use tokio::{sync::Semaphore, task, time};

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    file: Arc<File>,
    length: u64,
    modified: SystemTime,
    opened: SystemTime,
    calls: Arc<Semaphore>,
    patience: Duration,
}

impl OpenFile {
    /// `calls` and `patience` bound the reads as they do the opening.
    pub(super) fn new(
        file: OwnedFd,
        stat: &Stat,
        opened: SystemTime,
        calls: Arc<Semaphore>,
        patience: Duration,
    ) -> io::Result<Self> {
        let length = u64::try_from(stat.st_size).map_err(io::Error::other)?;
        let modified = moment(stat.st_mtime, stat.st_mtime_nsec);
        Ok(Self { file: Arc::new(File::from(file)), length, modified, opened, calls, patience })
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

    /// The descriptor, for an engine that lets the kernel send.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reads up to `most` bytes at `offset`; nothing at or behind the end of the file as it is now.
    ///
    /// What the page cache holds is read in place; else a helper thread waits for the disk, and the caller as long as
    /// [`super::Settings::patience`]. Cancelling leaves that thread to end by itself.
    pub async fn read_at(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        match self.read_cached(offset, most) {
            // Nothing read may mean the end, or a kernel that would rather not say: the other way decides.
            Ok(bytes) if !bytes.is_empty() => return Ok(bytes),
            Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => {}
            Err(other) => return Err(other.into()),
        }
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no bytes came for {:?}", self.patience));
        time::timeout(self.patience, self.read_from_disk(offset, most)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn read_from_disk(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let turn = Arc::clone(&self.calls).acquire_owned().await.map_err(io::Error::other)?;
        let file = Arc::clone(&self.file);
        let read = task::spawn_blocking(move || {
            let mut buffer = BytesMut::zeroed(most);
            let count = rustix::io::retry_on_intr(|| rustix::io::pread(&*file, &mut buffer[..], offset))?;
            buffer.truncate(count);
            drop(turn);
            Ok(buffer.freeze())
        });
        read.await.unwrap_or_else(|broken| Err(io::Error::other(broken)))
    }

    fn read_cached(&self, offset: u64, most: usize) -> Result<Bytes, Errno> {
        let mut buffer = BytesMut::zeroed(most);
        let count =
            rustix::io::preadv2(&*self.file, &mut [io::IoSliceMut::new(&mut buffer)], offset, ReadWriteFlags::NOWAIT)?;
        buffer.truncate(count);
        Ok(buffer.freeze())
    }
}

/// The moment `seconds` and `nanoseconds` after 1970; what lies before becomes 1970.
fn moment(seconds: i64, nanoseconds: u64) -> SystemTime {
    let since = u64::try_from(seconds).map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds))
    });
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
