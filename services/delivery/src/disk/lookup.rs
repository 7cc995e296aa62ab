//! From a path to an open file: one that stayed open and is still the one (invariant D5), or one that is found now.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
    time::{Duration, SystemTime},
};

use ferry_core::object::ObjectPath;
use rustix::{fs::Stat, io::Errno};
use tokio::time::Instant;

use super::{
    Inner, OpenFile,
    cache::{Held, WALK_HOLDS},
    descriptor::Descriptor,
    filesystem::Nature,
    open_file::Identity,
    resolve::{Failure, Found, Reach},
};

/// A change that follows another within this time may leave no trace in the file's times, which the kernel stamps by its tick: what was
/// changed so lately is opened again for the next request.
pub(super) const TICK: Duration = Duration::from_millis(100);

impl Inner {
    /// The file of that path, if it is open and still the one (invariant D5). Never blocks.
    pub(super) fn still_open(&self, path: &ObjectPath, now: Instant) -> Option<Arc<OpenFile>> {
        let Held { file, walked, by_link } = self.files.get(path)?;
        let recent = now.saturating_duration_since(walked) < WALK_HOLDS;
        // Taken first: what time does to validators is true only if the file was looked at later.
        let clock = (!file.validators().are_settled()).then(SystemTime::now);
        let walks = file.nature() == Nature::Layered || by_link || !recent;
        let (current, walked) = match file.nature() {
            Nature::Remote => (recent, walked),
            Nature::Local | Nature::Layered if walks => (self.leads_to(path, &file), now),
            Nature::Local | Nature::Layered => (self.is_unchanged(&file), walked),
        };
        if !current {
            self.files.forget(path, &file);
            return None;
        }
        if file.nature() != Nature::Remote {
            file.stands(now);
        }
        let outdated = clock.filter(|clock| !file.validators().hold_at(*clock));
        let renewed = outdated.map(|clock| self.judged(&file, clock).unwrap_or_else(|| Arc::new(file.renewed(clock))));
        let file = renewed.clone().unwrap_or(file);
        if renewed.is_some() || !recent {
            self.files.put(path.clone(), Held { file: Arc::clone(&file), walked, by_link });
        }
        Some(file)
    }

    /// Whether nothing about an open file has changed since it was opened, its names included.
    fn is_unchanged(&self, file: &OpenFile) -> bool {
        rustix::fs::fstat(file.as_fd()).is_ok_and(|stat| is_the_same(&stat, file))
    }

    /// Whether the path leads to this very file, unchanged. What it takes to say so is in memory, or the answer is no.
    fn leads_to(&self, path: &ObjectPath, file: &OpenFile) -> bool {
        let looked = self.resolver.look(self.root(), path.as_str(), Reach::Memory);
        looked.is_ok_and(|found| is_the_same(&found.stat, file))
    }

    /// Finds and opens, and keeps what it opened. Blocks on the file system, if its reach is the disk.
    pub(super) fn find(&self, path: &ObjectPath, reach: Reach, now: Instant) -> Result<Arc<OpenFile>, Failure> {
        // The wall clock of the machine whose clock stamped the file: the two are compared. Taken before the file is looked at, since
        // this thread may be stopped in between.
        let clock = SystemTime::now();
        let Found { it: file, stat, by_link } = self.resolver.open(self.root(), path.as_str(), reach)?;
        let nature = match (self.nature, reach) {
            // Below a remote root nothing counts as nearer. A walk through memory goes over no mount point.
            (Nature::Remote, _) | (_, Reach::Memory) => self.nature,
            (Nature::Local | Nature::Layered, Reach::Disk) => Nature::of(&file),
        };
        let file = Descriptor::new(file, nature, Arc::clone(&self.closer));
        let kind = self.settings.types.by_name(path.file_name());
        let file = OpenFile::new(
            file,
            &stat,
            (now, clock),
            kind,
            Arc::clone(&self.calls),
            self.settings.sending,
            self.buffers.clone(),
        );
        let file = file.map_err(|_| Failure::System(Errno::OVERFLOW))?;
        let file = self.judged(&file, clock).unwrap_or_else(|| Arc::new(file));
        if nature == Nature::Remote || file.identity().changed_apart(clock) >= TICK {
            self.files.put(path.clone(), Held { file: Arc::clone(&file), walked: now, by_link });
        }
        Ok(file)
    }

    /// The same file with validators by what it hashes to, which is found out if it is not known; `None` where they are not made so. It was looked at not
    /// before `clock`.
    fn judged(&self, file: &OpenFile, clock: SystemTime) -> Option<Arc<OpenFile>> {
        let digests = self.digests.as_ref()?;
        let digest = digests.of(file.identity());
        let judged = Arc::new(file.hashed(digest, clock));
        if digest.is_none() {
            digests.want(&judged);
        }
        Some(judged)
    }

    fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// Whether this is the file as it was opened, and has a name.
fn is_the_same(stat: &Stat, file: &OpenFile) -> bool {
    stat.st_nlink > 0 && Identity::of(stat) == file.identity()
}
