//! Which objects of a cache go when room is needed, and which are let in: S3-FIFO, by size.
//!
//! Pure: it knows sizes and how often an object was asked for, and keeps three queues (Yang, Zhang, Qiu, Yue, Vigfusson, "FIFO queues are all you need
//! for cache eviction", SOSP 2023). What is new waits in a small one, a tenth of all bytes; asked for again there, it moves to the main one, and
//! otherwise it goes. The main one gives an object another round for each time that it was asked for, up to three. What went from the small one is
//! remembered by a fingerprint, and goes to the main one at once if it comes back. So a scan passes through the small queue, and
//! pushes out nothing that is asked for.
//!
//! How much is too much, and whether an object is in use, is for the caller to say. Every operation takes constant time, but for an eviction, which
//! passes over what may not go.
//!
//! Invariants:
//! - **E1** what the queues hold in bytes is the sum of what their objects have.
//! - **E2** what is pinned, or may not go by the caller's word, is never evicted; and if anything may go, something does.
//! - **E3** what is remembered of objects that are gone takes no more entries than twice the objects that there are, and some.

mod queue;
mod remembered;

use slab::Slab;

use queue::{Links, Queue};
use remembered::Remembered;

/// How many more rounds an object can earn.
const MOST_ROUNDS: u8 = 3;

/// The small queue's share of all bytes: a tenth.
const SMALL_SHARE: u64 = 10;

/// What is remembered at least, however few objects there are.
const REMEMBERED_AT_LEAST: usize = 1024;

/// An object in the queues, for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u32);

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Small,
    Main,
    Pinned,
}

#[derive(Debug)]
struct Node<T> {
    what: T,
    fingerprint: u64,
    bytes: u64,
    /// How often it was asked for since it came here, as far as that counts.
    asked: u8,
    place: Place,
    links: Links,
}

/// A new object.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<T> {
    /// What is given back when it is evicted.
    pub what: T,
    /// A hash of its name: what is remembered of it when it is gone.
    pub fingerprint: u64,
    /// What it takes.
    pub bytes: u64,
    /// How often it was asked for before, by what an earlier process knew.
    pub asked: u64,
    /// Whether it stays until it is removed.
    pub pinned: bool,
}

/// Which objects are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The largest, in bytes.
    pub largest: u64,
    /// What happens to those that are asked for the first time.
    pub first: First,
}

/// What happens to an object that is asked for the first time, as far as is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum First {
    /// It is let in.
    #[default]
    Admit,
    /// It passes while the cache is full: a scan then evicts nothing at all, and an object costs its origin two fetches.
    PassWhenFull,
    /// It passes.
    Pass,
}

/// Whether an object is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Admit,
    /// It goes past the cache.
    Pass,
}

/// The queues.
#[derive(Debug)]
pub struct S3Fifo<T> {
    nodes: Slab<Node<T>>,
    small: Queue,
    main: Queue,
    pinned: Queue,
    /// What went from the small queue, asked for by nobody again.
    gone: Remembered,
    /// What was asked for once, and passed.
    passed: Remembered,
}

impl<T> Default for S3Fifo<T> {
    fn default() -> Self {
        Self {
            nodes: Slab::new(),
            small: Queue::default(),
            main: Queue::default(),
            pinned: Queue::default(),
            gone: Remembered::default(),
            passed: Remembered::default(),
        }
    }
}

impl<T: Clone> S3Fifo<T> {
    /// How many bytes there are, the pinned ones included.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.small.bytes + self.main.bytes + self.pinned.bytes
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether an object that is not here is to be kept; `bytes` is its size, if that is known, and `full` whether another would have to go for it.
    pub fn judge(&mut self, admission: &Admission, fingerprint: u64, bytes: Option<u64>, full: bool) -> Verdict {
        if bytes.is_some_and(|bytes| bytes > admission.largest) {
            return Verdict::Pass;
        }
        let doubts = match admission.first {
            First::Admit => false,
            First::PassWhenFull => full,
            First::Pass => true,
        };
        if !doubts || self.gone.holds(fingerprint) || self.passed.forget(fingerprint) {
            return Verdict::Admit;
        }
        self.passed.add(fingerprint, 0);
        self.passed.shrink(self.remembered_at_most(), u64::MAX);
        Verdict::Pass
    }

    /// Takes an object in.
    ///
    /// # Panics
    ///
    /// With more than four billion objects.
    pub fn insert(&mut self, arrival: Arrival<T>) -> Token {
        let Arrival { what, fingerprint, bytes, asked, pinned } = arrival;
        let asked = u8::try_from(asked).unwrap_or(MOST_ROUNDS).min(MOST_ROUNDS);
        let place = match () {
            () if pinned => Place::Pinned,
            () if self.gone.forget(fingerprint) || asked > 1 => Place::Main,
            () => Place::Small,
        };
        let node = Node { what, fingerprint, bytes, asked, place, links: Links::default() };
        let token = u32::try_from(self.nodes.insert(node)).expect("fewer than four billion objects");
        self.enqueue(token, place);
        Token(token)
    }

