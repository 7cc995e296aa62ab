//! An object: one stored response, whole or in parts.
//!
//! What is here grows only, while anybody holds the object; but a block that turns out to be damaged leaves. Bytes are readable as soon as they were
//! written; they are listed on the disk block by block ([`super::journal`]).
//!
//! Invariant B3: no byte that is here is written again, and no two fills write one byte: a fill writes what it claimed, and nobody claims what is
//! here or claimed.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    edition::Editions,
    fill::Fill,
    inner::Inner,
    journal::Journal,
    layout::Id,
    ledger::{Blocks, Ledger},
    record::{Record, Validator},
    settings::Mode,
    spans::{Span, Spans},
};
use crate::disk::descriptor::Descriptor;

/// How old what the disk knows of the last use may be, in milliseconds.
const NOTED_EVERY: u64 = 10 * 60 * 1000;

/// One stored response. While it is held it is not evicted; when it is purged or replaced, whoever holds it goes on with what it was.
pub struct Object {
    pub(super) inner: Arc<Inner>,
    pub(super) key: Arc<str>,
    pub(super) id: Id,
    pub(super) number: u64,
    pub(super) block_bytes: u32,
    validator: Option<Validator>,
    created: u64,
    pub(super) data: Arc<Descriptor>,
    pub(super) journal: Mutex<Journal>,
    state: Mutex<State>,
    /// Whether all of it is here: most are asked nothing else.
    whole: AtomicBool,
    pub(super) editions: Editions,
    /// Told whenever something came, or nobody fetches it any more.
    changed: Notify,
    used: AtomicU64,
    hits: AtomicU64,
    /// What of that is on the disk.
    noted: (AtomicU64, AtomicU64),
}

/// What changes about an object.
pub(super) struct State {
    pub(super) head: Bytes,
    pub(super) validated: u64,
    pub(super) length: Option<u64>,
    pub(super) digest: Option<[u8; 32]>,
    /// What can be read.
    pub(super) here: Spans,
    /// What fills are to bring; it may be here in part already.
    claimed: Spans,
    /// What is not on the disk for good.
    pub(super) unlisted: Unlisted,
    /// Whether it was given up.
    pub(super) lost: bool,
}

/// What the disk does not know yet.
#[derive(Debug, Default)]
pub(super) struct Unlisted {
    /// Blocks that are whole, with their checksums where one fill saw all of them.
    pub(super) blocks: Vec<(u32, Option<u64>)>,
    /// That there is such an object.
    pub(super) birth: bool,
    pub(super) length: bool,
    /// How many bytes were written since data were last forced to the disk.
    pub(super) bytes: u64,
    /// Whether a helper thread is about to list them.
    pub(super) begun: bool,
    /// Whether it waits for its turn already.
    pub(super) queued: bool,
}

/// Where a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Here.
    Here,
    /// Nobody fetches it: it may be claimed.
    Unclaimed,
    /// It will never come: the object was given up.
    Lost,
}

impl Object {
    /// An object as the disk has it.
    pub(super) fn new(
        inner: Arc<Inner>,
        id: Id,
        ledger: Ledger,
        journal: Journal,
        data: Descriptor,
        size: u64,
    ) -> Self {
        let here = ledger.here(size);
        let state = State {
            head: ledger.head,
            validated: ledger.validated,
            length: ledger.length,
            digest: ledger.digest,
            here,
            claimed: Spans::default(),
            unlisted: Unlisted { birth: journal.end == 0, ..Unlisted::default() },
            lost: false,
        };
        Self {
            inner,
            key: ledger.key.into(),
            id,
            number: ledger.number,
            block_bytes: ledger.block_bytes,
            validator: ledger.validator,
            created: ledger.created,
            data: Arc::new(data),
            journal: Mutex::new(journal),
            whole: AtomicBool::new(state.is_whole()),
            editions: Editions::default(),
            state: Mutex::new(state),
            changed: Notify::new(),
            used: AtomicU64::new(ledger.used),
            hits: AtomicU64::new(ledger.hits),
            noted: (AtomicU64::new(ledger.used), AtomicU64::new(ledger.hits)),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key, as it was created under.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What its metadata begin with: no block is listed there.
    pub(super) fn birth(&self) -> Ledger {
        let state = self.state();
        Ledger {
            number: self.number,
            key: self.key.as_ref().to_owned(),
            block_bytes: self.block_bytes,
            created: self.created,
            validator: self.validator.clone(),
            validated: state.validated,
            head: state.head.clone(),
            length: state.length,
            blocks: BTreeMap::new(),
            digest: None,
            used: self.created,
            hits: 0,
        }
    }

    /// The stored head.
    #[must_use]
    pub fn head(&self) -> Bytes {
        self.state().head.clone()
    }

    /// What tells its version from others.
    #[must_use]
    pub const fn validator(&self) -> Option<&Validator> {
        self.validator.as_ref()
    }

    /// Its length, if that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.state().length
    }

    /// SHA-256 of all of it, if somebody has computed that.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.state().digest
    }

