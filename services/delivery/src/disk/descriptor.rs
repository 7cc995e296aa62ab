//! The descriptor of a file, and its last hour: giving one back may take long.
//!
//! When the last name of a large file is gone, the file system frees its blocks at the last close, which takes tens of
//! milliseconds; on a mount that hangs, a close may never come back. Such a close is left to a helper thread, one at a time for each root, so that a
//! mount that hangs takes one thread and no more.

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::runtime::Handle;

use super::filesystem::Nature;

/// A file whose blocks are freed faster than a helper thread is woken.
const SOON_FREED: i64 = 1 << 20;

/// An open file that closes without holding up who drops it.
pub(crate) struct Descriptor {
    /// `None` only while it is dropped.
    file: Option<OwnedFd>,
    nature: Nature,
    closer: Arc<Closer>,
}

/// Closes what may take long. There can be no more of it than files that were opened.
#[derive(Debug, Default)]
pub(crate) struct Closer {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    files: Vec<OwnedFd>,
    /// Whether a helper thread is at it.
    attended: bool,
}

impl Descriptor {
    pub(crate) const fn new(file: OwnedFd, nature: Nature, closer: Arc<Closer>) -> Self {
        Self { file: Some(file), nature, closer }
    }

    pub(crate) const fn nature(&self) -> Nature {
        self.nature
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_ref().expect("only its drop takes the file out").as_fd()
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor").field("file", &self.file).field("nature", &self.nature).finish_non_exhaustive()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if may_take_long(&file, self.nature) {
            Closer::take(&self.closer, file);
        }
    }
}

/// Whether the close of this file may hold its thread up.
fn may_take_long(file: &OwnedFd, nature: Nature) -> bool {
    match nature {
        Nature::Remote => true,
        Nature::Local | Nature::Layered => {
            rustix::fs::fstat(file).is_ok_and(|stat| stat.st_nlink == 0 && stat.st_size >= SOON_FREED)
        }
    }
}

impl Closer {
    fn take(this: &Arc<Self>, file: OwnedFd) {
        let Ok(runtime) = Handle::try_current() else {
            // No client waits for a thread that is no runtime's.
            return drop(file);
        };
        let mut waiting = this.waiting();
        waiting.files.push(file);
        if !std::mem::replace(&mut waiting.attended, true) {
            let this = Arc::clone(this);
            runtime.spawn_blocking(move || this.close_all());
        }
    }

    /// Blocks on the file system.
    fn close_all(&self) {
        while let Some(file) = self.next() {
            drop(file);
        }
    }

    fn next(&self) -> Option<OwnedFd> {
        let mut waiting = self.waiting();
        let next = waiting.files.pop();
        waiting.attended = next.is_some();
        next
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::fd::AsRawFd as _, path::PathBuf, sync::mpsc, time::Instant};

    use tempfile::NamedTempFile;
    use tokio::{runtime, task};

    use super::*;

    /// Where the kernel shows a descriptor of this process.
    fn shown(file: &Descriptor) -> PathBuf {
        format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
    }

    #[test]
    fn a_close_that_may_take_long_waits_for_a_helper_thread() {
        let runtime = runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
        runtime.block_on(async {
            let (free, wait) = mpsc::channel::<()>();
            let busy = task::spawn_blocking(move || wait.recv());
            let named = NamedTempFile::new().expect("a file");
            let file = fs::File::open(named.path()).expect("our own file");
            let remote = Descriptor::new(file.into(), Nature::Remote, Arc::default());
            let at = shown(&remote);
            drop(remote);
            assert_eq!(fs::read_link(&at).expect("still open"), named.path());
            drop(free);
            busy.await.expect("it ends").expect_err("nothing was sent");
            let begun = Instant::now();
            while fs::read_link(&at).is_ok_and(|path| path == named.path()) {
                assert!(begun.elapsed().as_secs() < 10, "nobody closed it");
                task::yield_now().await;
            }
        });
    }

    #[test]
    fn only_a_large_file_without_a_name_takes_long_to_close() {
        let mut named = NamedTempFile::new().expect("a file");
        named.write_all(&[0; SOON_FREED as usize]).expect("room on the disk");
        let file: OwnedFd = fs::File::open(named.path()).expect("our own file").into();
        assert!(!may_take_long(&file, Nature::Local));
        assert!(may_take_long(&file, Nature::Remote));
        named.close().expect("it is deleted");
        assert!(may_take_long(&file, Nature::Local));
    }
}
