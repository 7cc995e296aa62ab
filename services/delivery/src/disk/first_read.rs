//! The first read of a file, made before its answer is: a file that can be opened and not read is refused by a status, not by a
//! connection that breaks off.

use std::{io, sync::Arc};

use super::{DiskError, OpenFile, resolve::Failure};
use crate::answer::Slice;

/// How much is read first, where the disk has to be waited for: what it gives in one go.
const FIRST: u64 = 128 * 1024;

impl OpenFile {
    /// Waits until the first bytes of `slice` are in memory, or are seen not to be had. What is in memory costs a look. That there are none any
    /// more is an error where the file is out of a cache, which can have them again.
    ///
    /// Cancelling leaves the helper thread to end by itself.
    pub async fn first_read(&self, slice: Slice) -> Result<(), DiskError> {
        let cached = self.is_cached();
        let in_memory = || match cached {
            true => matches!(self.read_now(slice.offset, &mut [0]), Ok(Some(1))),
            false => self.calls.may_be_passed_by() && self.resident(slice.offset, 1) > 0,
        };
        if slice.length == 0 || in_memory() {
            return Ok(());
        }
        let file = Arc::clone(&self.file);
        let mut first = vec![0; usize::try_from(slice.length.min(FIRST)).unwrap_or_default()];
        let read = self.calls.make(move || {
            rustix::io::retry_on_intr(|| rustix::io::pread(&*file, &mut first[..], slice.offset)).map_err(Failure::from)
        });
        match read.await?? {
            0 if cached => Err(DiskError::Io(io::ErrorKind::UnexpectedEof.into())),
            // How much it was is found out again when it is sent.
            _ => Ok(()),
        }
    }
}
