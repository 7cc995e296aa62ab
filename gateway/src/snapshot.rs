//! What every request is decided from: one consistent picture, replaced as a whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ferry_core::{
    merge::Merge,
    ring::KeyRing,
    selection::{Corrections, Table},
    time::Tick,
};

/// The picture.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) table: Table,
    pub(crate) corrections: Corrections,
    pub(crate) user_ring: Option<KeyRing>,
    pub(crate) node_ring: Option<KeyRing>,
}

impl Snapshot {
    /// The picture after `previous`.
    pub(crate) fn after(previous: &Self, merge: &Merge, now: Tick) -> Self {
        let table = Table::from_views(merge.views(), Some(&previous.table), now);
        let corrections = Corrections::for_table(&table, Some(&previous.corrections));
        let facts = merge.facts();
        Self { table, corrections, user_ring: facts.user_ring.clone(), node_ring: facts.node_ring.clone() }
    }
}

/// The present picture; readers never wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current(Arc<ArcSwap<Snapshot>>);

impl Current {
    pub(crate) fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}
