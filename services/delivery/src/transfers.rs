//! The transfers under way: for the drain that waits for them, for people who ask, and for the figures of a beat.
//!
//! A transfer is registered when its answer is made, and ends when its last byte was handed to the connection or when the
//! answer is dropped on the way; so nothing that breaks can leave one behind.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use ferry_core::object::ObjectKey;
use tokio::sync::watch;

/// The register; a cheap clone of one shared list.
#[derive(Clone, Debug)]
pub struct Transfers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    open: Mutex<Open>,
    /// The number of entries, for those who wait until there are none.
    count: watch::Sender<usize>,
    sent: AtomicU64,
    completed: AtomicU64,
    broken: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    key: ObjectKey,
    client: SocketAddr,
    started: SystemTime,
    length: Option<u64>,
    sent: AtomicU64,
    complete: AtomicBool,
}

/// One transfer under way; ends when it is dropped.
pub struct Transfer {
    id: u64,
    entry: Arc<Entry>,
    shared: Arc<Shared>,
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
        Self {
            shared: Arc::new(Shared {
                open: Mutex::default(),
                count: watch::Sender::new(0),
                sent: AtomicU64::new(0),
                completed: AtomicU64::new(0),
                broken: AtomicU64::new(0),
            }),
        }
    }

    /// Registers a transfer that begins at `now`.
    #[must_use]
    pub fn begin(&self, key: ObjectKey, client: SocketAddr, length: Option<u64>, now: SystemTime) -> Transfer {
        let entry = Arc::new(Entry {
            key,
            client,
            started: now,
            length,
            sent: AtomicU64::new(0),
            complete: AtomicBool::new(false),
        });
        let mut open = self.shared.open();
        let id = open.next;
        open.next += 1;
        open.entries.insert(id, Arc::clone(&entry));
        self.shared.count.send_replace(open.entries.len());
        drop(open);
        Transfer { id, entry, shared: Arc::clone(&self.shared), at_end: None }
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// All that are under way, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Snapshot> {
        let mut entries: Vec<_> =
            self.shared.open().entries.iter().map(|(id, entry)| (*id, Arc::clone(entry))).collect();
        entries.sort_unstable_by_key(|(id, _)| *id);
        entries.into_iter().map(|(_, entry)| entry.snapshot()).collect()
    }

    /// Figures since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            sent_bytes: self.shared.sent.load(Relaxed),
            completed: self.shared.completed.load(Relaxed),
            broken: self.shared.broken.load(Relaxed),
        }
    }

    /// Waits until none is under way. The caller sets the limit; cancelling it changes nothing.
    ///
    /// The last chunk of a transfer may still be in a connection's buffer then: stopping the server gracefully flushes it.
    pub async fn idle(&self) {
        // An error means that the sender is gone, and we hold it.
        let _ = self.shared.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Transfer {
    /// Says that `bytes` more were handed to the connection.
    pub fn sent(&self, bytes: usize) {
        self.entry.sent.fetch_add(bytes as u64, Relaxed);
        self.shared.sent.fetch_add(bytes as u64, Relaxed);
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
        f.debug_struct("Transfer").field("id", &self.id).field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let complete = self.entry.complete.load(Relaxed);
        if let Some(act) = self.at_end.take() {
            act(Ended { sent_bytes: self.entry.sent.load(Relaxed), complete });
        }
        let ended = if complete { &self.shared.completed } else { &self.shared.broken };
        ended.fetch_add(1, Relaxed);
        let mut open = self.shared.open();
        open.entries.remove(&self.id);
        self.shared.count.send_replace(open.entries.len());
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing in here panics half way through a change, so a poisoned list is still whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::{task::Poll, time::UNIX_EPOCH};

    use ferry_core::object::ObjectPath;
    use futures_util::poll;

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
}
