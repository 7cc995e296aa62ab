//! Reading an open file without stalling a thread that has other clients.
//!
//! What the page cache holds is read, or sent by the kernel, in place. What it does not hold is waited for by a helper thread; a root that
//! hangs holds back at most [`super::Settings::calls_at_once`] of those, and a caller as long as [`super::Settings::patience`].

use std::{
    io::{self, IoSliceMut},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
};

use super::OpenFile;

/// How far apart the page cache is probed. The kernel reads ahead, and drops what was read, in runs of about this size.
const STRIDE: u64 = 128 * 1024;

impl OpenFile {
    /// Fills `buffer` from `offset` on, with what the page cache holds; returns how much that was, 0 at the end of the file as it is
    /// now, and `None` where the disk would have to be waited for.
    pub fn read_now(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::preadv2(&*self.file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
            Ok(count) => Ok(Some(count)),
            // A file system that cannot tell may make its reader wait.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads up to `most` bytes at `offset`, waiting for the disk where that is needed; nothing at or behind the end of the file
    /// as it is now.
    ///
    /// Cancelling leaves the helper thread to end by itself.
    pub async fn read_at(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let mut buffer = BytesMut::zeroed(most);
        if let Some(count @ 1..) = self.read_now(offset, &mut buffer)? {
            buffer.truncate(count);
            return Ok(buffer.freeze());
        }
        // Nothing read may mean the end, or a kernel that would rather not say: the other way decides.
        let file = Arc::clone(&self.file);
        self.on_a_helper(move || {
            let count = rustix::io::retry_on_intr(|| rustix::io::pread(&*file, &mut buffer[..], offset))?;
            buffer.truncate(count);
            Ok(buffer.freeze())
        })
        .await
    }

    /// How many bytes from `offset` on, at most `length`, the page cache seems to hold: it is asked about every [`STRIDE`] and about the
    /// last byte. Pages may be dropped right after, so this is a reason to try, not a promise.
    #[must_use]
    pub fn resident(&self, offset: u64, length: u64) -> u64 {
        let end = offset + length;
        let mut at = offset;
        if length > 0 && !self.holds(at) {
            return 0;
        }
        while at < end {
            // The last page of a run tells most: what was read last is there if all is.
            let next = (at + STRIDE).min(end);
            if !self.holds(next - 1) {
                return at - offset;
            }
            at = next;
        }
        length
    }

    fn holds(&self, at: u64) -> bool {
        // At the end of a file that was truncated there is nothing to wait for.
        matches!(self.read_now(at, &mut [0]), Ok(Some(_)))
    }

    /// Brings `length` bytes from `offset` on into the page cache, as far as the file goes.
    ///
    /// Cancelling leaves the helper thread to end by itself.
    pub async fn fetch(&self, offset: u64, length: u64) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        self.on_a_helper(move || {
            // One request to the disk for all of it, where the file system takes advice; then wait for its parts.
            let _ = rustix::fs::fadvise(&*file, offset, std::num::NonZeroU64::new(length), Advice::WillNeed);
            let (mut at, end) = (offset, offset + length);
            while at < end {
                let next = (at + STRIDE).min(end);
                for place in [at, next - 1] {
                    rustix::io::retry_on_intr(|| rustix::io::pread(&*file, &mut [0], place))?;
                }
                at = next;
            }
            Ok(())
        })
        .await
    }

    async fn on_a_helper<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.calls.make(call).await?
    }
}
