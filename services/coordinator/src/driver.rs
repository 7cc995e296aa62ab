//! The loop: everything that happens comes in here, one thing at a time, and leaves as messages and store writes.

mod effects;
mod guards;
mod input;
mod saves;
mod sight;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use ferry_core::{
    backoff::Backoff,
    id::{GatewayId, Incarnation, NodeId},
    membership::{Event, Membership, Timing},
    merge::{Body, GatewayFacts, Peer, Tombstone},
    ring::Key,
    time::Tick,
};
use ferry_proto::{convert, v1};
use ferry_runtime::{
    Clock, Tasks, descriptors,
    probe::{self, Prober},
};
use ferry_store::{Store, Watch};
use rand::RngExt as _;
use tokio::sync::{Semaphore, mpsc};
use tracing::warn;

use guards::Guards;
pub(crate) use input::{Handle, Input, Known, NoAnswer, Question};
use saves::Saves;

use crate::{figures::Figures, records::Records, sessions::Sessions, subscribers::Subscribers};

/// How often gateways hear of loads, or at least that this coordinator lives.
const MARK_EVERY: Duration = Duration::from_millis(500);
/// How often nodes hear that this coordinator lives: three times before they give it up.
const NODE_MARK_EVERY: Duration = Duration::from_secs(1);
/// How often gateways hear of changes at most: the first goes out at once, and what comes close behind it goes together. Thousands of
/// nodes that change at one moment are some messages, not thousands.
const PUBLISH_EVERY: Duration = Duration::from_millis(10);
/// Inputs that are taken before anything else is looked at.
const BATCH: usize = 256;
/// Between attempts to store what cannot be given up.
const RETRY_BASE: Duration = Duration::from_millis(200);
const RETRY_CAP: Duration = Duration::from_secs(5);
/// Store writes under way at one time; further ones wait their turn.
const WRITES: usize = 16;
/// Before a node is looked at again where this process lacked what a connection takes.
const PROBE_AGAIN: Duration = Duration::from_secs(1);

/// Everything the coordinator knows, and everybody it talks to.
#[derive(Debug)]
pub(crate) struct Driver {
    me: Peer,
    clock: Clock,
    tasks: Tasks,
    timing: Timing,
    membership: Membership,
    sessions: Sessions,
    subscribers: Subscribers,
    records: Records,
    store: Arc<dyn Store>,
    facts: GatewayFacts,
    /// Gateways that have a route that is not open, as the store says: a restart must not open anything.
    guards: BTreeSet<GatewayId>,
    guard_writes: Guards,
    /// Whether any gateway spoke of its routes, now or ever.
    any_gateway: bool,
    /// Whether the store was read since the start (C2).
    read: bool,
    /// To publish with the next delta.
    changed: BTreeSet<NodeId>,
    /// When that may go out.
    publish_at: Tick,
    /// When nodes hear of it next that this coordinator lives.
    node_mark_at: Tick,
    removed: Vec<Tombstone>,
    facts_changed: bool,
    figures: Figures,
    writes: Arc<Semaphore>,
    saves: Saves,
    /// Records of new nodes that are being created.
    creating: usize,
    probes: Arc<Semaphore>,
    prober: Prober,
    user_key: Option<Key>,
    announce: Option<Announce>,
    rings_under_way: bool,
    handle: Handle,
}

/// Told the user ring's first key, base64, when this coordinator generated it: it is shown once.
pub struct Announce(Box<dyn FnOnce(&str) + Send + Sync>);

impl Announce {
    /// Calls `tell` with the key.
    pub fn new(tell: impl FnOnce(&str) + Send + Sync + 'static) -> Self {
        Self(Box::new(tell))
    }
}

impl fmt::Debug for Announce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announce")
    }
}