    /// How long its blocks are, but for the last.
    #[must_use]
    pub const fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        moment(self.created)
    }

    /// When its head was last validated.
    #[must_use]
    pub fn validated(&self) -> SystemTime {
        moment(self.state().validated)
    }

    /// When it was last used.
    #[must_use]
    pub fn last_used(&self) -> SystemTime {
        moment(self.used.load(Relaxed))
    }

    /// How often it was used.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Says that it answered a request. The disk learns of it more and more seldom, but of recent use at least every ten minutes.
    pub fn used(self: &Arc<Self>, now: SystemTime) {
        let now = millis(now);
        self.used.fetch_max(now, Relaxed);
        let hits = self.hit();
        if hits.is_power_of_two() || now >= self.noted.0.load(Relaxed).saturating_add(NOTED_EVERY) {
            self.queue_up(&mut self.state());
        }
    }

    /// Counts a request that it answered; returns how many those were.
    pub(super) fn hit(&self) -> u64 {
        self.hits.fetch_add(1, Relaxed) + 1
    }

    /// Whether all of it is here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole.load(Acquire)
    }

    /// Whether it was given up after a failure: nothing more comes to it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state().lost
    }

    /// How many of its bytes are here.
    #[must_use]
    pub fn bytes_here(&self) -> u64 {
        self.state().here.bytes()
    }

    /// How many bytes from `offset` on, at most `length`, are here without a gap. Never waits.
    #[must_use]
    pub fn present(&self, offset: u64, length: u64) -> u64 {
        if self.is_whole() {
            // Behind its end there is nothing to be had or to be waited for.
            return length;
        }
        self.state().here.run_from(offset).min(length)
    }

    /// What of a span is not here, ascending; nothing behind the object's end.
    #[must_use]
    pub fn missing(&self, span: Span) -> Vec<Span> {
        let state = self.state();
        state.here.gaps(state.clipped(span)).collect()
    }

    /// Takes on to bring the first bytes of a span that are neither here nor being brought; `None` if there are none, if the store is only read, or
    /// if the object was given up. Dropping the fill gives the rest back to whoever claims it next.
    #[must_use]
    pub fn claim(self: &Arc<Self>, span: Span) -> Option<Fill> {
        let mut state = self.state();
        if state.lost || self.inner.settings.mode == Mode::ReadOnly {
            return None;
        }
        let claim = state.unclaimed(span)?;
        state.claimed.insert(claim);
        drop(state);
        Some(Fill::new(Arc::clone(self), claim))
    }

    /// Waits while somebody is bringing the byte at `offset`. The fill that claimed it ends that, one way or the other: whoever drives fills limits
    /// their time. Cancelling is free.
    pub async fn arrival(&self, offset: u64) -> Arrival {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(arrival) = self.arrived(offset) {
                return arrival;
            }
            changed.await;
        }
    }

    /// Where that byte is; `None` if it is on its way.
    fn arrived(&self, offset: u64) -> Option<Arrival> {
        if self.is_whole() {
            return Some(Arrival::Here);
        }
        let state = self.state();
        match () {
            () if state.here.run_from(offset) > 0 => Some(Arrival::Here),
            () if state.lost => Some(Arrival::Lost),
            () if state.claimed.run_from(offset) > 0 => None,
            () => Some(Arrival::Unclaimed),
        }
    }

    /// Changes what is here, and tells who waits.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, Blocks) -> T) -> T {
        let mut state = self.state();
        let layout = Blocks { bytes: self.block_bytes, length: state.length };
        let outcome = change(&mut state, layout);
        self.whole.store(state.is_whole(), Release);
        drop(state);
        self.changed.notify_waiters();
        outcome
    }

    /// How it was used, if the disk knows less; from now on it is taken to know.
    pub(super) fn unnoted_use(&self) -> Option<Record> {
        let (at, hits) = (self.used.load(Relaxed), self.hits.load(Relaxed));
        let noted = (self.noted.0.swap(at, Relaxed), self.noted.1.swap(hits, Relaxed));
        (noted != (at, hits)).then_some(Record::Used { at, hits })
    }

    /// Has [`super::Store::tend`] list what is not listed; not where so many objects wait for that that no more may be open for it alone.
    pub(super) fn queue_up(self: &Arc<Self>, state: &mut State) {
        let waits = !state.lost && self.inner.settings.mode == Mode::ReadWrite;
        if waits && !state.unlisted.queued && !self.inner.has_much_to_list() {
            state.unlisted.queued = true;
            self.inner.queue(Arc::clone(self));
        }
    }
}

