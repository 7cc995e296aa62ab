//! Until when something else that went wrong excuses a gateway that does not know yet.
//!
//! - A coordinator that ended or was stopped: 2 s, for so long its last words may count. One that begins, or goes on, is no excuse at all: it knows of
//!   nobody until it hears them anew.
//! - A gateway that began, ended, stopped or went on, and whoever a cut concerns from now on: 5 s. Whoever was cut off says so by its silence after 4 s.
//! - A cut that heals: 8 s. TCP held back what was said into the cut, and sends it again after a pause that doubles, up to 3.2 s before
//!   the streams would have ended by themselves. What comes then is the last beat of a node that may have died meanwhile, and is
//!   good for 4 s: who hears it cannot know how old it is.

use std::time::Duration;

use ferry_core::time::Tick;

use crate::{
    network::Cut,
    party::{Party, Sizes},
};

const STRUCK: Duration = Duration::from_secs(5);
const SILENCED: Duration = Duration::from_secs(2);
const HEALED: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(crate) struct Excuses {
    sizes: Sizes,
    /// By place.
    until: Vec<Tick>,
}

impl Excuses {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self { sizes, until: vec![Tick::default(); sizes.total()] }
    }

    /// A process began or went on (`acts`), or ended or was stopped.
    pub(crate) fn struck(&mut self, now: Tick, party: Party, acts: bool) {
        match party {
            Party::Coordinator(_) if acts => {}
            Party::Coordinator(_) => self.extend(now + SILENCED, party),
            Party::Gateway(_) => self.extend(now + STRUCK, party),
            // What happened to a node itself is what its gateways have to notice.
            Party::Node(_) | Party::Store => {}
        }
    }

    /// A node that was failing already does so in another way.
    pub(crate) fn changed(&mut self, now: Tick, node: Party) {
        self.extend(now + STRUCK, node);
    }

    pub(crate) fn cut(&mut self, now: Tick, cut: &Cut) {
        cut.victims.iter().for_each(|party| self.extend(now + STRUCK, *party));
    }

    pub(crate) fn healed(&mut self, now: Tick, cut: &Cut) {
        cut.victims.iter().for_each(|party| self.extend(now + HEALED, *party));
    }

    fn extend(&mut self, until: Tick, party: Party) {
        let known = &mut self.until[self.sizes.place(party)];
        *known = until.max(*known);
    }

    pub(crate) fn of(&self, party: Party) -> Tick {
        self.until[self.sizes.place(party)]
    }

    /// The latest of any coordinator: each may have spoken for a node that died.
    pub(crate) fn of_coordinators(&self) -> Tick {
        self.sizes.all_coordinators().map(|party| self.of(party)).max().unwrap_or_default()
    }
}
