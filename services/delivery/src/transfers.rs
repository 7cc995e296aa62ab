//! The transfers under way: for the drain that waits for them, for people who ask, and for the figures of a beat.
//!
//! A transfer is registered when its answer is made, and ends when its last byte was handed to the connection or when the
//! answer is dropped on the way; so nothing that breaks can leave one behind.
//!
//! Invariant D6: of the transfers that [`Transfers::try_begin`] lets in, never more are under way than the register's limit.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::SystemTime,
};

use ferry_core::object::ObjectKey;
use slab::Slab;
use tokio::sync::Notify;

/// Into how many parts the register is split: enough that threads seldom meet in one.
const SHARDS: usize = 64;

/// The register; a cheap clone of one shared list.
#[derive(Clone, Debug)]
pub struct Transfers {
    shards: Arc<[Arc<Shard>]>,
    idle: Arc<Idle>,
    open: Arc<Count>,
}

/// How many transfers are under way, of all shards, so that a request can ask for it without a lock.
#[derive(Debug)]
#[repr(align(128))]
struct Count {
    now: AtomicUsize,
    most: usize,
}

/// The transfers of some clients, on cache lines that no other shard writes to.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    open: Mutex<Open>,
    sent: AtomicU64,
    completed: AtomicU64,
    broken: AtomicU64,
    idle: Arc<Idle>,
    count: Arc<Count>,
}

#[derive(Debug, Default)]
struct Open {
    /// Counts what began, so that those that began at the same moment have an order.
    begun: u64,
    entries: Slab<Arc<Entry>>,
}

/// Those who wait until there is no transfer.
#[derive(Debug, Default)]
struct Idle {
    /// How many wait: with none, the end of a transfer wakes nobody.
    waiting: AtomicUsize,
    emptied: Notify,
}

/// One who waits, while he does.
struct Waiter<'a>(&'a Idle);

#[derive(Debug)]
struct Entry {
    key: ObjectKey,
    client: SocketAddr,
    started: SystemTime,
    /// Its number in its shard.
    number: u64,
    length: Option<u64>,
    sent: AtomicU64,
    complete: AtomicBool,
    /// What was to be sent did not come.
    failed: AtomicBool,
}

/// How far a transfer has come, for who watches it from elsewhere. It tells the last word after the end, too.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Entry>);

impl Progress {
    /// Bytes handed to the connection so far.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.0.sent.load(Relaxed)
    }
}

/// One transfer under way; ends when it is dropped.
pub struct Transfer {
    slot: usize,
    entry: Arc<Entry>,
    shard: Arc<Shard>,
    at_end: Option<AtEnd>,
}

type AtEnd = Box<dyn FnOnce(Ended) + Send + Sync>;

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Bytes handed to the connection.
    pub sent_bytes: u64,
    /// Whether that was all of them.
    pub complete: bool,
    /// Whether it was the source that did not give them. Neither: its connection ended.
    pub failed: bool,
}

/// One transfer as it stands at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The object.
    pub key: ObjectKey,
    /// The client's address as the connection has it.
    pub client: SocketAddr,
    /// When its answer was made.
    pub started: SystemTime,
    /// Bytes of the body that were handed to the connection so far.
    pub sent_bytes: u64,
    /// The body's length, where it is known in advance.
    pub length_bytes: Option<u64>,
}

/// Figures since the process started; differences of two readings give rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Bytes of bodies that were handed to connections.
    pub sent_bytes: u64,
    /// Transfers whose last byte was handed on.
    pub completed: u64,
    /// Transfers that ended before it.
    pub broken: u64,
}

impl Default for Transfers {
    fn default() -> Self {
        Self::new()
    }
}

