//! Reading an open file into memory: from the page cache in place, from the disk on a helper thread.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::{task, time};

use super::OpenFile;

impl OpenFile {
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
