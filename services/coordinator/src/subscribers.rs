//! The streams of gateways: each gets a snapshot, then the same deltas and marks as all others.

use ferry_core::{
    id::{CoordinatorId, Incarnation},
    merge::{Body, Epoch},
    time::UnixMillis,
};
use ferry_proto::v1;
use tokio::sync::mpsc;

/// Updates that wait for a gateway: two minutes of marks. A gateway that falls further behind is cut off, and comes back to a snapshot.
pub(crate) const OUTBOX: usize = 256;

/// Where updates for one gateway go; dropping it ends the stream.
pub(crate) type Outbox = mpsc::Sender<v1::RoutingUpdate>;

/// Every gateway that listens.
#[derive(Debug)]
pub(crate) struct Subscribers {
    epoch: Epoch,
    /// Got their snapshot.
    streams: Vec<Outbox>,
    /// Wait for it: the coordinator is still learning.
    waiting: Vec<Outbox>,
}

impl Subscribers {
    pub(crate) const fn new(coordinator: CoordinatorId, incarnation: Incarnation) -> Self {
        Self { epoch: Epoch { coordinator, incarnation, sequence: 0 }, streams: Vec::new(), waiting: Vec::new() }
    }

    pub(crate) fn open(&mut self, outbox: Outbox) {
        self.waiting.push(outbox);
    }

    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.epoch.incarnation
    }

    pub(crate) const fn anybody_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives the waiting ones their snapshot.
    pub(crate) fn admit(&mut self, snapshot: &Body, now: UnixMillis) {
        self.epoch.sequence += 1;
        let update = v1::RoutingUpdate::from((&self.epoch, snapshot, now));
        for outbox in self.waiting.drain(..) {
            if outbox.try_send(update.clone()).is_ok() {
                self.streams.push(outbox);
            }
        }
    }

    /// Tells everybody; returns how many did not keep up and were cut off.
    pub(crate) fn tell(&mut self, body: &Body, now: UnixMillis) -> u64 {
        self.epoch.sequence += 1;
        let update = v1::RoutingUpdate::from((&self.epoch, body, now));
        let mut dropped = 0;
        self.streams.retain(|outbox| match outbox.try_send(update.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                dropped += 1;
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
        self.waiting.retain(|outbox| !outbox.is_closed());
        dropped
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len() + self.waiting.len()
    }
}
