//! Objects on disk: a directory that holds what origins sent, whole or in parts.
//!
//! One sparse file for an object's bytes, and one for what is known of them ([`layout`], [`record`]). It knows nothing of HTTP: an object has
//! a key, a head that somebody else reads, a validator, and bytes. Who may have it, for how long it is fresh and where its bytes come from
//! is decided elsewhere; what is missing is claimed ([`Object::claim`]) and brought by one [`Fill`], and everybody reads along.
//!
//! Invariants:
//! - **B1** ([`spans`]) a set of spans is in its one form.
//! - **B2** ([`ledger`], [`journal`]) what the metadata list is on the disk, after a crash at any point too; or its checksum shows that it is not.
//! - **B3** ([`object`]) a byte is written once, by the one fill that claimed it.
//! - **B4** ([`layout`]) metadata and bytes of two objects never meet: each object has a number of its own.
//! - **B5** one process at a time writes to a directory.

mod deliver;
mod edition;
mod error;
pub mod faulty;
mod files;
mod fill;
mod index;
mod inner;
mod journal;
mod layout;
mod ledger;
mod object;
mod place;
mod purged;
mod record;
mod room;
mod scrub;
mod settings;
mod space;
mod spans;
mod stock;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use ferry_core::eviction::Verdict;
use tokio::{
    task,
    time::{self, Instant},
};

pub use deliver::Supply;
pub use edition::Reading;
pub use error::{FillError, OpenError, StoreError};
pub use fill::Fill;
pub use object::{Arrival, Object};
pub use place::Place;
pub use record::{MAX_HEAD_BYTES, MAX_KEY_BYTES, Validator};
pub use scrub::Proof;
pub use settings::{Mode, Settings};
pub use space::Space;
pub use spans::{Span, Spans};

use crate::disk::{Health, Time};
use faulty::{Faults, Twin};
use files::Files;
use inner::Inner;
use layout::{Id, shelf_name};
use ledger::Ledger;
use object::millis;

/// How often the limits of [`Space`] are looked after.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How many objects are listed by one call on a helper thread.
const LISTED_AT_ONCE: usize = 32;

/// How many keys are purged by one call on a helper thread: one by one, or in bulk.
const PURGED_AT_ONCE: usize = 64;
const PURGED_IN_BULK: usize = 10_000;

/// A directory of objects; a cheap clone of one handle. With the last one, what goes on in the background ends.
#[derive(Debug, Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle(Arc<Inner>);

/// What a new object is.
#[derive(Debug, Clone)]
pub struct NewObject {
    /// Its head, as whoever reads it wants it back.
    pub head: Bytes,
    /// What tells this version from others. Bytes under another one are another object.
    pub validator: Option<Validator>,
    /// Its length, if that is known.
    pub length: Option<u64>,
    /// When it came to be, and its head was validated.
    pub created: SystemTime,
    /// Whether an operator wants it here: it is let in on the first request too, if it is not too large.
    pub chosen: bool,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How many objects.
    pub objects: usize,
    /// What they take on the disk, in bytes.
    pub bytes: u64,
    /// How many bytes were written since it was opened.
    pub written: u64,
    /// How many objects were evicted since it was opened.
    pub evicted: u64,
    /// How many blocks were not what was written, of those that were looked at since it was opened.
    pub damaged: u64,
    /// How often its directory was gone with all that was in it, and made anew, since it was opened.
    pub remade: u64,
    /// Whether that is all: while stock is taken, it is less.
    pub stocked: bool,
}

/// An object on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Arc<str>,
    /// What it takes on the disk, in bytes.
    pub bytes: u64,
}

impl Store {
    /// Opens a directory, or makes it. Objects can be found at once; what else is there becomes known in the background.
    pub async fn open(directory: impl Into<PathBuf>, settings: Settings) -> Result<Self, OpenError> {
        Self::of(directory.into(), settings, None).await
    }

    /// Opens a directory whose file system fails on command. `shadows` is an empty directory beside it, on the same file system.
    pub async fn open_faulty(
        directory: impl Into<PathBuf>,
        settings: Settings,
        shadows: impl Into<PathBuf>,
    ) -> Result<(Self, Faults), OpenError> {
        let (faults, twin) = Faults::new(shadows.into());
        Ok((Self::of(directory.into(), settings, Some(twin)).await?, faults))
    }

    async fn of(directory: PathBuf, settings: Settings, twin: Option<Twin>) -> Result<Self, OpenError> {
        let (path, mode) = (directory.clone(), settings.mode);
        let taken = task::spawn_blocking(move || layout::take(&path, mode)).await;
        let failed = |broken| OpenError::Io { path: directory.clone(), cause: io::Error::other(broken) };
        let lock = taken.map_err(failed)??;
        let inner = Arc::new(Inner::new(Files::new(directory.clone(), twin), lock, settings));
        let reader = Arc::clone(&inner);
        let remembered = inner.on_a_helper(move || reader.remember_purged()).await;
        remembered.map_err(|cause| OpenError::Io { path: directory, cause })?;
        stock::take(&inner);
        // How much is free is known before the first byte comes.
        if let Err(error) = inner.keep_within().await {
            tracing::warn!(%error, "how much room the cache has is not known");
        }
        Ok(Self { handle: Arc::new(Handle(inner)) })
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.handle.0
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner().files.root()
    }

