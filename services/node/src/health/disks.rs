//! What is wrong with the disks that the node reads from: its root's, and its cache's.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use ferry_delivery::{Delivery, disk};
use ferry_runtime::Clock;

use super::damage::{Damage, Recent};

/// Knows how the disks do; a cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Disks {
    delivery: Delivery,
    clock: Clock,
    damage: Arc<Mutex<Damage>>,
}

/// What is wrong with the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheTrouble {
    /// How its disk does, if that is not well.
    disk: Option<disk::Health>,
    /// Blocks that were not what was written.
    damage: Option<Recent>,
}

impl Disks {
    pub(crate) fn new(delivery: Delivery, clock: Clock) -> Self {
        Self { delivery, clock, damage: Arc::default() }
    }

    /// What is wrong with the root's disk, if the node has one.
    pub(crate) fn root(&self) -> Option<disk::Health> {
        self.delivery.disk().map(disk::Disk::health).filter(|health| !health.is_well())
    }

    /// What is wrong with the cache, if there is one.
    pub(crate) fn cache(&self) -> Option<CacheTrouble> {
        let store = self.delivery.cache()?.store();
        let damaged = store.usage().damaged;
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner).look(damaged, self.clock.now());
        let disk = Some(store.health()).filter(|health| !health.is_well());
        (disk.is_some() || damage.is_some()).then_some(CacheTrouble { disk, damage })
    }

    /// A disk that clients wait for in vain. Bad blocks are not meant: they are fetched anew.
    pub(crate) fn stuck(&self) -> Option<disk::Health> {
        self.root().or_else(|| self.cache()?.disk)
    }
}

impl fmt::Display for CacheTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(disk) = self.disk {
            write!(f, "its disk: {disk}")?;
        }
        if let Some(Recent { blocks, ago }) = self.damage {
            let and = if self.disk.is_some() { "; " } else { "" };
            let seconds = ago.as_secs();
            write!(f, "{and}blocks that were not what was written: {blocks}, the last of them {seconds} s ago")?;
        }
        Ok(())
    }
}
