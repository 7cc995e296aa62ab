//! What a store consists of, and the moves that change which objects there are. Those block, and are made by helper threads.
//!
//! Names of one of the 256 directories change under its lock; the order of locks is directory, journal of an object, index, state of an
//! object, and nobody waits for the disk under the last two.

use std::{
    fmt,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use quick_cache::{UnitWeighter, sync};
use rustix::process::{Resource, getrlimit};
use tokio::sync::{Notify, watch};

use super::{
    files::Files,
    index::{Entry, Gone, Index, Known},
    journal::Journal,
    layout::{Id, Kind, SHELVES},
    ledger::Ledger,
    object::Object,
    place::Place,
    purged::Purged,
    settings::{Mode, Settings},
};
use crate::disk::{
    OpenFile,
    buffers::Buffers,
    calls::Calls,
    descriptor::{Closer, Descriptor},
    filesystem::Nature,
};

/// What is done in memory and takes this long waited for something else; it may have been for the processor, too, which takes 10 ms easily.
pub(super) const SLOW: Duration = Duration::from_millis(50);

/// How long writes go to helper threads after one was slow.
const WARY: Duration = Duration::from_secs(1);

/// The share of this process's descriptors that objects may keep open: one in so many.
const SHARE: usize = 8;

/// The units in which a file system gives out room.
const GRAIN: u64 = 4096;

/// A store's parts.
pub(super) struct Inner {
    pub(super) files: Files,
    pub(super) calls: Arc<Calls>,
    pub(super) settings: Settings,
    pub(super) buffers: Buffers,
    nature: Nature,
    closer: Arc<Closer>,
    shelves: Vec<Mutex<()>>,
    index: Mutex<Index>,
    /// Objects that stay open between requests.
    kept: sync::Cache<u64, Kept, UnitWeighter, RandomState>,
    /// Objects that have something to list.
    queue: Mutex<Vec<Arc<Object>>>,
    /// How many of them are open for that alone, at most.
    most_queued: usize,
    /// Told when it comes to that: it is not put off any longer.
    pub(super) much_to_list: Notify,
    /// Whether all that is on the disk is in the index.
    pub(super) stocked: Arc<watch::Sender<bool>>,
    /// Whether the store was let go: what goes on in the background ends.
    pub(super) closed: AtomicBool,
    /// What an earlier process purged and did not delete; until stock is taken.
    purged: Mutex<Purged>,
    numbers: Numbers,
    written: AtomicU64,
    /// How many blocks were not what was written.
    pub(super) damaged: AtomicU64,
    /// How many objects were evicted.
    pub(super) evicted: AtomicU64,
    /// Held by whoever evicts.
    pub(super) evicting: tokio::sync::Mutex<()>,
    /// Whether the disk has less free than is to be left.
    pub(super) pressed: AtomicBool,
    /// Until when writes are not made in place, in milliseconds after `begun`.
    wary_until: AtomicU64,
    begun: Instant,
    /// What says that the directory is ours.
    lock: Mutex<File>,
    place: Mutex<Place>,
    /// Held by whoever looks.
    pub(super) looking: Mutex<()>,
    /// How often the directory was made anew.
    pub(super) remade: AtomicU64,
}

/// An object that stays open.
#[derive(Clone)]
pub(super) struct Kept {
    object: Arc<Object>,
    /// The file of all of it, if one was asked for. It holds the object too.
    file: Option<Arc<OpenFile>>,
}

/// Numbers that no object ever had. The upper half is drawn at random, once for each process.
struct Numbers {
    process: u64,
    next: AtomicU64,
}

impl Inner {
    pub(super) fn new(files: Files, lock: File, settings: Settings) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        let open = most_open(&settings, descriptors.unwrap_or(u64::MAX));
        let kept =
            sync::Cache::with(open, open as u64, UnitWeighter, RandomState::new(), sync::DefaultLifecycle::default());
        Self {
            calls: Arc::new(Calls::plain(settings.calls_at_once, settings.patience)),
            buffers: Buffers::new(settings.sending.buffer_bytes.max(1)),
            nature: Nature::of(&lock),
            files,
            closer: Arc::default(),
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
            index: Mutex::default(),
            kept,
            queue: Mutex::default(),
            most_queued: open.div_ceil(2),
            much_to_list: Notify::new(),
            stocked: Arc::new(watch::Sender::new(false)),
            closed: AtomicBool::new(false),
            purged: Mutex::default(),
            numbers: Numbers { process: RandomState::new().hash_one(0) << 32, next: AtomicU64::new(0) },
            written: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            evicting: tokio::sync::Mutex::default(),
            pressed: AtomicBool::new(false),
            wary_until: AtomicU64::new(0),
            begun: Instant::now(),
            settings,
            lock: Mutex::new(lock),
            place: Mutex::new(Place::Here),
            looking: Mutex::default(),
            remade: AtomicU64::new(0),
        }
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        // Nothing in it panics half way through a change.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change names in the directory of an object.
    pub(super) fn shelf(&self, id: Id) -> MutexGuard<'_, ()> {
        self.shelves[id.shelf()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change names anywhere.
    pub(super) fn all_shelves(&self) -> Vec<MutexGuard<'_, ()>> {
        self.shelves.iter().map(|shelf| shelf.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    pub(super) fn purged(&self) -> MutexGuard<'_, Purged> {
        self.purged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, File> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the directory was when somebody looked.
    pub(super) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call that blocks on a helper thread, and waits for it.
    pub(super) async fn on_a_helper<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.calls.make(call).await?
    }

    /// Makes a short call where it is made, as long as such calls are short: for what is but a change in the system's memory, a helper thread costs more
    /// than the call.
    pub(super) async fn in_place_or_on_a_helper<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if !self.writes_in_place() {
            return self.on_a_helper(call).await;
        }
        let begun = Instant::now();
        let made = call();
        if begun.elapsed() >= SLOW {
            self.write_was_slow();
        }
        made
    }

    /// Whether a thread that has other clients may write into the page cache.
    pub(super) fn writes_in_place(&self) -> bool {
        self.nature != Nature::Remote && self.files.are_plain() && self.millis() >= self.wary_until.load(Relaxed)
    }

    /// A write in place took long.
    pub(super) fn write_was_slow(&self) {
        self.wary_until.store(self.millis() + WARY.as_millis() as u64, Relaxed);
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn count_written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Relaxed);
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Whether that number was given out by this process.
    pub(super) const fn is_of_this_process(&self, number: u64) -> bool {
        number >> 32 == self.numbers.process >> 32
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.process | (self.numbers.next.fetch_add(1, Relaxed) & 0xffff_ffff)
    }

    /// An object that has something to list.
    pub(super) fn queue(&self, object: Arc<Object>) {
        if self.closed.load(Relaxed) {
            return;
        }
        let mut queued = self.queued();
        queued.push(object);
        if queued.len() == self.most_queued - self.most_queued / 4 {
            self.much_to_list.notify_one();
        }
    }

    /// Whether so many objects wait to be listed, and are open for that, that whoever brings more has to list them.
    pub(super) fn has_much_to_list(&self) -> bool {
        self.queued().len() >= self.most_queued
    }

    pub(super) fn queued(&self) -> MutexGuard<'_, Vec<Arc<Object>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of all objects. They hold what is here; without this, neither would ever go.
    pub(super) fn close(&self) {
        self.closed.store(true, Relaxed);
        self.kept.clear();
        self.queued().clear();
    }

    /// Opens an object that is on the disk, if one is. Blocks.
    pub(super) fn load(self: &Arc<Self>, key: &str) -> io::Result<Option<Arc<Object>>> {
        let id = Id::of(key);
        let _shelf = self.shelf(id);
        let known = self.index().get(key).map(|entry| (entry.number, entry.object.upgrade()));
        match known {
            Some((_, Some(object))) => return Ok(Some(object)),
            None if *self.stocked.borrow() => return Ok(None),
            _ => {}
        }
        let Some((ledger, journal)) = self.read(id)? else {
            let gone = self.index().remove(key);
            // Other hands took its metadata.
            return gone.map_or(Ok(()), |gone| self.sweep(id, gone.number)).map(|()| None);
        };
        let (number, key): (_, Arc<str>) = (ledger.number, ledger.key.as_str().into());
        let data = match self.files.open(&id.name(Kind::Data(number)), self.settings.mode == Mode::ReadWrite) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Other hands took the bytes, or a power cut did.
                self.index().remove_numbered(&key, number);
                return self.sweep(id, number).map(|()| None);
            }
            Err(error) => return Err(error),
        };
        let size = data.metadata()?.len();
        let object = Arc::new(Object::new(Arc::clone(self), id, ledger, journal, self.descriptor(data.into()), size));
        self.enter(&object);
        Ok(Some(object))
    }

    /// Reads an object's metadata, and takes off what a crash tore; `None` if there are none. What says too little to be an object goes.
    pub(super) fn read(&self, id: Id) -> io::Result<Option<(Ledger, Journal)>> {
        let name = id.name(Kind::Meta);
        let octets = match self.files.read(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            done => done?,
        };
        let read = Ledger::read(&octets).filter(|(ledger, _)| Id::of(&ledger.key) == id);
        let writes = self.settings.mode == Mode::ReadWrite;
        let Some((ledger, end)) = read else {
            if writes {
                self.files.remove(&name)?;
            }
            return Ok(None);
        };
        if self.purged().has(id, ledger.number) {
            return self.sweep(id, ledger.number).map(|()| None);
        }
        if writes && end < octets.len() as u64 {
            self.files.set_length(&self.files.open(&name, true)?, end)?;
        }
        let journal = Journal { end, compact: ledger.write().len() as u64, linked: writes };
        Ok(Some((ledger, journal)))
    }

    /// Makes an object, in place of any of its key. It has no metadata yet: those are made when there is something to list
    /// ([`Object::list`]), and until then a crash leaves none. Blocks.
    pub(super) fn make(self: &Arc<Self>, ledger: Ledger) -> io::Result<Arc<Object>> {
        let (id, number) = (Id::of(&ledger.key), ledger.number);
        let _shelf = self.shelf(id);
        let data = self.files.create(&id.name(Kind::Data(number)))?;
        let length = ledger.length.map_or(Ok(()), |length| self.files.set_length(&data, length));
        if let Err(error) = length.and_then(|()| self.displace(id, &ledger.key)) {
            let _ = self.files.remove(&id.name(Kind::Data(number)));
            return Err(error);
        }
        let journal = Journal::unwritten();
        let object = Arc::new(Object::new(Arc::clone(self), id, ledger, journal, self.descriptor(data.into()), 0));
        if let Some(old) = self.enter(&object) {
            self.let_go(old.number);
            // Nothing names its bytes any more.
            let _ = self.files.remove(&id.name(Kind::Data(old.number)));
        }
        Ok(object)
    }

    /// Takes the metadata of whatever had a key before: it must not come back where the process ends before the new object is listed.
    fn displace(&self, id: Id, key: &str) -> io::Result<()> {
        let old = self.index().get(key).and_then(|entry| entry.object.upgrade());
        if let Some(old) = old {
            old.journal().linked = false;
        }
        self.files.remove(&id.name(Kind::Meta))
    }

    fn descriptor(&self, data: OwnedFd) -> Descriptor {
        Descriptor::new(data, self.nature, Arc::clone(&self.closer))
    }

    /// Enters an open object; returns the other one that had its key.
    fn enter(&self, object: &Arc<Object>) -> Option<Gone> {
        let old = self.index().put(Known {
            key: Arc::clone(&object.key),
            number: object.number,
            object: Arc::downgrade(object),
            bytes: footprint(object.bytes_here()),
            hits: object.hits(),
            pinned: self.settings.space.pins(&object.key),
        });
        if !self.closed.load(Relaxed) {
            self.kept.insert(object.number, Kept { object: Arc::clone(object), file: None });
        }
        old
    }

    /// The object of a key, if it is open; `Err` if it may be on the disk.
    pub(super) fn at_hand(&self, key: &str) -> Result<Option<Arc<Object>>, ()> {
        let mut index = self.index();
        let Some(entry) = index.ask(key) else {
            return if *self.stocked.borrow() { Ok(None) } else { Err(()) };
        };
        // Asking for it keeps it open. While the index is locked nobody evicts it.
        let kept = self.kept.get(&entry.number).map(|kept| kept.object);
        kept.or_else(|| entry.object.upgrade()).map(Some).ok_or(())
    }

    /// Keeps the file of an object open as long as that is kept open.
    pub(super) fn keep_file(&self, object: &Arc<Object>, file: &Arc<OpenFile>) {
        let kept = Kept { object: Arc::clone(object), file: Some(Arc::clone(file)) };
        // Not if it is: what was let go meanwhile must not stay.
        let _ = self.kept.replace(object.number, kept, true);
    }

    /// Whether anybody but the store itself holds an object, or a file of it. The index is locked, so that nobody finds it meanwhile; who comes by its
    /// file without looking for it ([`crate::ready`]) goes on with what it was.
    pub(super) fn is_in_use(&self, entry: &Entry) -> bool {
        let Some(object) = entry.object.upgrade() else { return false };
        let kept = self.kept.peek(&entry.number);
        let file = kept.as_ref().and_then(|kept| kept.file.as_ref());
        let queued = object.state().unlisted.queued;
        // What was looked up here counts twice: there, and here.
        let own = 1 + usize::from(queued) + 2 * usize::from(kept.is_some()) + usize::from(file.is_some());
        Arc::strong_count(&object) > own || file.is_some_and(|file| Arc::strong_count(file) > 2)
    }

    /// Lets go of an object, and gives it to who drops it when no lock is held.
    pub(super) fn take_kept(&self, number: u64) -> Option<Kept> {
        self.kept.remove(&number).map(|(_, kept)| kept)
    }

    /// Lets go of an object that is not kept open for anybody.
    pub(super) fn let_go(&self, number: u64) {
        self.kept.remove(&number);
    }

    /// Makes an object unfindable.
    pub(super) fn forget(&self, object: &Arc<Object>) -> Gone {
        self.index().remove_numbered(&object.key, object.number);
        self.let_go(object.number);
        let (id, number) = (object.id, object.number);
        Gone { id, key: Arc::clone(&object.key), number, object: Arc::downgrade(object), bytes: 0 }
    }

    /// Takes the files of an object that is not in the index any more; its metadata first, without which its bytes are nothing. Blocks.
    pub(super) fn unlink(&self, gone: &Gone) -> io::Result<()> {
        let _shelf = self.shelf(gone.id);
        // Not within the condition: the index would stay locked while the disk is waited for.
        let named = self.index().get(&gone.key).map(|entry| entry.number);
        match named {
            // It was found again on the disk, before the stock was taken.
            Some(number) if number == gone.number => return Ok(()),
            // The metadata are another object's by now.
            Some(_) => {
                self.cut_loose(gone);
                return self.files.remove(&gone.id.name(Kind::Data(gone.number)));
            }
            None => self.cut_loose(gone),
        }
        self.sweep(gone.id, gone.number)
    }

    /// Takes whatever is on the disk under a key, and out of the index; false if nothing was. Blocks.
    pub(super) fn drop_key(&self, key: &str) -> io::Result<bool> {
        let id = Id::of(key);
        let _shelf = self.shelf(id);
        let known = self.index().remove(key);
        let number = match &known {
            Some(gone) => {
                self.cut_loose(gone);
                Some(gone.number)
            }
            None if *self.stocked.borrow() => None,
            None => self.read(id)?.map(|(ledger, _)| ledger.number),
        };
        number.map_or(Ok(false), |number| self.sweep(id, number).map(|()| true))
    }

    pub(super) fn sweep(&self, id: Id, number: u64) -> io::Result<()> {
        if self.settings.mode == Mode::ReadOnly {
            return Ok(());
        }
        self.files.remove(&id.name(Kind::Meta))?;
        self.files.remove(&id.name(Kind::Data(number)))
    }

    /// From now on the object writes no metadata.
    pub(super) fn cut_loose(&self, gone: &Gone) {
        if let Some(object) = gone.object.upgrade() {
            object.journal().linked = false;
        }
        self.let_go(gone.number);
    }
}

/// What an object of that many bytes takes on the disk at most, with its metadata.
pub(super) const fn footprint(bytes: u64) -> u64 {
    bytes.saturating_add(2 * GRAIN)
}

/// How many objects stay open where this process may have so many descriptors.
fn most_open(settings: &Settings, descriptors: u64) -> usize {
    let share = usize::try_from(descriptors).unwrap_or(usize::MAX) / SHARE;
    settings.open_objects.min(share).max(1)
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("root", &self.files.root()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_take_an_eighth_of_the_descriptors_at_most() {
        let settings = Settings { open_objects: 1000, ..Settings::default() };
        for (descriptors, expected) in [(1024, 128), (8000, 1000), (u64::MAX, 1000), (7, 1)] {
            assert_eq!(most_open(&settings, descriptors), expected, "{descriptors}");
        }
    }
}
