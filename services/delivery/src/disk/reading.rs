//! Reading an open file without stalling a thread that has other clients.
//!
//! What the page cache holds is read, or sent by the kernel, in place. What it does not hold is waited for by a helper thread; a root that
//! hangs holds back at most [`super::Settings::calls_at_once`] of those, and a caller as long as [`super::Settings::patience`].

use std::{
    io::{self, IoSliceMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use rustix::{
    fs::Advice,
    io::{Errno, ReadWriteFlags},
    time::{ClockId, clock_gettime},
};

use super::OpenFile;

/// How long a file that was in the page cache as a whole is taken to be there still. A busy file is asked about a few times per second
/// then, and not at each request.
const REMEMBERED: Duration = Duration::from_millis(100);

/// How far apart the page cache is probed. The kernel reads ahead, and drops what was read, in long runs.
const STRIDE: u64 = 512 * 1024;

/// When a file was last seen to be in the page cache as a whole: nanoseconds of a clock that only moves forward; 0 for never.
#[derive(Debug, Default)]
pub(super) struct Residency(AtomicU64);

impl OpenFile {
    /// Fills `buffer` from `offset` on, with what the page cache holds; returns how much that was, 0 at the end of the file as it is
    /// now, and `None` where the disk, or who fills the file, would have to be waited for.
    pub fn read_now(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let there = self.there(offset, buffer.len() as u64);
        if there == 0 && offset < self.length() && !buffer.is_empty() {
            return Ok(None);
        }
        // No more is there than fits.
        let most = there as usize;
        self.read_resident(offset, &mut buffer[..most])
    }

    fn read_resident(&self, offset: u64, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::preadv2(&*self.file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
            Ok(count) => Ok(Some(count)),
            // A file system that cannot tell may make its reader wait.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => Ok(None),
            Err(other) => {
                let error = other.into();
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Reads up to `most` bytes at `offset`, and no more than a buffer takes, waiting for the disk where that is needed; nothing at
    /// or behind the end of the file as it is now.
    ///
    /// Cancelling leaves the helper thread to end by itself.
    pub async fn read_at(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        if let Some(bytes) = self.read_at_once(offset, most)? {
            return Ok(bytes);
        }
        let mut most = most.min(self.sending().buffer_bytes.max(1));
        if let Some(filling) = &self.filling
            && offset < self.length()
        {
            most = match filling.supply(offset, most as u64).await? {
                0 => return filling.pass(offset, most).await,
                // No more than was asked for.
                there => there as usize,
            };
            // What came just now is in memory.
            if let Some(bytes) = self.read_at_once(offset, most)? {
                return Ok(bytes);
            }
        }
        let mut buffer = self.buffers.take();
        let most = most.min(buffer.as_ref().len());
        // Nothing read may mean the end, or a kernel that would rather not say: the other way decides.
        let file = Arc::clone(&self.file);
        self.on_a_helper(move || {
            let free = &mut buffer.as_mut()[..most];
            let count = rustix::io::retry_on_intr(|| rustix::io::pread(&*file, &mut *free, offset))?;
            Ok(buffer.freeze(count))
        })
        .await
    }

    /// As [`Self::read_at`], one byte at least and only what the page cache holds; `None` where that is nothing.
    pub fn read_at_once(&self, offset: u64, most: usize) -> io::Result<Option<Bytes>> {
        let mut buffer = self.buffers.take();
        let most = most.min(buffer.as_ref().len());
        let read = self.read_now(offset, &mut buffer.as_mut()[..most])?;
        Ok(read.filter(|count| *count > 0).map(|count| buffer.freeze(count)))
    }

    /// How many bytes from `offset` on, at most `length`, the page cache seems to hold: it is asked about every [`STRIDE`] and about the
    /// last byte. Pages may be dropped right after, so this is a reason to try, not a promise.
    #[must_use]
    pub fn resident(&self, offset: u64, length: u64) -> u64 {
        let length = self.there(offset, length);
        let now = coarse_now();
        if u128::from(now.saturating_sub(self.residency.0.load(Relaxed))) < REMEMBERED.as_nanos() {
            return length;
        }
        let held = self.probe(offset, length);
        // Of a file that is being filled, all of it.
        if held == self.length() {
            self.residency.0.store(now, Relaxed);
        }
        held
    }

    /// Says that all of the file was just sent within so much time, and nothing of it had to be fetched.
    pub fn was_resident(&self, within: Duration) {
        if within < REMEMBERED {
            self.residency.0.store(coarse_now(), Relaxed);
        }
    }

    fn probe(&self, offset: u64, length: u64) -> u64 {
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
        matches!(self.read_resident(at, &mut [0]), Ok(Some(_)))
    }

    /// How many bytes from `offset` on, at most `length`, are in the file, in memory or not.
    fn there(&self, offset: u64, length: u64) -> u64 {
        match &self.filling {
            None => length,
            Some(filling) => filling.present(offset, length),
        }
    }

    /// Brings bytes from `offset` on into the page cache, as far as the file goes: `length` of them, or as many as are there of a file that
    /// is still being filled, and one at least. Returns how many; 0 if they do not come to lie in the file, and only [`Self::read_at`]
    /// has them.
    ///
    /// Cancelling leaves the helper thread to end by itself.
    pub async fn fetch(&self, offset: u64, length: u64) -> io::Result<u64> {
        let length = match &self.filling {
            None => length,
            Some(filling) => {
                let there = filling.supply(offset, length).await?;
                // What came just now is in memory.
                if self.probe(offset, there) == there {
                    return Ok(there);
                }
                there
            }
        };
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
            Ok(length)
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

/// Nanoseconds of the monotonic clock as of the last tick: a few milliseconds late, and nearly free.
fn coarse_now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    // Neither is ever negative on this clock.
    now.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
}
