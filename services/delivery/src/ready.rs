//! Answers that are ready before they are asked for: whole files, to requests in which nothing bears on the answer.
//!
//! Nothing is decided here. An answer that was made in the ordinary way to such a request is what every other such request for
//! the same target gets, for as long as its file is the one that the disk or the cache would give out now (invariant D5), whoever decided about
//! access stands by it, and its time is not over: out of a cache, an answer says how old it is. What is kept is that answer's head, and
//! the content of a small file; the file itself is for the disk or the cache to keep open, or to let go.

use std::{
    hash::RandomState,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::SystemTime,
};

use bytes::Bytes;
use ferry_core::object::ObjectKey;
use http::{StatusCode, header};
use quick_cache::{Weighter, sync};
use tokio::time::Instant;

use crate::{
    answer::{Answer, Body, FileBody, Parts, Slice},
    disk::OpenFile,
    server::plain_head,
    transfers::{Transfer, Transfers},
};

/// What all that is kept may take, in octets.
const MOST: u64 = 32 << 20;

/// What an entry takes besides its octets, roughly.
const OVERHEAD: u64 = 512;

/// The largest content that is kept: of a larger file, the kernel sends what it has in its own cache, which costs a call more and a copy
/// less.
const LARGEST: u64 = 4 * 1024;

/// An answer that can be given again.
#[derive(Debug)]
pub struct Ready {
    /// The head up to its date, which is left out; of one with a date of its own, all of it but what ends a head.
    pub(crate) head: Bytes,
    /// Whether it has a date of its own.
    pub(crate) dated: bool,
    /// The content, where it is small.
    pub(crate) content: Option<Bytes>,
    file: Weak<OpenFile>,
    /// Whether the file is a cache's.
    cached: bool,
    /// When the answer would be another one, though its file stands.
    until: Option<Instant>,
    key: ObjectKey,
    transfers: Transfers,
}

/// An answer to be given now, and the books that it is entered in.
#[derive(Debug)]
pub struct Prompt {
    pub(crate) ready: Arc<Ready>,
    pub(crate) file: Arc<OpenFile>,
    pub(crate) client: SocketAddr,
    /// The entry of a transfer that somebody waits for the end of.
    pub(crate) transfer: Option<Transfer>,
}

/// Ready answers by the target that they are for.
#[derive(Debug)]
pub(crate) struct ReadyAnswers(sync::Cache<Box<str>, Arc<Ready>, Octets, RandomState>);

/// What an entry weighs.
#[derive(Debug, Clone)]
struct Octets;

impl Weighter<Box<str>, Arc<Ready>> for Octets {
    fn weight(&self, target: &Box<str>, ready: &Arc<Ready>) -> u64 {
        let content = ready.content.as_ref().map_or(0, Bytes::len);
        (target.len() + ready.head.len() + content) as u64 + OVERHEAD
    }
}

impl Ready {
    /// Whether another request that came then is to be given the same, as far as time tells.
    pub(crate) fn holds_at(&self, came: Instant) -> bool {
        self.until.is_none_or(|until| came < until)
    }

    /// Whether its file is a cache's, and not the disk's.
    pub(crate) const fn is_cached(&self) -> bool {
        self.cached
    }

    /// Whether this is the file that the answer was made of. Where the file was closed since, no other has its place in memory: the
    /// answer holds on to that.
    pub(crate) fn is_of(&self, file: &Arc<OpenFile>) -> bool {
        std::ptr::eq(self.file.as_ptr(), Arc::as_ptr(file))
    }

    /// The file that it is of, if it was looked at since then; a cache's, if it is current.
    pub(crate) fn standing(&self, since: Instant) -> Option<Arc<OpenFile>> {
        self.file.upgrade().filter(|file| file.stood_at(since))
    }

    /// Registers a transfer of it, unless there are as many as there may be.
    pub(crate) fn try_begin(&self, file: &OpenFile, client: SocketAddr) -> Option<Transfer> {
        self.transfers.try_begin(self.key.clone(), client, Some(file.length()), SystemTime::now())
    }