    /// The object of that key. Waits for the disk only where the object is not open.
    pub async fn find(&self, key: &str) -> Result<Option<Arc<Object>>, StoreError> {
        if let Ok(known) = self.inner().at_hand(key) {
            return Ok(known);
        }
        let (inner, key) = (Arc::clone(self.inner()), key.to_owned());
        Ok(self.inner().on_a_helper(move || inner.load(&key)).await?)
    }

    /// Makes an object of which nothing is here yet; it takes the place of any other of that key, whose holders go on with what it was. `None` if it
    /// is not to be kept ([`Space`]): what comes passes by.
    pub async fn create(&self, key: &str, new: NewObject) -> Result<Option<Arc<Object>>, StoreError> {
        let inner = Arc::clone(self.inner());
        if inner.settings.mode == Mode::ReadOnly {
            return Err(StoreError::ReadOnly);
        }
        if key.len() > MAX_KEY_BYTES || new.head.len() > MAX_HEAD_BYTES {
            return Err(StoreError::TooLong);
        }
        if !inner.place().is_here() || inner.judge(key, &new) == Verdict::Pass {
            return Ok(None);
        }
        let created = millis(new.created);
        let ledger = Ledger {
            number: inner.next_number(),
            key: key.to_owned(),
            block_bytes: inner.settings.block_bytes.max(1),
            created,
            validator: new.validator,
            validated: created,
            head: new.head,
            length: new.length,
            blocks: Default::default(),
            digest: None,
            used: created,
            hits: 0,
        };
        let object = self.inner().in_place_or_on_a_helper(move || inner.make(ledger)).await?;
        match self.inner().reserve(&object, 0).await {
            Ok(()) => {
                object.list_later();
                Ok(Some(object))
            }
            Err(error) => {
                object.give_up().await;
                match error {
                    FillError::Disk(error) => Err(error.into()),
                    FillError::Full | FillError::Contradiction | FillError::Lost => Ok(None),
                }
            }
        }
    }