/// What the driver is built from.
pub(crate) struct Parts {
    pub(crate) me: Peer,
    pub(crate) incarnation: Incarnation,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) figures: Figures,
    pub(crate) user_key: Option<Key>,
    pub(crate) announce: Option<Announce>,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> (Self, Handle, mpsc::Receiver<Input>) {
        let Parts { me, incarnation, clock, tasks, store, figures, user_key, announce } = parts;
        let timing = Timing::default();
        let (handle, inbox) = Handle::new();
        let driver = Self {
            membership: Membership::new(timing, clock.now()),
            sessions: Sessions::default(),
            subscribers: Subscribers::new(me.id.clone(), incarnation),
            records: Records::new(Arc::clone(&store)),
            facts: GatewayFacts::default(),
            guards: BTreeSet::new(),
            guard_writes: Guards::default(),
            any_gateway: false,
            rings_under_way: false,
            read: false,
            changed: BTreeSet::new(),
            publish_at: Tick::default(),
            node_mark_at: Tick::default(),
            removed: Vec::new(),
            facts_changed: false,
            writes: Arc::new(Semaphore::new(WRITES)),
            saves: Saves::default(),
            creating: 0,
            probes: Arc::new(Semaphore::new(probe::at_once(descriptors::limit()))),
            prober: Prober::default(),
            handle: handle.clone(),
            me,
            clock,
            tasks,
            timing,
            store,
            figures,
            user_key,
            announce,
        };
        (driver, handle, inbox)
    }

    /// Runs until the tasks are asked to stop.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Input>) {
        let stop = self.tasks.stop_token();
        let mut watch: Watch = self.store.watch("");
        let mut mark_at = self.clock.now() + MARK_EVERY;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let publish = self.has_news().then_some(self.publish_at);
            let deadline = [self.membership.next_deadline(), publish].into_iter().flatten().fold(mark_at, Tick::min);
            tokio::select! {
                biased; // stop before work, work before timers; and the store before nodes, however much they say
                () = stop.cancelled() => return,
                event = watch.next() => self.see(event),
                _ = inbox.recv_many(&mut batch, BATCH) => for input in batch.drain(..) {
                    self.take(input);
                },
                () = self.clock.sleep_until(Some(deadline)) => self.happen(Event::TimePassed),
            }
            let now = self.clock.now();
            self.admit(now);
            if self.has_news() && now >= self.publish_at {
                self.publish(now);
                self.publish_at = now + PUBLISH_EVERY;
            }
            if now >= mark_at {
                self.mark(now);
                mark_at = now + MARK_EVERY;
            }
        }
    }

    /// Gateways that wait get their snapshot as soon as silence means something (C2).
    fn admit(&mut self, now: Tick) {
        if self.subscribers.anybody_waits() && self.read && self.membership.has_learned(now) {
            let snapshot = Body::Snapshot {
                nodes: self.membership.views(now).collect(),
                removed: self.membership.removed().collect(),
                facts: self.facts.clone(),
            };
            self.subscribers.admit(&snapshot, self.clock.wall());
        }
    }

    fn has_news(&self) -> bool {
        !self.changed.is_empty() || !self.removed.is_empty() || self.facts_changed
    }

    /// Changes go out before the next mark: P5 and the drain count from here.
    fn publish(&mut self, now: Tick) {
        let changed = std::mem::take(&mut self.changed);
        let body = Body::Delta {
            nodes: changed.iter().filter_map(|id| self.membership.view(now, id)).collect(),
            loads: Vec::new(),
            removed: std::mem::take(&mut self.removed),
            facts: std::mem::take(&mut self.facts_changed).then(|| self.facts.clone()),
        };
        let dropped = self.subscribers.tell(&body, self.clock.wall());
        self.note_dropped(dropped);
    }

    /// Loads, at the pace of marks; a mark alone if there are none.
    fn mark(&mut self, now: Tick) {
        let touched = self.membership.take_touched();
        let views: Vec<_> = touched.iter().filter_map(|id| self.membership.view(now, id)).collect();
        let wall = self.clock.wall();
        let dropped = if views.is_empty() {
            self.subscribers.tell(&Body::Mark, wall)
        } else {
            self.subscribers.tell_loads(views, wall)
        };
        self.note_dropped(dropped);
        if now >= self.node_mark_at {
            self.sessions.send_all(&v1::attend_response::Body::Mark(v1::NodeMark { unix_ms: wall.0 }));
            self.node_mark_at = now + NODE_MARK_EVERY;
        }
        self.figures.nodes.set(self.membership.census());
        self.figures.sessions.set(self.sessions.len() as i64);
        self.figures.gateways.set(self.subscribers.len() as i64);
    }

    fn note_dropped(&self, gateways: u64) {
        if gateways > 0 {
            self.figures.gateways_dropped.inc_by(gateways);
            warn!(gateways, "cut off gateways that did not keep up");
        }
    }

    fn cluster_facts(&self) -> v1::ClusterFacts {
        let guarded = self.any_gateway.then_some(!self.guards.is_empty());
        v1::ClusterFacts {
            node_ring: self.facts.node_ring.as_ref().map(Into::into),
            coordinators: self.facts.coordinators.iter().map(Into::into).collect(),
            access: convert::access_to_wire(guarded).into(),
            unix_ms: self.clock.wall().0,
        }
    }

    /// Every node hears of the cluster's facts when they change.
    fn tell_nodes(&mut self) {
        let facts = self.cluster_facts();
        self.sessions.send_all(&v1::attend_response::Body::Cluster(facts));
    }
}

/// Tries to store something until it is there; only a stop can end it before.
async fn until_stored<T, E, F>(what: &'static str, figures: &Figures, mut attempt: impl FnMut() -> F) -> T
where
    E: std::error::Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let mut wait = Backoff::new(RETRY_BASE, RETRY_CAP);
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(why) => {
                figures.store_failures.inc();
                // Once: how long it lasts is for the store to say, and many records may wait for it.
                if wait.attempts() == 0 {
                    warn!(what, error = &why as &dyn std::error::Error, "not stored yet; trying again");
                }
                let pause = rand::rng().random_range(wait.next_wait());
                tokio::time::sleep(pause).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
