//! What the simulated members have to tell each other: when a node did what, and when a gateway saw it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use ferry_proto::v1::NodeState;

use crate::statistics::percentile;

/// Ages are counted in steps of so much.
const AGE_STEP: Duration = Duration::from_millis(5);
/// What is older than this counts as this old.
const OLDEST: usize = 4000;

/// What the gateways saw during one watch.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From a node's change of state until the last of all gateways knows it, in microseconds.
    pub(crate) delays: Vec<u64>,
    /// How many changes there were.
    pub(crate) changes: usize,
    /// The age that 99 % of the gateways' copies of loads did not exceed.
    pub(crate) age: Duration,
    /// How often a gateway was told that a node that beats is late or dead.
    pub(crate) false_alarms: usize,
    /// Streams of gateways that ended.
    pub(crate) ended: usize,
    /// Streams of nodes that ended unasked.
    pub(crate) lost: usize,
    /// For how long the gateways themselves did not run, at most: that is in their delays.
    pub(crate) pause: Duration,
}

impl Seen {
    /// The delay that 99 % did not exceed, in milliseconds.
    #[allow(clippy::cast_precision_loss, reason = "delays are far below 2^52 µs")]
    pub(crate) fn delay_millis(&self, share: f64) -> f64 {
        percentile(&mut self.delays.clone(), share) as f64 / 1e3
    }
}

/// What a node has announced by its deeds.
#[derive(Debug)]
struct Change {
    /// When, in microseconds; 0 if it has not changed.
    at: AtomicU64,
    /// To which state.
    to: AtomicU64,
    /// Gateways that know.
    seen: AtomicUsize,
    /// It beats, and nothing that it did says otherwise.
    steady: AtomicBool,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Notes {
    begun: Instant,
    gateways: usize,
    changes: Vec<Change>,
    count: AtomicUsize,
    welcomed: AtomicUsize,
    known: AtomicUsize,
    watching: AtomicBool,
    false_alarms: AtomicUsize,
    ended: AtomicUsize,
    lost: AtomicUsize,
    /// In microseconds.
    pause: AtomicU64,
    delays: Mutex<Vec<u64>>,
    ages: Mutex<Vec<u64>>,
}

impl Notes {
    pub(super) fn new(nodes: usize, gateways: usize) -> Self {
        let change = || Change {
            at: AtomicU64::new(0),
            to: AtomicU64::new(0),
            seen: AtomicUsize::new(0),
            steady: AtomicBool::new(false),
        };
        Self {
            begun: Instant::now(),
            gateways,
            changes: (0..nodes).map(|_| change()).collect(),
            count: AtomicUsize::default(),
            welcomed: AtomicUsize::default(),
            known: AtomicUsize::default(),
            watching: AtomicBool::default(),
            false_alarms: AtomicUsize::default(),
            ended: AtomicUsize::default(),
            lost: AtomicUsize::default(),
            pause: AtomicU64::default(),
            delays: Mutex::default(),
            ages: Mutex::new(vec![0; OLDEST + 1]),
        }
    }

    pub(super) fn nodes(&self) -> usize {
        self.changes.len()
    }

    /// Microseconds since the crowd began.
    #[allow(clippy::cast_possible_truncation, reason = "no run lasts for 500,000 years")]
    pub(super) fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    pub(super) fn welcome(&self) {
        self.welcomed.fetch_add(1, Relaxed);
    }

    pub(super) fn welcomed(&self) -> usize {
        self.welcomed.load(Relaxed)
    }

    /// A gateway has a node as UP for the first time.
    pub(super) fn know(&self) {
        self.known.fetch_add(1, Relaxed);
    }

    pub(super) fn known(&self) -> usize {
        self.known.load(Relaxed)
    }

    /// A node does now what will make it `state`, once `allowed` has passed.
    pub(super) fn change(&self, node: usize, state: NodeState, allowed: Duration) {
        let change = &self.changes[node];
        // A node that has to dial twice makes one change.
        let again = change.to.swap(state as u64, Relaxed) == state as u64;
        change.seen.store(0, Relaxed);
        change.at.store(self.now() + u64::try_from(allowed.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.count.fetch_add(usize::from(!again), Relaxed);
    }

    pub(super) fn set_steady(&self, node: usize, steady: bool) {
        self.changes[node].steady.store(steady, Relaxed);
    }

    pub(super) fn is_steady(&self, node: usize) -> bool {
        self.changes[node].steady.load(Relaxed)
    }

    /// A gateway heard of a node's state; `last` is the last of its changes that this gateway knew.
    pub(super) fn hear(&self, node: usize, state: NodeState, last: &mut u64) {
        let change = &self.changes[node];
        let at = change.at.load(Relaxed);
        if at != 0 && *last != at && change.to.load(Relaxed) == state as u64 {
            *last = at;
            if change.seen.fetch_add(1, Relaxed) + 1 == self.gateways {
                self.delays.lock().unwrap_or_else(PoisonError::into_inner).push(self.now().saturating_sub(at));
            }
        }
        if matches!(state, NodeState::Suspect | NodeState::Down) && self.is_steady(node) {
            self.false_alarms.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn lose_stream(&self) {
        self.lost.fetch_add(1, Relaxed);
    }

    pub(super) fn end_of_stream(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    pub(super) fn note_pause(&self, pause: Duration) {
        self.pause.fetch_max(u64::try_from(pause.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn is_watching(&self) -> bool {
        self.watching.load(Relaxed)
    }

    /// Ages of all of one gateway's copies at one moment, in microseconds.
    pub(super) fn note_ages(&self, ages: impl Iterator<Item = u64>) {
        let mut counts = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let step = AGE_STEP.as_micros() as u64;
        for age in ages {
            counts[usize::try_from(age / step).unwrap_or(OLDEST).min(OLDEST)] += 1;
        }
    }

    /// From now on what is seen counts, but false alarms, which always do.
    pub(super) fn begin(&self) {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.ages.lock().unwrap_or_else(PoisonError::into_inner).fill(0);
        self.count.store(0, Relaxed);
        self.watching.store(true, Relaxed);
    }

    pub(super) fn seen(&self) -> Seen {
        self.watching.store(false, Relaxed);
        let counts = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = counts.iter().sum();
        let mut below = 0;
        let step = counts.iter().position(|count| {
            below += count;
            below * 100 >= all * 99
        });
        Seen {
            delays: self.delays.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            changes: self.count.load(Relaxed),
            age: AGE_STEP * (step.unwrap_or(OLDEST) as u32 + 1),
            false_alarms: self.false_alarms.load(Relaxed),
            ended: self.ended.load(Relaxed),
            lost: self.lost.load(Relaxed),
            pause: Duration::from_micros(self.pause.load(Relaxed)),
        }
    }

    pub(super) fn every_change_was_seen(&self) -> bool {
        self.changes.iter().all(|change| change.at.load(Relaxed) == 0 || change.seen.load(Relaxed) >= self.gateways)
    }
}
