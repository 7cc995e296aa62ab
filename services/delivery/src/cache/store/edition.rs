//! What is made of an object once, and shared: what its head says, and the file of all of it.
//!
//! Both hold for one edition of the object. An edition ends with a change of its head and with the loss of a damaged block; when the object is
//! purged, replaced, evicted or given up, the last one ends. Whether a file is of the present edition is for atomics to say: it
//! is asked for each request, and whoever changed the object knows that from then on the answer is no.

use std::{
    any::Any,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
};

use bytes::Bytes;

use super::object::{Object, State};
use crate::disk::OpenFile;

/// What somebody made of an object's head, and for which edition that holds.
#[derive(Debug)]
pub struct Reading<T> {
    pub(super) edition: u64,
    value: Arc<T>,
}

/// The editions of an object, and what is shared of the present one.
#[derive(Default)]
pub(super) struct Editions {
    /// How many there were before this one. Changes only while the object's state is locked.
    number: AtomicU64,
    /// Whether nobody finds the object any more.
    over: AtomicBool,
    reading: Mutex<Option<(u64, Arc<dyn Any + Send + Sync>)>>,
    file: Mutex<(u64, Weak<OpenFile>)>,
}

impl Object {
    /// What `read` makes of the head: made once for each edition, as long as all who ask want the same type.
    pub fn reading<T: Send + Sync + 'static>(&self, read: impl FnOnce(&Bytes) -> T) -> Reading<T> {
        if let Some(known) = self.editions.reading() {
            return known;
        }
        let (edition, head) = {
            let state = self.state();
            (self.editions.number(), state.head.clone())
        };
        let value = Arc::new(read(&head));
        self.editions.keep_reading(edition, Arc::clone(&value) as _);
        Reading { edition, value }
    }
}

impl Editions {
    fn number(&self) -> u64 {
        self.number.load(Acquire)
    }

    /// Whether this is the edition that whoever asks for the object is given.
    pub(super) fn is_current(&self, edition: u64) -> bool {
        !self.over.load(Acquire) && self.number() == edition
    }

    /// What was true of the object is not any more.
    pub(super) fn next(&self, _locked: &mut State) {
        self.number.fetch_add(1, Release);
    }

    /// Nobody finds the object any more.
    pub(super) fn end(&self) {
        self.over.store(true, Release);
    }

    fn reading<T: Send + Sync + 'static>(&self) -> Option<Reading<T>> {
        let (edition, value) = lock(&self.reading).clone().filter(|(edition, _)| *edition == self.number())?;
        Some(Reading { edition, value: value.downcast().ok()? })
    }

    fn keep_reading(&self, edition: u64, value: Arc<dyn Any + Send + Sync>) {
        // What it takes the place of is dropped when nothing is locked.
        let _before = lock(&self.reading).replace((edition, value));
    }

    /// The file of that edition, if anybody has it.
    pub(super) fn file(&self, edition: u64) -> Option<Arc<OpenFile>> {
        let file = lock(&self.file);
        file.1.upgrade().filter(|_| file.0 == edition)
    }

    /// Shares a file of that edition; false if somebody else did so before, or if the edition has passed.
    pub(super) fn share(&self, edition: u64, file: &Arc<OpenFile>) -> bool {
        let mut shared = lock(&self.file);
        let first = self.is_current(edition) && !(shared.0 == edition && shared.1.strong_count() > 0);
        if first {
            *shared = (edition, Arc::downgrade(file));
        }
        first
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Clone for Reading<T> {
    fn clone(&self) -> Self {
        Self { edition: self.edition, value: Arc::clone(&self.value) }
    }
}

impl<T> Deref for Reading<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
