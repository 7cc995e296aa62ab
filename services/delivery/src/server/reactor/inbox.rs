//! How connections come to a reactor: from whoever accepts them, and back from their tasks.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;

use super::Kept;

/// Connections on their way. There are no more of them than the server has slots.
#[derive(Debug, Default)]
pub(in super::super) struct Inbox {
    waiting: Mutex<Vec<Kept>>,
    /// Whether a reactor takes them out.
    open: AtomicBool,
    waker: AtomicWaker,
}

impl Inbox {
    /// Hands a connection over; gives it back if there is no reactor.
    pub(in super::super) fn put(&self, kept: Kept) -> Option<Kept> {
        let mut waiting = self.waiting();
        if !self.open.load(Relaxed) {
            return Some(kept);
        }
        waiting.push(kept);
        drop(waiting);
        self.waker.wake();
        None
    }

    /// A reactor takes connections from now on.
    pub(super) fn open(&self) {
        self.open.store(true, Relaxed);
    }

    /// None does any more; what waited is closed.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        self.open.store(false, Relaxed);
        waiting.clear();
    }

    /// Whom to wake when something comes. What came before is there for [`Self::take`].
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// All that came.
    pub(super) fn take(&self) -> Vec<Kept> {
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
