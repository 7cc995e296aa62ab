//! The transfers under way: for the drain that waits for them, for people who ask, and for the figures of a beat.
//!
//! A transfer is registered when its answer is made, and ends when its last byte was handed to the connection or when the
//! answer is dropped on the way; so nothing that breaks can leave one behind.

use std::{
    net::SocketAddr,
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
    /// An empty register.
    #[must_use]
    pub fn new() -> Self {
        let idle = Arc::<Idle>::default();
        let shards = std::iter::repeat_with(|| Arc::new(Shard::new(&idle))).take(SHARDS).collect();
        Self { shards, idle }
    }

    /// Registers a transfer that begins at `now`.
    #[must_use]
    pub fn begin(&self, key: ObjectKey, client: SocketAddr, length: Option<u64>, now: SystemTime) -> Transfer {
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

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.shards.iter().map(|shard| shard.open().entries.len()).sum()
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
            if self.under_way() == 0 {
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
            act(Ended { sent_bytes: self.entry.sent.load(Relaxed), complete });
        }
        let ended = if complete { &self.shard.completed } else { &self.shard.broken };
        ended.fetch_add(1, Relaxed);
        let mut open = self.shard.open();
        let entry = open.entries.remove(self.slot);
        let emptied = open.entries.is_empty();
        drop(open);
        drop(entry);
        // Who waits said so before he looked into this shard; so he saw it empty, or is seen here.
        if emptied && self.shard.idle.waiting.load(Relaxed) > 0 {
            self.shard.idle.emptied.notify_waiters();
        }
    }
}

impl Shard {
    fn new(idle: &Arc<Idle>) -> Self {
        Self {
            open: Mutex::default(),
            sent: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            idle: Arc::clone(idle),
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
mod tests {
    use std::{
        task::Poll,
        time::{Duration, UNIX_EPOCH},
    };

    use ferry_core::object::ObjectPath;
    use futures_util::poll;
    use tokio::{task, time::timeout};

    use super::*;

    fn begin(transfers: &Transfers, path: &str) -> Transfer {
        let key = ObjectKey::plain(ObjectPath::from_decoded(path).expect("a good path"));
        transfers.begin(key, ([127, 0, 0, 1], 4000).into(), Some(10), UNIX_EPOCH)
    }

    #[test]
    fn a_transfer_is_listed_from_its_answer_to_its_end() {
        let transfers = Transfers::new();
        let first = begin(&transfers, "a");
        let second = begin(&transfers, "b");
        first.sent(7);
        let seen: Vec<_> = transfers.list().into_iter().map(|t| (t.key.to_string(), t.sent_bytes)).collect();
        assert_eq!(seen, [("a".to_owned(), 7), ("b".to_owned(), 0)]);
        first.sent(3);
        first.complete();
        drop(first);
        drop(second);
        assert_eq!(transfers.under_way(), 0);
        assert_eq!(transfers.totals(), Totals { sent_bytes: 10, completed: 1, broken: 1 });
    }

    #[test]
    fn what_waits_for_the_end_learns_how_it_went() {
        let (told, heard) = std::sync::mpsc::channel();
        let transfers = Transfers::new();
        let mut transfer = begin(&transfers, "a");
        transfer.at_end(move |ended| told.send(ended).expect("the test listens"));
        transfer.sent(4);
        drop(transfer);
        assert_eq!(heard.try_recv(), Ok(Ended { sent_bytes: 4, complete: false }));
    }

    #[tokio::test]
    async fn idle_comes_with_the_end_of_the_last_transfer() {
        let transfers = Transfers::new();
        transfers.idle().await;
        let (one, two) = (begin(&transfers, "a"), begin(&transfers, "a"));
        let mut idle = Box::pin(transfers.idle());
        assert_eq!(poll!(&mut idle), Poll::Pending);
        drop(one);
        assert_eq!(poll!(&mut idle), Poll::Pending);
        drop(two);
        assert_eq!(poll!(&mut idle), Poll::Ready(()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_last_end_goes_unheard() {
        let transfers = Transfers::new();
        let first_shard = ([127, 0, 0, 1], u16::try_from(SHARDS).expect("a small number")).into();
        for round in 0..20_000 {
            let key = ObjectKey::plain(ObjectPath::from_decoded("a").expect("a good path"));
            let last = transfers.begin(key, first_shard, None, UNIX_EPOCH);
            // It ends while the others are looked at.
            let ending = task::spawn_blocking(move || drop(last));
            let waited = timeout(Duration::from_secs(5), transfers.idle()).await;
            assert!(waited.is_ok(), "round {round} ended unheard");
            ending.await.expect("it ends");
        }
        assert_eq!((transfers.totals().broken, transfers.list()), (20_000, Vec::new()));
    }
}
