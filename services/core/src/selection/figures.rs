//! What of a node every selection reads, worked out when the table is built: in one place, so that a round over hundreds of nodes
//! walks through a few KiB in order, and without a division.

use super::{
    Scheme,
    rendezvous::{Lot, hash_pair, hash_text, unit},
    table::{Candidate, Domain},
};
use crate::node::NodeState;

/// Bytes per second that a transfer should have at least. While another one still gets that much, a link that is full
/// is one that is well used, not one that is overloaded.
const MIN_CLIENT_RATE: f64 = 1_000_000.0;
/// What a node that does not know its link is taken to have: a gigabit, in bytes per second.
pub(super) const ASSUMED_CAPACITY: f64 = 125_000_000.0;
/// Above this a node gets nothing new, unless that leaves nobody.
const FULL: f64 = 0.95;
/// From here on a tier passes requests on.
pub(super) const SPILL_FROM: f64 = 0.80;

/// What a node carries at the moment of a question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Bytes per second that its transfers are expected to take, by its last report and what was sent since.
    pub(super) load: f64,
    /// The worst of bytes, transfers, disk and CPU against what the node can take.
    pub(super) utilisation: f64,
}

impl Measure {
    pub(super) fn full(self) -> bool {
        self.utilisation > FULL
    }
}

/// One node in numbers. One line of a processor's cache, so narrow numbers where their precision is no matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    id_hash: u64,
    region: Option<u32>,
    domain: Domain,
    index: u32,
    weight: f32,
    capacity: f32,
    per_capacity: f32,
    /// 0 when transfers are not limited.
    per_transfer_limit: f32,
    /// Bytes per second, smoothed.
    smoothed: f32,
    /// Bytes per second in the last report.
    sent: f32,
    transfers: f32,
    /// The worst of disk, CPU and the node's own word on how full it is.
    busy: f32,
    pub(super) state: NodeState,
    pub(super) serves_every_key: bool,
    plain: bool,
    tls: bool,
}

const _: () = assert!(size_of::<Figures>() <= 64, "a node's figures fit into one cache line");

impl Figures {
    pub(super) fn of(candidate: &Candidate) -> Self {
        let (facts, reported) = (candidate.facts(), candidate.reported());
        let capacity = candidate.capacity() as f32;
        Self {
            id_hash: hash_text(facts.id.as_str()),
            region: candidate.region(),
            domain: candidate.domain(),
            index: candidate.index() as u32,
            weight: candidate.weight().get() as f32 * candidate.share() as f32,
            capacity,
            per_capacity: capacity.recip(),
            per_transfer_limit: facts.max_transfers.map_or(0.0, |most| (most.get() as f32).recip()),
            smoothed: candidate.load() as f32,
            sent: reported.bytes_per_second as f32,
            transfers: reported.transfers as f32,
            busy: reported.disk.get().max(reported.cpu.get()).max(reported.fullness.get()),
            state: candidate.state(),
            serves_every_key: candidate.serves_every_key(),
            plain: facts.address.is_some(),
            tls: facts.tls_address.is_some(),
        }
    }

    pub(super) const fn index(&self) -> usize {
        self.index as usize
    }

    pub(super) fn weight(&self) -> f64 {
        self.weight.into()
    }

    pub(super) fn capacity(&self) -> f64 {
        self.capacity.into()
    }

    pub(super) const fn region(&self) -> Option<u32> {
        self.region
    }

    pub(super) const fn domain(&self) -> Domain {
        self.domain
    }

    /// What a client draws for the node.
    pub(super) fn draw_of(&self, client: u64) -> f64 {
        unit(hash_pair(client, self.id_hash))
    }

    /// What a draw among many reads.
    pub(super) const fn ticket(&self) -> (u64, f32) {
        (self.id_hash, self.weight)
    }

    /// What the node draws for a key.
    #[inline]
    pub(super) fn lot(&self, key: u64) -> Lot {
        Lot::draw(self.weight(), key, self.id_hash)
    }

    /// Whether a client of that scheme has an address to go to.
    pub(super) const fn reachable(&self, scheme: Scheme) -> bool {
        self.tls || (self.plain && matches!(scheme, Scheme::Http))
    }

    /// What the node carries once `added` bytes per second were sent to it, in transfers of `1 / per_cost` each. `typical` is what a transfer takes hereabouts, in
    /// bytes per second, if anybody knows.
    ///
    /// Nodes are compared by what is under way at them now. The bytes that they sent, smoothed, tell how well they are used, but show a transfer seconds after it
    /// began and long after it ended: whoever compares those sends clients after a load that has moved on.
    pub(super) fn measure(&self, added: f64, per_cost: f64, typical: Option<f64>) -> Measure {
        let under_way = typical.map(|typical| f64::from(self.transfers) * typical);
        let load = added + under_way.map_or(self.smoothed.into(), |expected| expected.max(self.sent.into()));
        let transfers = f64::from(self.transfers) + added * per_cost;
        let starving = f64::from(self.capacity) < MIN_CLIENT_RATE * (transfers + 1.0);
        let used = (f64::from(self.smoothed) + added) * f64::from(self.per_capacity);
        let bytes = used.min(if starving { 1.0 } else { SPILL_FROM });
        let utilisation = bytes.max(transfers * f64::from(self.per_transfer_limit)).max(self.busy.into());
        Measure { load, utilisation }
    }
}