impl Unlisted {
    /// Whether there is anything that the disk is to know.
    pub(super) fn is_any(&self) -> bool {
        !self.blocks.is_empty() || self.length || self.birth
    }
}

impl State {
    fn is_whole(&self) -> bool {
        self.length.is_some_and(|length| self.here.covers(Span { start: 0, end: length }))
    }

    fn clipped(&self, span: Span) -> Span {
        span.within(Span { start: 0, end: self.length.unwrap_or(u64::MAX) })
    }

    fn unclaimed(&self, span: Span) -> Option<Span> {
        let mut gaps = self.here.gaps(self.clipped(span));
        gaps.find_map(|gap| self.claimed.gaps(gap).next())
    }

    /// Bytes of a fill were written; `sums` are the checksums of the blocks that it saw from end to end.
    pub(super) fn came(&mut self, span: Span, sums: &[(u32, u64)], layout: Blocks) {
        self.here.insert(span);
        self.unlisted.bytes += span.length();
        for block in layout.touched(span) {
            if self.here.covers(layout.span(block)) {
                let sum = sums.iter().find(|(of, _)| *of == block).map(|(_, sum)| *sum);
                self.unlisted.blocks.push((block, sum));
            }
        }
    }

    /// The object turns out to be that long; the last block may be whole by that. False if more than that is here or claimed to a known end.
    pub(super) fn set_length(&mut self, length: u64, block_bytes: u32) -> bool {
        if self.length.is_some_and(|known| known != length) || self.here.end() > length {
            return false;
        }
        if self.length.is_none() {
            (self.length, self.unlisted.length) = (Some(length), true);
            let layout = Blocks { bytes: block_bytes, length: self.length };
            let last = layout.of(length).map(|last| (last, layout.span(last)));
            if let Some((last, _)) = last.filter(|(_, span)| !span.is_empty() && self.here.covers(*span)) {
                self.unlisted.blocks.push((last, None));
            }
        }
        true
    }

    /// A fill ends, and with it its claim.
    pub(super) fn release(&mut self, claim: Span) {
        self.claimed.remove(claim);
    }

    /// Nothing more comes, and nothing of it is kept.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.unlisted = Unlisted::default();
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Object")
            .field("key", &self.key)
            .field("number", &format_args!("{:016x}", self.number))
            .field("length", &state.length)
            .field("here", &state.here.bytes())
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970.
pub(super) fn millis(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn moment(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}
