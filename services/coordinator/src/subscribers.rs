//! The streams of gateways: each gets a snapshot, then the same deltas and marks as all others.
//!
//! A message is encoded once, however many gateways it goes to, and its bytes are shared by all that have not sent it yet.

mod outbox;

use bytes::Bytes;
use ferry_core::{
    id::{CoordinatorId, Incarnation},
    merge::{Body, Epoch, Report},
    node::NodeView,
    time::UnixMillis,
};
use ferry_proto::v1;
use prost::Message as _;

pub(crate) use outbox::{Outbox, Refused, Update};

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
        let update = encode(&self.epoch, snapshot, now);
        self.streams.extend(self.waiting.drain(..).filter(|outbox| outbox.put(&update).is_ok()));
    }

    /// Tells everybody; returns how many did not keep up and were cut off.
    pub(crate) fn tell(&mut self, body: &Body, now: UnixMillis) -> u64 {
        self.pass_on(now, |_| body)
    }

    /// Tells everybody of the loads in these views, of which nothing else is new; returns how many were cut off.
    pub(crate) fn tell_loads(&mut self, views: Vec<NodeView>, now: UnixMillis) -> u64 {
        let delta = |nodes, loads| Body::Delta { nodes, loads, removed: Vec::new(), facts: None };
        let loads = delta(Vec::new(), views.iter().map(Report::from).collect());
        if self.streams.iter().all(|outbox| outbox.takes_loads) {
            return self.tell(&loads, now);
        }
        let views = delta(views, Vec::new());
        self.pass_on(now, |takes_loads| if takes_loads { &loads } else { &views })
    }

    fn pass_on<'b>(&mut self, now: UnixMillis, body: impl Fn(bool) -> &'b Body) -> u64 {
        self.epoch.sequence += 1;
        let (mut dropped, mut encoded) = (0, [const { None }; 2]);
        let epoch = &self.epoch;
        self.streams.retain(|outbox| {
            let form = &mut encoded[usize::from(outbox.takes_loads)];
            match outbox.put(form.get_or_insert_with(|| encode(epoch, body(outbox.takes_loads), now))) {
                Ok(()) => true,
                Err(Refused::Full) => {
                    dropped += 1;
                    false
                }
                Err(Refused::Closed) => false,
            }
        });
        self.waiting.retain(|outbox| !outbox.is_closed());
        dropped
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len() + self.waiting.len()
    }
}

fn encode(epoch: &Epoch, body: &Body, now: UnixMillis) -> Bytes {
    v1::RoutingUpdate::from((epoch, body, now)).encode_to_vec().into()
}

#[cfg(test)]
mod tests;
