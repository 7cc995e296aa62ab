//! Until when something else that went wrong excuses a gateway that does not know yet.
//!
//! - A process that began, ended, stopped or went on, or that a cut concerns from now on: 5 s. Whoever was cut off says so by its silence
//!   after 4 s; whoever was stalled goes on with 4 s of its own time, and a coordinator that starts learns for 4 s.
//! - A cut that heals: 8 s. TCP held back what was said into the cut, and sends it again after a pause that doubles, up to 3.2 s before
//!   the streams would have ended by themselves. What comes then is the last beat of a node that may have died meanwhile, and is
//!   good for 4 s: who hears it cannot know how old it is.
//! - A coordinator whose words do not reach the nodes while theirs reach it, up to 20 s later: the nodes' own pings end their streams,
//!   which look from there as if each of them had crashed; design.md believes streams that end, however many. So a gateway that hears
//!   no other coordinator loses its nodes, and has them back when they redialled and proved themselves, damped as one that flaps.

use std::time::Duration;

use ferry_core::time::Tick;

use crate::{
    network::{Cut, Direction},
    party::{Party, Sizes},
};

const STRUCK: Duration = Duration::from_secs(5);
const HEALED: Duration = Duration::from_secs(8);
const ONE_WAY: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Excuses {
    sizes: Sizes,
    /// By place.
    until: Vec<Tick>,
    /// Until when a coordinator may have lost every stream though the nodes live.
    one_way_until: Tick,
}

impl Excuses {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self { sizes, until: vec![Tick::default(); sizes.total()], one_way_until: Tick::default() }
    }

    pub(crate) fn struck(&mut self, now: Tick, party: Party) {
        // What happened to a node itself is what its gateways have to notice.
        if !matches!(party, Party::Node(_)) {
            self.extend(now + STRUCK, party);
        }
    }

    /// A node that was failing already does so in another way.
    pub(crate) fn changed(&mut self, now: Tick, node: Party) {
        self.extend(now + STRUCK, node);
    }

    pub(crate) fn cut(&mut self, now: Tick, cut: &Cut) {
        cut.victims.iter().for_each(|party| self.extend(now + STRUCK, *party));
        self.note_one_way(now, cut);
    }

    pub(crate) fn healed(&mut self, now: Tick, cut: &Cut) {
        cut.victims.iter().for_each(|party| self.extend(now + HEALED, *party));
        self.note_one_way(now, cut);
    }

    /// No cut lasts longer than the excuse that its beginning is.
    fn note_one_way(&mut self, now: Tick, cut: &Cut) {
        let of_a_coordinator = cut.victims.iter().any(|party| matches!(party, Party::Coordinator(_)));
        if of_a_coordinator && cut.direction == Direction::Out {
            self.one_way_until = now + ONE_WAY;
        }
    }

    /// Whether a gateway may have lost everybody by a cut of one way.
    pub(crate) fn empties(&self, now: Tick) -> bool {
        now < self.one_way_until
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
