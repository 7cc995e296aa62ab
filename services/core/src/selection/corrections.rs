//! What this gateway sent since the nodes last spoke.
//!
//! Without it every gateway herds onto the node that was idle a second ago. An addition decays with the time constant with
//! which a reported load rises ([`RISE`](super::table::RISE)): as the report comes to show a transfer, the correction forgets it.

use super::{
    decaying::{Decaying, Moment},
    table::{Candidate, RISE, Table},
};
use crate::{id::NodeId, time::Tick};

type Slot = Decaying<{ RISE.as_secs() }>;

/// Expected bytes per second that this gateway added to each node of one [`Table`]; shared by all who select from it.
#[derive(Debug, Default)]
pub struct Corrections {
    ids: Vec<NodeId>,
    /// In the order of the ids, and apart from them: a round reads many of these and none of those.
    slots: Vec<Slot>,
}

impl Corrections {
    /// Corrections for `table`, with what is still remembered of nodes that the previous table had too.
    #[must_use]
    pub fn for_table(table: &Table, previous: Option<&Self>) -> Self {
        let remembered = |id: &NodeId| {
            let previous = previous?;
            let at = previous.ids.binary_search(id).ok()?;
            Some(Slot::copied(&previous.slots[at]))
        };
        let ids: Vec<_> = table.iter().map(|candidate| candidate.id().clone()).collect();
        Self { slots: ids.iter().map(|id| remembered(id).unwrap_or_default()).collect(), ids }
    }

    /// Notes that a transfer of `cost` bytes per second was sent to `candidate`.
    pub fn sent(&self, candidate: &Candidate, cost: u64, now: Tick) {
        if let Some(slot) = self.slot(candidate) {
            slot.add(cost as f32, Moment::of(now));
        }
    }

    /// What is expected of `candidate` beyond its reports, in bytes per second.
    #[must_use]
    pub fn of(&self, candidate: &Candidate, now: Tick) -> f64 {
        self.slot(candidate).map_or(0.0, |slot| slot.at(Moment::of(now)).into())
    }

    /// The same, of the candidate with that index.
    pub(super) fn at(&self, index: usize, now: Moment) -> f64 {
        self.slots.get(index).map_or(0.0, |slot| slot.at(now).into())
    }

    fn slot(&self, candidate: &Candidate) -> Option<&Slot> {
        debug_assert_eq!(
            self.ids.get(candidate.index()),
            Some(candidate.id()),
            "these corrections were made for another table"
        );
        self.slots.get(candidate.index())
    }
}
