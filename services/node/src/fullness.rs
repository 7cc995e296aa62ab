//! Whether the node has as much to do as it does well: then new requests go on to others, where others are to be had, and nothing that runs is cut.
//!
//! A node is full when the next transfer's fair share of its link would be less than the least rate that a client should get, or when its disk has become
//! much slower than it was. A fast client that fills an idle link is no reason: it makes room for the next one. Nor are many slow ones: what they leave
//! of the link is there for the next.
//!
//! Once a second it is worked out how many transfers would be too many; between that, asking costs a look at two numbers.

mod link;

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use ferry_core::{
    load::{Load, Share},
    slowness::Slowness,
};
use ferry_delivery::Transfers;

pub(crate) use self::link::Capacity;

/// A node that was full has room again when so many in eight of the transfers are left that made it full.
const ROOM_IN_EIGHTHS: usize = 7;

/// Measurements in a row that make a disk slow, and usual again.
const IN_A_ROW: u8 = 3;

/// The verdict, for all who ask; a cheap clone of the same one.
#[derive(Debug, Clone)]
pub(crate) struct Fullness(Arc<Verdict>);

#[derive(Debug)]
struct Verdict {
    transfers: Transfers,
    /// With so many transfers under way, another one is too many.
    most: AtomicUsize,
    /// Whether there were too many, and have not become clearly fewer.
    thin: AtomicBool,
    slow: AtomicBool,
}

/// What makes the verdict, out of each measurement.
#[derive(Debug)]
pub(crate) struct Judge {
    verdict: Fullness,
    capacity: Capacity,
    least_rate: Option<NonZeroU64>,
    disk: Slowness,
    /// Measurements in a row that speak against what is held of the disk.
    against: u8,
    /// What the log was told.
    told: bool,
}

impl Fullness {
    /// A node whose transfers are these has room at first.
    pub(crate) fn of(transfers: Transfers) -> Self {
        let (thin, slow) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Verdict { transfers, most: AtomicUsize::new(usize::MAX), thin, slow }))
    }

    /// Whether new requests had better go elsewhere.
    pub(crate) fn is_full(&self) -> bool {
        self.0.slow.load(Relaxed) || self.is_thin()
    }

    /// Whether the link would be spread too thin. Several who ask at once may each see the change: all of them see the same.
    fn is_thin(&self) -> bool {
        let (now, most) = (self.0.transfers.under_way(), self.0.most.load(Relaxed));
        let was = self.0.thin.load(Relaxed);
        let room_below = most / 8 * ROOM_IN_EIGHTHS + most % 8 * ROOM_IN_EIGHTHS / 8;
        let is = now >= if was { room_below.max(1) } else { most };
        if is != was {
            self.0.thin.store(is, Relaxed);
        }
        is
    }

    /// How near it is to being full.
    fn share(&self) -> Share {
        let (now, most) = (self.0.transfers.under_way(), self.0.most.load(Relaxed));
        Share::clamped(if self.is_full() { 1.0 } else { now as f32 / most as f32 })
    }
}

impl Judge {
    /// Gives its verdicts through `verdict`; with no least rate, by the disk alone.
    pub(crate) fn new(verdict: Fullness, capacity: Capacity, least_rate: Option<NonZeroU64>) -> Self {
        Self { verdict, capacity, least_rate, disk: Slowness::default(), against: 0, told: false }
    }

    /// Takes a measurement into account, and enters the verdict in it.
    pub(crate) fn measured(&mut self, load: &mut Load) {
        let capacity = self.capacity.seen(load.bytes_per_second);
        if let Some(least) = self.least_rate {
            let under_way = self.verdict.0.transfers.under_way();
            self.verdict.0.most.store(too_many(capacity, load.bytes_per_second, under_way, least), Relaxed);
        }
        self.judge_disk(load);
        load.fullness = self.verdict.share();
        let full = self.verdict.is_full();
        if full != self.told {
            let (transfers, bytes_per_second, disk_wait) = (load.transfers, load.bytes_per_second, load.disk_wait);
            tracing::info!(
                full,
                transfers,
                bytes_per_second,
                capacity,
                ?disk_wait,
                "as much to do as this node does well"
            );
            self.told = full;
        }
    }

    fn judge_disk(&mut self, load: &Load) {
        let (slow, held) = (self.disk.is_slow(load.disk_wait), self.verdict.0.slow.load(Relaxed));
        self.against = if slow == held { 0 } else { self.against + 1 };
        if self.against >= IN_A_ROW {
            self.verdict.0.slow.store(slow, Relaxed);
            self.against = 0;
        }
        if !slow {
            self.disk.remember(load.disk_wait);
        }
    }
}

/// The number of transfers beside which another one would get less than `least` bytes per second. A transfer gets its equal part of the link, or what
/// the others leave of it, whichever is more: `sent` is what they took, and each that comes takes the least rate at least.
fn too_many(capacity: u64, sent: u64, under_way: usize, least: NonZeroU64) -> usize {
    let count = |bytes: u64| usize::try_from(bytes / least).unwrap_or(usize::MAX);
    count(capacity).max(under_way.saturating_add(count(capacity.saturating_sub(sent)))).max(1)
}

#[cfg(test)]
mod tests;