impl Transfers {
    /// An empty register without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::at_most(None)
    }

    /// An empty register for so many transfers at one time; for any number of them with none.
    #[must_use]
    pub fn at_most(most: Option<NonZeroU32>) -> Self {
        let most = most.map_or(usize::MAX, |most| usize::try_from(most.get()).unwrap_or(usize::MAX));
        let (idle, open) = (Arc::<Idle>::default(), Arc::new(Count { now: AtomicUsize::new(0), most }));
        let shards = std::iter::repeat_with(|| Arc::new(Shard::new(&idle, &open))).take(SHARDS).collect();
        Self { shards, idle, open }
    }

    /// Registers a transfer that begins at `now`, unless there are as many as there may be. However many ask at once, no more get in.
    #[must_use]
    pub fn try_begin(
        &self,
        key: ObjectKey,
        client: SocketAddr,
        length: Option<u64>,
        now: SystemTime,
    ) -> Option<Transfer> {
        self.open.try_enter().then(|| self.enter(key, client, length, now))
    }

    /// Registers a transfer that begins at `now`, also beyond the limit: its answer is on its way.
    #[must_use]
    pub fn begin(&self, key: ObjectKey, client: SocketAddr, length: Option<u64>, now: SystemTime) -> Transfer {
        self.open.now.fetch_add(1, Relaxed);
        self.enter(key, client, length, now)
    }

    /// Registers a transfer that was counted.
    fn enter(&self, key: ObjectKey, client: SocketAddr, length: Option<u64>, now: SystemTime) -> Transfer {
        // The requests of one connection are answered by one thread, and its port tells it from others.
        let shard = Arc::clone(&self.shards[usize::from(client.port()) % SHARDS]);
        let mut open = shard.open();
        let number = open.begun;
        open.begun += 1;
        let entry = Arc::new(Entry {
            key,
            client,
            started: now,
            number,
            length,
            sent: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        let slot = open.entries.insert(Arc::clone(&entry));
        drop(open);
        Transfer { slot, entry, shard, at_end: None }
    }

    /// Enters a transfer that began and ended in one step, with all its bytes.
    pub(crate) fn sent_at_once(&self, client: SocketAddr, bytes: u64) {
        let shard = &self.shards[usize::from(client.port()) % SHARDS];
        shard.sent.fetch_add(bytes, Relaxed);
        shard.completed.fetch_add(1, Relaxed);
    }

    /// How many are under way. Costs a look at one number.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.open.now.load(Relaxed)
    }

    /// Whether there are as many as there may be.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open.now.load(Relaxed) >= self.open.most
    }

    /// Whether there is any limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.open.most < usize::MAX
    }

    /// All that are under way, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Snapshot> {
        let open = |shard: &Arc<Shard>| shard.open().entries.iter().map(|(_, entry)| Arc::clone(entry)).collect();
        let mut entries: Vec<Arc<Entry>> = self.shards.iter().flat_map::<Vec<_>, _>(open).collect();
        entries.sort_by_key(|entry| (entry.started, entry.number));
        entries.into_iter().map(|entry| entry.snapshot()).collect()
    }

    /// Figures since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shards.iter().fold(Totals::default(), |sum, shard| Totals {
            sent_bytes: sum.sent_bytes + shard.sent.load(Relaxed),
            completed: sum.completed + shard.completed.load(Relaxed),
            broken: sum.broken + shard.broken.load(Relaxed),
        })
    }

    /// Waits until none is under way. The caller sets the limit; cancelling it changes nothing.
    ///
    /// One that begins while it looks around may or may not be waited for. The last chunk of a transfer may still be in a connection's
    /// buffer then: stopping the server gracefully flushes it.
    pub async fn idle(&self) {
        let _waiter = Waiter::new(&self.idle);
        loop {
            // A transfer that ends from here on is heard of, one that ended before is seen not to be there.
            let emptied = self.idle.emptied.notified();
            if self.shards.iter().all(|shard| shard.open().entries.is_empty()) {
                return;
            }
            emptied.await;
        }
    }
}

impl Transfer {
    /// Says that `bytes` more were handed to the connection.
    pub fn sent(&self, bytes: usize) {
        self.entry.sent.fetch_add(bytes as u64, Relaxed);
        self.shard.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// Says that the last byte was handed on. Without it, the transfer counts as broken when it is dropped.
    pub fn complete(&self) {
        self.entry.complete.store(true, Relaxed);
    }

    /// Says that the source broke off: there are no more bytes to hand on.
    pub(crate) fn fail(&self) {
        self.entry.failed.store(true, Relaxed);
    }

    /// How far it has come, to be looked at later.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.entry))
    }

    /// Does this when the transfer ends, however it ends: a span closes then, a permit is given back. The last one set counts.
    pub fn at_end(&mut self, act: impl FnOnce(Ended) + Send + Sync + 'static) {
        self.at_end = Some(Box::new(act));
    }
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let complete = self.entry.complete.load(Relaxed);
        if let Some(act) = self.at_end.take() {
            let failed = self.entry.failed.load(Relaxed);
            act(Ended { sent_bytes: self.entry.sent.load(Relaxed), complete, failed });
        }
        let ended = if complete { &self.shard.completed } else { &self.shard.broken };
        ended.fetch_add(1, Relaxed);
        let mut open = self.shard.open();
        let entry = open.entries.remove(self.slot);
        let emptied = open.entries.is_empty();
        drop(open);
        drop(entry);
        self.shard.count.now.fetch_sub(1, Relaxed);
        // Who waits said so before he looked into this shard; so he saw it empty, or is seen here.
        if emptied && self.shard.idle.waiting.load(Relaxed) > 0 {
            self.shard.idle.emptied.notify_waiters();
        }
    }
}

impl Count {
    /// Counts one more, if there may be one.
    fn try_enter(&self) -> bool {
        self.now.fetch_update(Relaxed, Relaxed, |now| (now < self.most).then_some(now + 1)).is_ok()
    }
}

impl Shard {
    fn new(idle: &Arc<Idle>, count: &Arc<Count>) -> Self {
        Self {
            open: Mutex::default(),
            sent: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            idle: Arc::clone(idle),
            count: Arc::clone(count),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing in here panics half way through a change, so a poisoned list is still whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Waiter<'a> {
    fn new(idle: &'a Idle) -> Self {
        idle.waiting.fetch_add(1, Relaxed);
        Self(idle)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl Entry {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            key: self.key.clone(),
            client: self.client,
            started: self.started,
            sent_bytes: self.sent.load(Relaxed),
            length_bytes: self.length,
        }
    }
}

#[cfg(test)]
mod tests;