    /// It was asked for.
    pub fn hit(&mut self, token: Token) {
        if let Some(node) = self.nodes.get_mut(token.0 as usize) {
            node.asked = (node.asked + 1).min(MOST_ROUNDS);
        }
    }

    /// It takes so much by now.
    pub fn resize(&mut self, token: Token, bytes: u64) {
        let Some(node) = self.nodes.get_mut(token.0 as usize) else { return };
        let (before, place) = (std::mem::replace(&mut node.bytes, bytes), node.place);
        let queue = self.queue(place);
        queue.bytes = queue.bytes - before + bytes;
    }

    /// What it is taken to have.
    #[must_use]
    pub fn bytes_of(&self, token: Token) -> u64 {
        self.nodes.get(token.0 as usize).map_or(0, |node| node.bytes)
    }

    /// It is gone for other reasons.
    pub fn remove(&mut self, token: Token) {
        if self.nodes.contains(token.0 as usize) {
            self.dequeue(token.0);
            self.nodes.remove(token.0 as usize);
        }
    }

    /// Takes out what is to go next, of what may go; `None` if nothing may.
    pub fn evict(&mut self, mut may_go: impl FnMut(&T) -> bool) -> Option<T> {
        // Each round takes something off what was earned, or finds something in use; where most is, any that may go has to do.
        let rounds = self.nodes.len().saturating_mul(usize::from(MOST_ROUNDS) + 1);
        for _ in 0..rounds {
            let place = if self.small_is_due() { Place::Small } else { Place::Main };
            let at = self.queue(place).oldest()?;
            let node = &mut self.nodes[at as usize];
            let next = match (may_go(&node.what), node.asked) {
                (true, 0) => return Some(self.take(at)),
                (true, asked) => {
                    // A move to the main queue costs what was earned, another round there a part of it.
                    node.asked = if place == Place::Small { 0 } else { asked - 1 };
                    Place::Main
                }
                (false, _) => place,
            };
            self.dequeue(at);
            self.enqueue(at, next);
        }
        let any = [Place::Small, Place::Main].into_iter().find_map(|place| {
            let newer = |at: &u32| self.nodes[*at as usize].links.newer;
            let mut members = std::iter::successors(self.queue_of(place).oldest(), newer);
            members.find(|at| may_go(&self.nodes[*at as usize].what))
        });
        any.map(|at| self.take(at))
    }

    fn take(&mut self, at: u32) -> T {
        self.dequeue(at);
        let node = self.nodes.remove(at as usize);
        if node.place == Place::Small {
            self.gone.add(node.fingerprint, node.bytes);
            // As much as the main queue might have held of it.
            self.gone.shrink(self.remembered_at_most(), self.bytes().max(node.bytes));
        }
        node.what
    }

    fn small_is_due(&self) -> bool {
        let all = self.small.bytes + self.main.bytes;
        self.main.oldest().is_none() || self.small.oldest().is_some() && self.small.bytes > all / SMALL_SHARE
    }

    const fn queue_of(&self, place: Place) -> &Queue {
        match place {
            Place::Small => &self.small,
            Place::Main => &self.main,
            Place::Pinned => &self.pinned,
        }
    }

    fn remembered_at_most(&self) -> usize {
        self.nodes.len().max(REMEMBERED_AT_LEAST)
    }

    fn queue(&mut self, place: Place) -> &mut Queue {
        match place {
            Place::Small => &mut self.small,
            Place::Main => &mut self.main,
            Place::Pinned => &mut self.pinned,
        }
    }

    fn enqueue(&mut self, at: u32, place: Place) {
        let node = &mut self.nodes[at as usize];
        node.place = place;
        let (bytes, newest) = (node.bytes, self.queue(place).newest());
        self.nodes[at as usize].links = Links { older: newest, newer: None };
        if let Some(newest) = newest {
            self.nodes[newest as usize].links.newer = Some(at);
        }
        self.queue(place).joined(at, bytes);
    }

    fn dequeue(&mut self, at: u32) {
        let node = &self.nodes[at as usize];
        let (Links { older, newer }, place, bytes) = (node.links, node.place, node.bytes);
        if let Some(older) = older {
            self.nodes[older as usize].links.newer = newer;
        }
        if let Some(newer) = newer {
            self.nodes[newer as usize].links.older = older;
        }
        self.queue(place).left(at, older, newer, bytes);
    }
}

#[cfg(test)]
mod tests;
