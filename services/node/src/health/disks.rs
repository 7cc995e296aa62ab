//! What is wrong with the disks that the node reads from: its root's, and its cache's.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use ferry_delivery::{Delivery, cache::store::Place, disk};
use ferry_runtime::Clock;

use super::damage::{Damage, Recent};

/// Knows how the disks do; a cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Disks {
    delivery: Delivery,
    clock: Clock,
    damage: Arc<Mutex<Damage>>,
    remade: Arc<Mutex<Damage>>,
    sick: Arc<AtomicBool>,
}

/// What is wrong with the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheTrouble {
    /// How its disk does, if that is not well.
    disk: Option<disk::Health>,
    /// Where its directory is, if it is not where it was.
    place: Option<Place>,
    /// How often that was made anew.
    remade: Option<Recent>,
    /// Blocks that were not what was written.
    damage: Option<Recent>,
}

impl Disks {
    pub(crate) fn new(delivery: Delivery, clock: Clock) -> Self {
        Self { delivery, clock, damage: Arc::default(), remade: Arc::default(), sick: Arc::default() }
    }

    /// What is wrong with the root's disk, if the node has one.
    pub(crate) fn root(&self) -> Option<disk::Health> {
        self.delivery.disk().map(disk::Disk::health).filter(|health| !health.is_well())
    }

    /// Looks how the root's disk does, for [`Self::is_sick`].
    pub(crate) fn look(&self) {
        self.sick.store(self.root().is_some(), Relaxed);
    }

    /// Whether anything was wrong with the root's disk when it was last looked at. Every request may ask.
    pub(crate) fn is_sick(&self) -> bool {
        self.sick.load(Relaxed)
    }

    /// What is wrong with the cache, if there is one.
    pub(crate) fn cache(&self) -> Option<CacheTrouble> {
        let store = self.delivery.cache()?.store();
        let usage = store.usage();
        let recent = |damage: &Mutex<Damage>, count| {
            damage.lock().unwrap_or_else(PoisonError::into_inner).look(count, self.clock.now())
        };
        let trouble = CacheTrouble {
            disk: Some(store.health()).filter(|health| !health.is_well()),
            place: Some(store.place()).filter(|place| !place.is_here()),
            remade: recent(&self.remade, usage.remade),
            damage: recent(&self.damage, usage.damaged),
        };
        trouble.is_any().then_some(trouble)
    }

    /// A disk that clients wait for in vain. Bad blocks are not meant: they are fetched anew.
    pub(crate) fn stuck(&self) -> Option<disk::Health> {
        self.root().or_else(|| self.cache()?.disk)
    }
}

impl CacheTrouble {
    const fn is_any(&self) -> bool {
        let Self { disk, place, remade, damage } = self;
        disk.is_some() || place.is_some() || remade.is_some() || damage.is_some()
    }
}

impl fmt::Display for CacheTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.disk.map(|disk| format!("its disk: {disk}"));
        let place = self.place.map(|place| place.to_string());
        let remade = self.remade.map(|Recent { ago, .. }| {
            format!("its directory was gone, with all that was in it, and was made anew {} s ago", ago.as_secs())
        });
        let damage = self.damage.map(|Recent { count, ago }| {
            let seconds = ago.as_secs();
            format!("blocks that were not what was written: {count}, the last of them {seconds} s ago")
        });
        let all: Vec<_> = [disk, place, remade, damage].into_iter().flatten().collect();
        f.write_str(&all.join("; "))
    }
}