    /// The object that it is of.
    pub(crate) const fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Keeps an answer to a plain request; `None` if it is not the whole of a file, or a cache's and nobody knows for how long it is the same.
    fn of(answer: &Answer, key: &ObjectKey, transfers: &Transfers) -> Option<Self> {
        let Body::File(FileBody { file, parts: Parts::One(slice) }) = &answer.body else { return None };
        let whole = Slice { offset: 0, length: file.length() };
        let cached = file.is_cached();
        let lasts = !cached || answer.stands_until.is_some();
        if *slice != whole || answer.close || answer.status != StatusCode::OK || !lasts {
            return None;
        }
        let head = plain_head(answer)?;
        let dated = answer.headers.contains_key(header::DATE);
        let (content, file, until) = (content_of(file), Arc::downgrade(file), answer.stands_until);
        Some(Self { head, dated, content, file, cached, until, key: key.clone(), transfers: transfers.clone() })
    }
}

/// The content of a small file, if it is in memory already and no change can have been missed.
fn content_of(file: &OpenFile) -> Option<Bytes> {
    let length = Some(file.length()).filter(|length| *length <= LARGEST)?;
    // Of a file that was changed just now, another change may not show. A cache writes no byte twice.
    if !file.is_cached() && !file.validators().are_settled() {
        return None;
    }
    let mut content = vec![0; usize::try_from(length).ok()?];
    let read = file.read_now(0, &mut content).ok()??;
    (read as u64 == length).then(|| content.into())
}

impl ReadyAnswers {
    pub(crate) fn new() -> Self {
        let entries = usize::try_from(MOST / OVERHEAD / 8).unwrap_or(usize::MAX);
        Self(sync::Cache::with(entries, MOST, Octets, RandomState::new(), sync::DefaultLifecycle::default()))
    }

    pub(crate) fn get(&self, target: &str) -> Option<Arc<Ready>> {
        self.0.get(target)
    }

    /// Keeps an answer that can be given again; each time it is given, that is entered in the books of `transfers`.
    pub(crate) fn keep(&self, target: &str, answer: &Answer, key: &ObjectKey, transfers: &Transfers) {
        if let Some(ready) = Ready::of(answer, key, transfers) {
            self.0.insert(target.into(), Arc::new(ready));
        }
    }

    pub(crate) fn forget(&self, target: &str, stale: &Arc<Ready>) {
        self.0.remove_if(target, |ready| Arc::ptr_eq(ready, stale));
    }
}

impl Prompt {
    /// All of the file.
    pub(crate) fn whole(&self) -> Slice {
        Slice { offset: 0, length: self.file.length() }
    }

    /// The body: what is kept of it, else the file.
    pub(crate) fn body(&self) -> Body {
        match &self.ready.content {
            Some(content) => Body::Bytes(content.clone()),
            None => Body::File(FileBody { file: Arc::clone(&self.file), parts: Parts::One(self.whole()) }),
        }
    }

    /// Whether the kernel sends so many bytes from `offset` on by itself, and need not wait for the disk.
    pub(crate) fn goes_by_itself(&self, offset: u64, length: u64) -> bool {
        self.file.sending().sendfile && (length == 0 || self.file.resident(offset, length) == length)
    }

    /// Whether it comes out of a cache: it is a hit.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.ready.cached
    }

    /// The object that is delivered.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.ready.key
    }

    /// Registers the transfer now, and not only if it takes its time: somebody waits for its end.
    pub fn transfer(&mut self) -> &mut Transfer {
        let Self { ready, file, client, transfer } = self;
        let begin = || ready.transfers.begin(ready.key.clone(), *client, Some(file.length()), SystemTime::now());
        transfer.get_or_insert_with(begin)
    }

    /// All of it was sent in one go: it is entered as a transfer that began and ended.
    pub(crate) fn sent_at_once(self) {
        let bytes = self.file.length();
        match self.transfer {
            Some(transfer) => {
                transfer.sent(usize::try_from(bytes).unwrap_or(usize::MAX));
                transfer.complete();
            }
            None => self.ready.transfers.sent_at_once(self.client, bytes),
        }
    }

    /// The transfer that began is at its end.
    pub(crate) fn complete(self) {
        if let Some(transfer) = self.transfer {
            transfer.complete();
        }
    }
}

#[cfg(test)]
mod tests;
