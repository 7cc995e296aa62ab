//! What every request is decided from: one consistent picture, replaced as a whole, for what changed in it.
//!
//! There are two: requests read one, and the other waits until the last request that began with it has ended. Then it catches up with
//! the first, changes in place, and they change places. Who reads never waits, and nothing is copied but what changed.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use ferry_core::{
    id::NodeId,
    merge::GatewayFacts,
    node::NodeView,
    ring::KeyRing,
    selection::{Corrections, Heat, Table},
    time::{Tick, UnixMillis},
};
use ferry_runtime::Clock;

/// Coordinators say something every half second.
const DEAF_AFTER: Duration = Duration::from_millis(2500);

/// The picture.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) table: Table,
    /// Both pictures have the same, as long as nodes keep their places.
    pub(crate) corrections: Arc<Corrections>,
    /// What was sent of each key.
    pub(crate) warmth: Arc<Warmth>,
    pub(crate) user_ring: Option<KeyRing>,
    pub(crate) node_ring: Option<KeyRing>,
}

/// Heat for a cluster of a certain size.
#[derive(Debug)]
pub(crate) struct Warmth {
    pub(crate) heat: Heat,
    /// The most nodes that it is meant for.
    nodes: usize,
}

impl Warmth {
    fn for_nodes(count: usize) -> Self {
        let nodes = count.next_power_of_two();
        Self { heat: Heat::for_nodes(nodes), nodes }
    }
}

impl Default for Warmth {
    fn default() -> Self {
        Self::for_nodes(0)
    }
}

/// The present picture; readers never wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current {
    picture: Arc<ArcSwap<Snapshot>>,
    /// When a coordinator was last heard, in milliseconds of the process's clock; 0 if none ever was.
    heard: Arc<AtomicU64>,
    /// When the copy was made from which the gateway started, in milliseconds since 1970; 0 if there was none.
    saved: Arc<AtomicU64>,
}

impl Current {
    /// With a table that has no nodes yet.
    pub(crate) fn begin(table: Table) -> Self {
        let current = Self::default();
        current.picture.store(Arc::new(Snapshot { table, ..Snapshot::default() }));
        current
    }

    pub(crate) fn load(&self) -> Arc<Snapshot> {
        self.picture.load_full()
    }

    /// The same, for who lets go of it at once.
    pub(crate) fn glance(&self) -> Guard<Arc<Snapshot>> {
        self.picture.load()
    }

    /// When a coordinator was last heard, if ever.
    pub(crate) fn heard(&self) -> Option<Tick> {
        let millis = self.heard.load(Relaxed);
        (millis > 0).then(|| Tick::from_origin(Duration::from_millis(millis)))
    }

    /// Whether no coordinator was heard for so long that what nodes say of redirects does not come.
    pub(crate) fn is_deaf(&self, now: Tick) -> bool {
        self.heard().is_none_or(|at| now.since(at) > DEAF_AFTER)
    }

    /// When the copy was made from which the gateway started.
    pub(crate) fn saved(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.saved.load(Relaxed))).filter(|at| at.0 > 0)
    }

    /// Notes from which copy the gateway starts.
    pub(crate) fn start_from(&self, at: UnixMillis) {
        self.saved.store(at.0, Relaxed);
    }

    /// How old the table is: since a coordinator was last heard or, where none was, since the copy was made. `None` of no table.
    pub(crate) fn age(&self, clock: &Clock) -> Option<Duration> {
        match self.heard() {
            Some(at) => Some(clock.now().since(at)),
            None => self.saved().map(|at| clock.wall().since(at)),
        }
    }

    pub(crate) fn hear(&self, at: Tick) {
        let millis = u64::try_from(at.since_origin().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(millis.max(1), Relaxed);
    }
}

/// Who changes the picture; there is one.
#[derive(Debug)]
pub(crate) struct Painter {
    current: Current,
    /// The one before the present picture.
    spare: Arc<Snapshot>,
    /// Nodes that are otherwise in the present picture.
    behind: BTreeSet<NodeId>,
}

impl Painter {
    pub(crate) fn new(current: Current) -> Self {
        // What is there already (rules, costs between regions) is in both.
        let spare = Arc::new(Snapshot::clone(&current.load()));
        Self { current, spare, behind: BTreeSet::new() }
    }

    /// Notes when a coordinator was last heard.
    pub(crate) fn hear(&self, at: Tick) {
        self.current.hear(at);
    }

    /// Publishes what became of these nodes, by `word`; `None` if one is gone. Returns the new picture.
    pub(crate) fn publish<'v>(
        &mut self,
        facts: &GatewayFacts,
        changed: BTreeSet<NodeId>,
        word: impl Fn(&NodeId) -> Option<Cow<'v, NodeView>>,
        now: Tick,
    ) -> Arc<Snapshot> {
        let before = self.current.load();
        let mut next = self.catch_up(&before);
        let words: Vec<_> = changed.iter().map(|id| (id, word(id))).collect();
        next.table.apply(words.iter().map(|(id, word)| (*id, word.as_deref())), now);
        if next.table.numbering() != before.table.numbering() {
            next.corrections = Arc::new(Corrections::for_table(&next.table, Some(&before.corrections)));
            // Seldom, and forgotten within seconds: what was counted is not carried over.
            if next.table.len() > before.warmth.nodes {
                next.warmth = Arc::new(Warmth::for_nodes(next.table.len()));
            }
        }
        next.user_ring.clone_from(&facts.user_ring);
        next.node_ring.clone_from(&facts.node_ring);
        let next = Arc::new(next);
        self.spare = self.current.picture.swap(Arc::clone(&next));
        self.behind = changed;
        next
    }

    /// A picture of its own that shows what the present one shows.
    fn catch_up(&mut self, present: &Arc<Snapshot>) -> Snapshot {
        match Arc::try_unwrap(std::mem::take(&mut self.spare)) {
            Ok(mut spare) if spare.table.numbering() == present.table.numbering() => {
                spare.table.follow(&present.table, &self.behind);
                spare.corrections.clone_from(&present.corrections);
                spare.warmth.clone_from(&present.warmth);
                spare
            }
            // Somebody still reads it, or nodes came and went.
            _ => Snapshot::clone(present),
        }
    }
}

#[cfg(test)]
mod tests;