    /// Takes an object out. When this returns, nobody finds it, after a power cut either; who holds it goes on. False if there was none.
    pub async fn purge(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.drop_keys(vec![key.into()]).await? > 0)
    }

    /// Takes all objects out whose keys begin so; the empty text is all of them. Returns how many there were. What is created meanwhile may stay.
    ///
    /// Waits until stock is taken. Cancelling leaves some of them.
    pub async fn purge_below(&self, prefix: &str) -> Result<u64, StoreError> {
        self.stocked().await;
        let keys: Vec<Arc<str>> = self.inner().index().below(prefix, None).map(|(key, _)| Arc::clone(key)).collect();
        self.drop_keys(keys).await
    }

    async fn drop_keys(&self, keys: Vec<Arc<str>>) -> Result<u64, StoreError> {
        if self.inner().settings.mode == Mode::ReadOnly {
            return Err(StoreError::ReadOnly);
        }
        // What lies below another file system, or in a directory that went away, would come back with it.
        let place = self.look().await?;
        if !place.is_here() {
            return Err(StoreError::Away(place));
        }
        if keys.len() > PURGED_AT_ONCE && self.is_stocked() {
            return self.drop_in_bulk(keys).await;
        }
        let shelves: BTreeSet<usize> = keys.iter().map(|key| Id::of(key).shelf()).collect();
        let mut dropped = 0;
        for keys in keys.chunks(PURGED_AT_ONCE) {
            let (inner, keys) = (Arc::clone(self.inner()), keys.to_vec());
            let drop_all = move || keys.iter().try_fold(0, |sum, key| Ok(sum + u64::from(inner.drop_key(key)?)));
            dropped += self.inner().on_a_helper(drop_all).await?;
        }
        for shelf in shelves {
            let inner = Arc::clone(self.inner());
            self.inner().on_a_helper(move || inner.files.sync_names(&shelf_name(shelf))).await?;
        }
        Ok(dropped)
    }

    async fn drop_in_bulk(&self, keys: Vec<Arc<str>>) -> Result<u64, StoreError> {
        let mut dropped = 0;
        for keys in keys.chunks(PURGED_IN_BULK) {
            let (inner, keys) = (Arc::clone(self.inner()), keys.to_vec());
            dropped += self.inner().on_a_helper(move || inner.purge_many(&keys)).await?;
        }
        Ok(dropped)
    }

    /// Up to `most` objects whose keys begin so, ascending, from behind the key `after` on.
    ///
    /// Waits until stock is taken.
    pub async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Vec<Listed> {
        self.stocked().await;
        let index = self.inner().index();
        let listed = |(key, bytes)| Listed { key: Arc::clone(key), bytes };
        index.below(prefix, after).take(most).map(|(key, entry)| listed((key, index.bytes_of(entry)))).collect()
    }

    /// Waits until all that the directory holds is known.
    pub async fn stocked(&self) {
        // The sender is in what we hold.
        let _ = self.inner().stocked.subscribe().wait_for(|stocked| *stocked).await;
    }

    /// Whether all that the directory holds is known.
    #[must_use]
    pub fn is_stocked(&self) -> bool {
        *self.inner().stocked.borrow()
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.inner().settings.mode == Mode::ReadOnly
    }

    /// How long a block of a new object is.
    #[must_use]
    pub fn block_bytes(&self) -> u64 {
        u64::from(self.inner().settings.block_bytes.max(1))
    }

    /// What it holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let (inner, index) = (self.inner(), self.inner().index());
        let (objects, bytes) = (index.len(), index.bytes());
        let [evicted, damaged, remade] =
            [&inner.evicted, &inner.damaged, &inner.remade].map(|count| count.load(Relaxed));
        Usage { objects, bytes, written: inner.written(), evicted, damaged, remade, stocked: *inner.stocked.borrow() }
    }

    /// How its disk does, by how its calls go.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner().calls.health()
    }

    /// What its calls that may block took so far.
    #[must_use]
    pub fn disk_time(&self) -> Time {
        self.inner().calls.time()
    }

    /// Where its directory was when it was last looked for.
    #[must_use]
    pub fn place(&self) -> Place {
        *self.inner().place()
    }

    /// Looks for its directory, and makes it anew where somebody took it away. While there is none, objects that are open are given out, and nothing is
    /// kept. [`Self::tend`] does that from time to time.
    pub async fn look(&self) -> Result<Place, StoreError> {
        let inner = Arc::clone(self.inner());
        Ok(self.inner().on_a_helper(move || inner.look()).await?)
    }

    /// How many calls are under way that may block.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.inner().calls.under_way()
    }

    /// Lists on the disk what fills brought and did not list, and holds the store to its limits. Runs until it is dropped.
    pub async fn tend(&self) {
        let flush_every = self.inner().settings.flush_every;
        let mut settled = Instant::now();
        loop {
            let much = tokio::select! {
                () = self.inner().much_to_list.notified() => true,
                () = time::sleep(flush_every.min(LOOK_EVERY)) => false,
            };
            // First, so that nothing is written where the directory was.
            let place = self.look().await;
            if matches!(place, Ok(Place::Here)) && (much || settled.elapsed() >= flush_every) {
                settled = Instant::now();
                self.settle().await;
            }
            match place {
                Ok(Place::Here) => {}
                // Said when it was found out.
                Ok(Place::Gone | Place::Covered | Place::Unreadable | Place::Taken) => continue,
                Err(error) => tracing::warn!(%error, "where the cache's directory is, is not known"),
            }
            if let Err(error) = self.keep_within().await {
                tracing::warn!(%error, "no room could be made in the cache");
            }
        }
    }

    /// Evicts what has to go for the limits of [`Space`], also where others took the room. [`Self::tend`] does that from time to time.
    pub async fn keep_within(&self) -> Result<(), StoreError> {
        Ok(self.inner().keep_within().await?)
    }

    /// Proves what is listed of an object, now; what does not hold leaves it. `None` if there is no such object.
    pub async fn prove(&self, key: &str) -> Result<Option<Proof>, StoreError> {
        Ok(self.inner().prove(key, None).await?)
    }

    /// Proves one object after the other, at [`Settings::scrub_rate`]. Runs until it is dropped.
    pub async fn scrub(&self) {
        let (inner, Settings { scrub_rate: rate, scrub_every, .. }) = (self.inner(), &self.inner().settings);
        if *rate == 0 {
            return std::future::pending().await;
        }
        self.stocked().await;
        // A process that is started often would never come to the end of a large cache if it always began at the beginning.
        let mut last = inner.index().at_random();
        loop {
            let (begun, partial) = (Instant::now(), last.is_some());
            // Within a condition the index would stay locked while the object is proved.
            let next = |last: &Option<Arc<str>>| inner.index().next_after(last.as_deref());
            while let Some(key) = next(&last) {
                if let Err(error) = inner.prove(&key, Some(*rate)).await {
                    tracing::warn!(%key, %error, "an object in the cache cannot be proved");
                }
                last = Some(key);
            }
            last = None;
            if !partial {
                time::sleep_until(begun + *scrub_every).await;
            }
        }
    }

    /// Lists on the disk all that is here: before the process ends, so that the next one finds it.
    pub async fn settle(&self) {
        let mut queued = std::mem::take(&mut *self.inner().queued()).into_iter();
        while !queued.as_slice().is_empty() {
            let batch: Vec<_> = queued.by_ref().take(LISTED_AT_ONCE).collect();
            let objects = batch.clone();
            batch.iter().for_each(|object| object.state().unlisted.queued = false);
            let listed = self.inner().on_a_helper(move || {
                objects.iter().for_each(Object::list_or_warn);
                Ok(())
            });
            if let Err(error) = listed.await {
                tracing::warn!(%error, "what came of some objects is not listed in the cache yet");
                batch.iter().for_each(Object::list_later);
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests;
