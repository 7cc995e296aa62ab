//! An object that is not whole, and all who read it: what is missing is fetched once, for whoever needs it first.
//!
//! A fetch brings bytes in order, block by block, and takes them on a window at a time. So a reader far ahead of it is given a fetch of its own at once,
//! and one that is near waits. Readers and fetches go at their own speeds: bytes go to the file, and from there to the clients.
//!
//! Invariants:
//! - **F2** only under one strong validator are parts combined that were fetched apart (promise P10); without one, all bytes are of one response.
//! - **F3** a fetch ends when nobody needs what it would bring, unless so little is missing that it is worth having.

mod claims;
mod fetch;
mod inflow;
mod pour;
mod shared_rest;
mod trouble;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use slab::Slab;
use tokio::{
    sync::{self, Notify},
    time::Instant,
};

pub(super) use pour::First;
pub(super) use trouble::Trouble;

use shared_rest::SharedRest;

use super::{
    Shared, floor,
    found::{Entry, Head},
    store::{Fill, Object, Span, Supply},
};
use crate::origin::{Body, Identity};

/// How much a fetch takes on at a time: who needs what lies further ahead does not wait for it.
const WINDOW: u64 = 8 << 20;

/// For how long whoever needs more is told of a failure, before the origin is asked again.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The objects that are being filled or read before they are whole.
#[derive(Debug, Default)]
pub(super) struct Fillers(Mutex<HashMap<usize, Weak<Filler>>>);

/// What brings the rest of one object.
#[derive(Debug)]
pub(super) struct Filler {
    shared: Arc<Shared>,
    object: Arc<Object>,
    entry: Entry,
    whence: Whence,
    /// Whether parts may be combined; who does not know the length cannot ask for them, and does not begin to when the one response has told it.
    strong: bool,
    state: Mutex<State>,
    /// Told when a fetch went on, or ended.
    fetched: Notify,
    /// Told when a reader went on, or left.
    read: Notify,
}

/// Where an object comes from.
#[derive(Debug, Clone)]
pub(super) struct Whence {
    /// Path and query at the origin.
    pub(super) target: String,
    /// The fields that chose it.
    pub(super) fields: HeaderMap,
    /// Whether its origin is an application, and is asked as one.
    pub(super) through: bool,
}

#[derive(Debug, Default)]
struct State {
    /// What each reader wants.
    readers: Slab<Wish>,
    /// What each fetch under way is to bring, as far as it comes to it.
    fetches: Slab<Span>,
    /// Where fetches wait for their readers.
    paused: Vec<u64>,
    /// The last failure.
    failed: Option<(Instant, Trouble)>,
    /// What came and could not be kept, under a strong validator: who comes first takes it.
    leftover: Option<Rest>,
    /// The same without one: it is everybody's.
    shared: Option<Arc<SharedRest>>,
}

#[derive(Debug)]
struct Wish {
    spans: Vec<Span>,
    /// How far it is known to be.
    at: u64,
}

/// Bytes on their way past the cache.
#[derive(Debug)]
struct Rest {
    at: u64,
    bytes: Bytes,
    body: Body,
}

/// One client's interest in an object; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    filler: Arc<Filler>,
    spans: Vec<Span>,
    id: usize,
    /// Where its bytes come from once they do not come to lie in the file.
    passing: sync::Mutex<Option<Rest>>,
}

/// What a reader needs to be done.
enum Step {
    /// Nothing: somebody brings it, or it is there.
    Nothing,
    /// Wait: a fetch was told to go on.
    Wait,
    /// This fetch.
    Fetch(Box<Fill>, Span),
}

impl Fillers {
    /// The one filler of an object that is not whole.
    pub(super) fn of(&self, shared: &Arc<Shared>, entry: &Entry, whence: impl FnOnce() -> Whence) -> Arc<Filler> {
        let mut fillers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A filler holds its object, so that no other has its place in memory.
        let place = Arc::as_ptr(&entry.object) as usize;
        if let Some(filler) = fillers.get(&place).and_then(Weak::upgrade) {
            return filler;
        }
        let filler = Arc::new(Filler {
            shared: Arc::clone(shared),
            object: Arc::clone(&entry.object),
            entry: entry.free(),
            whence: whence(),
            strong: entry.object.length().is_some() && entry.head().is_strong(),
            state: Mutex::default(),
            fetched: Notify::new(),
            read: Notify::new(),
        });
        fillers.insert(place, Arc::downgrade(&filler));
        filler
    }

    /// How many objects are being filled, and by how many fetches.
    pub(super) fn count(&self) -> (usize, usize) {
        let fillers: Vec<_> = {
            let fillers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            fillers.values().filter_map(Weak::upgrade).collect()
        };
        (fillers.len(), fillers.iter().map(|filler| filler.state().fetches.len()).sum())
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let mut fillers = self.shared.fillers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::as_ptr(&self.object) as usize;
        // Another may have taken its place since the last handle went.
        if fillers.get(&place).is_some_and(|filler| filler.strong_count() == 0) {
            fillers.remove(&place);
        }
    }
}

