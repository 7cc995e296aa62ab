//! A file that was found and opened: the same bytes for as long as it is held, whatever happens to its name.
//!
//! What answers say of it is made once, when it is opened.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use rustix::fs::Stat;
use tokio::time::Instant;

use super::{
    buffers::Buffers,
    calls::Calls,
    descriptor::Descriptor,
    digests::Digest,
    filesystem::Nature,
    filling::{About, Filling},
    reading::Residency,
};
use crate::semantics::validators::Validators;

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    pub(super) file: Arc<Descriptor>,
    identity: Identity,
    length: u64,
    modified: SystemTime,
    validators: Validators,
    /// What all of it hashes to, where validators are made of that and it is known.
    digest: Option<Digest>,
    content_type: HeaderValue,
    sending: Sending,
    pub(super) calls: Arc<Calls>,
    pub(super) buffers: Buffers,
    pub(super) residency: Residency,
    /// When it began to be looked for.
    begin: Instant,
    /// How long after that it was last seen to be the one that its path leads to, in nanoseconds.
    stood: AtomicU64,
    /// What knows which of its bytes are there; none, if all are.
    pub(super) filling: Option<Arc<dyn Filling>>,
}

/// How the bytes of a file get to a client, where the connection leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Whether the kernel may send the file by itself; if not, its bytes go through a buffer, with the same outcome.
    pub sendfile: bool,
    /// How many bytes are read at a time where they go through a buffer.
    pub buffer_bytes: usize,
}

/// Which file it is, and in which state: equal only while nothing was written to it and it has the names that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    /// Moves with each change of the content, the permissions and the names.
    changed: (i64, i64),
}

impl Default for Sending {
    fn default() -> Self {
        Self { sendfile: true, buffer_bytes: 64 * 1024 }
    }
}

impl OpenFile {
    /// `stat` was taken not before `now`, on either clock. Its reads are among the `calls` of its root.
    pub(super) fn new(
        file: Descriptor,
        stat: &Stat,
        (begin, now): (Instant, SystemTime),
        content_type: HeaderValue,
        calls: Arc<Calls>,
        sending: Sending,
        buffers: Buffers,
    ) -> io::Result<Self> {
        let length = u64::try_from(stat.st_size).map_err(io::Error::other)?;
        let modified = moment(stat.st_mtime, stat.st_mtime_nsec);
        Ok(Self {
            file: Arc::new(file),
            identity: Identity::of(stat),
            length,
            modified,
            validators: Validators::of_file(modified, length, now),
            digest: None,
            content_type,
            sending,
            calls,
            buffers,
            residency: Residency::default(),
            begin,
            stood: AtomicU64::new(0),
            filling: None,
        })
    }

    /// A file out of a cache, of which `filling` knows what is there. Its reads are among `calls`.
    pub(crate) fn partial(
        file: Arc<Descriptor>,
        about: About,
        calls: Arc<Calls>,
        sending: Sending,
        buffers: Buffers,
        filling: Arc<dyn Filling>,
    ) -> io::Result<Self> {
        let identity = Identity::of(&rustix::fs::fstat(&*file)?);
        let About { length, modified, validators, content_type } = about;
        Ok(Self {
            file,
            identity,
            length,
            modified,
            validators,
            digest: None,
            content_type,
            sending,
            calls,
            buffers,
            residency: Residency::default(),
            begin: Instant::now(),
            stood: AtomicU64::new(0),
            filling: Some(filling),
        })
    }

    /// The same file, which was looked at not before `now` and found unchanged: time may have made its validators better.
    pub(super) fn renewed(&self, now: SystemTime) -> Self {
        self.with(Validators::of_file(self.modified, self.length, now), None)
    }

    /// The same, with validators by what it hashes to, if that is known.
    pub(super) fn hashed(&self, digest: Option<Digest>, now: SystemTime) -> Self {
        self.with(Validators::by_sha256(digest.as_ref(), self.modified, now), digest)
    }

    fn with(&self, validators: Validators, digest: Option<Digest>) -> Self {
        Self {
            file: Arc::clone(&self.file),
            validators,
            digest,
            content_type: self.content_type.clone(),
            calls: Arc::clone(&self.calls),
            buffers: self.buffers.clone(),
            residency: Residency::default(),
            stood: AtomicU64::new(self.stood.load(Relaxed)),
            filling: self.filling.clone(),
            ..*self
        }
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

    /// Its validators.
    #[must_use]
    pub const fn validators(&self) -> &Validators {
        &self.validators
    }

    /// What all of it hashes to, where the root's validators are made of that and it is known.
    #[must_use]
    pub(crate) const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Its media type, by its name.
    #[must_use]
    pub const fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// How its bytes are to be sent.
    #[must_use]
    pub const fn sending(&self) -> Sending {
        self.sending
    }

    /// Whether it was looked at no earlier than `since`, and found to be what its path leads to (invariant D5). Of a file out of a cache,
    /// whether it is current now.
    #[must_use]
    pub fn stood_at(&self, since: Instant) -> bool {
        if let Some(filling) = &self.filling {
            return filling.is_current();
        }
        since.saturating_duration_since(self.begin).as_nanos() <= u128::from(self.stood.load(Relaxed))
    }

    /// Whether it comes out of a cache, and not from a path below a root.
    #[must_use]
    pub const fn is_cached(&self) -> bool {
        self.filling.is_some()
    }

    /// Says that it answered a request which nobody looked for it for.
    pub(crate) fn given_again(&self) {
        if let Some(filling) = &self.filling {
            filling.given_again();
        }
    }

    /// A look at it that began `now` found it so.
    pub(super) fn stands(&self, now: Instant) {
        let after = now.saturating_duration_since(self.begin).as_nanos();
        self.stood.fetch_max(u64::try_from(after).unwrap_or(0), Relaxed);
    }

    /// The descriptor, for an engine that lets the kernel send.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Says that sending it in place ended so, for [`super::Disk::health`]; whether that was the file or the client is told apart here. What
    /// its own reads meet is known already.
    pub fn failed(&self, error: &io::Error) {
        self.calls.note(error);
    }

    pub(super) const fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn nature(&self) -> Nature {
        self.file.nature()
    }
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    /// How long before or after `now` the file was changed.
    pub(super) fn changed_apart(&self, now: SystemTime) -> Duration {
        let changed = moment(self.changed.0, u64::try_from(self.changed.1).unwrap_or(0));
        now.duration_since(changed).unwrap_or_else(|ahead| ahead.duration())
    }
}

/// The moment `seconds` and `nanoseconds` after 1970; what lies before becomes 1970.
fn moment(seconds: i64, nanoseconds: u64) -> SystemTime {
    let since = u64::try_from(seconds).map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds))
    });
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
