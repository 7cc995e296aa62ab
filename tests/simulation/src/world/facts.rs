//! What is true, for the oracle to compare with what is believed.

use std::time::Duration;

use super::World;
use crate::{oracle::Failing, party::Party};

/// For so long after it was stopped, a coordinator forgives streams that broke: they may have broken meanwhile.
const SETTLED: Duration = Duration::from_secs(1);

impl World {
    /// In what way a node serves nobody, if it does not.
    pub(crate) fn failing(&self, node: usize) -> Option<Failing> {
        let party = Party::Node(node);
        let process = self.process(party);
        let heard = |coordinator| self.network.answers(party, coordinator);
        if !process.running {
            Some(Failing::Gone)
        } else if process.hung || !self.sizes.all_coordinators().any(heard) {
            Some(Failing::Silent)
        } else {
            None
        }
    }

    /// Whether a process runs and is not stopped.
    pub(crate) fn acts(&self, party: Party) -> bool {
        let process = self.process(party);
        process.running && !process.hung
    }

    /// Whether a coordinator is told what the store is told: it knows that its watch broke only a moment later.
    pub(crate) fn sees_the_store(&self, coordinator: usize) -> bool {
        let life = self.process(Party::Coordinator(coordinator)).life;
        let watches = self.store.watches.get(&coordinator).is_some_and(|(of, _)| *of == life);
        watches && self.coordinators[coordinator].sees_the_store()
    }

    /// Coordinators to which a gateway listens, that act, that no cut concerns, and that have learned who lives: one that was stopped, again.
    pub(crate) fn good_coordinators(&self, gateway: usize) -> impl Iterator<Item = usize> {
        let unharmed = !self.network.strikes(Party::Gateway(gateway));
        let good = move |index: &usize| {
            let party = Party::Coordinator(*index);
            let speaks = self.coordinators[*index].speaks(self.local(party));
            let settled = self.process(party).resumed.is_none_or(|at| self.now >= at + SETTLED);
            unharmed && settled && self.acts(party) && !self.network.strikes(party) && speaks
        };
        self.gateways[gateway].listens_to().filter(good)
    }
}