impl Filler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of these spans.
    pub(super) fn reader(self: &Arc<Self>, spans: Vec<Span>) -> Arc<Reader> {
        let at = spans.first().map_or(0, |span| span.start);
        let id = self.state().readers.insert(Wish { spans: spans.clone(), at });
        Arc::new(Reader { filler: Arc::clone(self), spans, id, passing: sync::Mutex::default() })
    }

    /// Whether the bytes of a span are there or can be had: parts are fetched under a strong validator only.
    pub(super) fn can_give(&self, span: Span) -> bool {
        let there = self.object.present(span.start, span.length()) == span.length();
        there || self.strong || !self.state().fetches.is_empty()
    }

    fn block(&self) -> u64 {
        u64::from(self.object.block_bytes()).max(1)
    }

    fn head(&self) -> &Head {
        self.entry.head()
    }

    /// How much a fetch takes on. Where parts are not combined, one response brings all of it.
    fn window(&self) -> u64 {
        if self.strong { WINDOW } else { u64::MAX }
    }

    fn trouble(&self) -> Option<Trouble> {
        self.state().trouble()
    }

    /// Sees to it that somebody brings the first byte of `span`, or has brought it.
    async fn bring(self: &Arc<Self>, id: usize, span: Span) -> Result<(), Trouble> {
        loop {
            let mut fetched = std::pin::pin!(self.fetched.notified());
            // From here on no change is missed.
            fetched.as_mut().enable();
            match self.step(id, span)? {
                Step::Nothing => return Ok(()),
                Step::Wait => fetched.await,
                Step::Fetch(fill, span) => return self.fetch(*fill, span).await,
            }
        }
    }

    fn step(&self, id: usize, span: Span) -> Result<Step, Trouble> {
        let mut state = self.state();
        if let Some(wish) = state.readers.get_mut(id) {
            wish.at = wish.at.max(span.start);
        }
        // A fetch that waited for its readers is where one of them is.
        if !state.paused.is_empty() {
            let waits_here = state.paused.contains(&span.start);
            self.read.notify_waiters();
            if waits_here {
                return Ok(Step::Wait);
            }
        }
        if let Some(trouble) = state.trouble() {
            return Err(trouble);
        }
        let under_way = !state.fetches.is_empty();
        drop(state);
        let Some((fill, span)) = self.claim(span) else { return Ok(Step::Nothing) };
        match self.strong {
            true => Ok(Step::Fetch(Box::new(fill), span)),
            // Its one response is between two claims.
            false if under_way => {
                drop(fill);
                Ok(Step::Wait)
            }
            false => Err(Trouble::Incomplete),
        }
    }

    /// Takes on a span from its first byte, or the beginning of that byte's block, on; `None` if somebody else has that byte.
    fn claim(&self, span: Span) -> Option<(Fill, Span)> {
        let block = self.block();
        let floor = floor(span.start, block);
        let end =
            span.end.checked_next_multiple_of(block).unwrap_or(u64::MAX).min(self.object.length().unwrap_or(u64::MAX));
        let gap = self.object.missing(Span { start: floor, end }).into_iter().find(|gap| gap.end > span.start)?;
        if gap.start > span.start {
            return None;
        }
        [gap.start, span.start].into_iter().find_map(|start| {
            let last = (floor.saturating_add(self.window())).min(gap.end);
            let fill = self.object.claim(Span { start, end: last }).filter(|fill| fill.rest().start == start)?;
            Some((fill, Span { start, end: gap.end }))
        })
    }
}

impl State {
    /// The first byte of a gap that no fetch under way is to bring.
    fn first_without_fetch(&self, gap: Span) -> Option<u64> {
        let mut at = gap.start;
        while let Some((_, fetch)) = self.fetches.iter().find(|(_, fetch)| fetch.start <= at && at < fetch.end) {
            at = fetch.end;
        }
        (at < gap.end).then_some(at)
    }

    /// Why the last fetch failed, a short time ago.
    fn trouble(&self) -> Option<Trouble> {
        self.failed.as_ref().filter(|(when, _)| when.elapsed() < REMEMBERED).map(|(_, trouble)| trouble.clone())
    }
}

/// What an origin learns of the client: an application, all that its route lets through.
pub(super) const fn identity(through: bool) -> Identity {
    if through { Identity::Passed } else { Identity::Withheld }
}

impl Reader {
    /// Waits until the byte at `offset` is to be had, or is known not to be.
    pub(super) async fn begin(&self, offset: u64) -> Result<(), Trouble> {
        use super::store::Arrival;
        loop {
            match self.filler.object.arrival(offset).await {
                Arrival::Here => return Ok(()),
                Arrival::Lost => return self.begin_past_the_cache(self.from(offset, offset + 1)).await,
                Arrival::Unclaimed => self.filler.bring(self.id, self.from(offset, offset + 1)).await?,
            }
        }
    }

    /// Has somebody begin to bring the first byte that is missing of what it wants. If that is not to be had, it is better known before the first
    /// byte is sent than after.
    pub(super) async fn assure(&self) -> Result<(), Trouble> {
        let gaps = self.spans.iter().flat_map(|span| self.filler.object.missing(*span));
        let nobody_brings = {
            let state = self.filler.state();
            gaps.into_iter().find_map(|gap| state.first_without_fetch(gap))
        };
        match nobody_brings {
            Some(at) => self.filler.bring(self.id, self.from(at, at + 1)).await,
            None => Ok(()),
        }
    }

    /// What it wants from `offset` on; at least up to `end`.
    fn from(&self, offset: u64, end: u64) -> Span {
        let within = self.spans.iter().find(|span| span.start <= offset && offset < span.end);
        Span { start: offset, end: within.map_or(end, |span| span.end.max(end)) }
    }
}

impl Supply for Reader {
    fn supply(&self, _object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move { Ok(self.filler.bring(self.id, self.from(span.start, span.end)).await?) })
    }

    fn pass(&self, _object: &Arc<Object>, span: Span) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(async move { Ok(self.past_the_cache(span).await?) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.filler.state().readers.try_remove(self.id);
        self.filler.read.notify_waiters();
    }
}
