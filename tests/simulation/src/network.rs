//! The network: how long a message takes, and who cannot reach whom at present.

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng, RngExt as _};

use crate::party::{Party, Sizes};

/// One way takes between these; one message in a hundred takes [`SLOW`] more.
const QUICKEST: Duration = Duration::from_micros(200);
const USUAL: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(30);

/// Which way messages vanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Both ways.
    Both,
    /// From the victims to the others.
    Out,
    /// From the others to the victims.
    In,
}

/// Some cannot reach others.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    /// On the one side.
    pub(crate) victims: Vec<Party>,
    /// On the other.
    pub(crate) others: Vec<Party>,
    /// What vanishes.
    pub(crate) direction: Direction,
}

#[derive(Debug)]
pub(crate) struct Network {
    sizes: Sizes,
    cuts: BTreeMap<u64, Sides>,
}

#[derive(Debug)]
struct Sides {
    cut: Cut,
    /// By place: 1 for a victim, 2 for one of the others, 3 for both.
    of: Vec<u8>,
}

impl Network {
    pub(crate) const fn new(sizes: Sizes) -> Self {
        Self { sizes, cuts: BTreeMap::new() }
    }

    pub(crate) fn cut(&mut self, id: u64, cut: Cut) {
        let mut of = vec![0; self.sizes.total()];
        cut.victims.iter().for_each(|party| of[self.sizes.place(*party)] |= 1);
        cut.others.iter().for_each(|party| of[self.sizes.place(*party)] |= 2);
        self.cuts.insert(id, Sides { cut, of });
    }

    /// Ends a cut; says whom it concerned.
    pub(crate) fn heal(&mut self, id: u64) -> Option<Cut> {
        self.cuts.remove(&id).map(|sides| sides.cut)
    }

    pub(crate) fn cuts(&self) -> impl Iterator<Item = u64> {
        self.cuts.keys().copied()
    }

    /// Whether what `from` sends comes to `to`.
    pub(crate) fn passes(&self, from: Party, to: Party) -> bool {
        let (from, to) = (self.sizes.place(from), self.sizes.place(to));
        self.cuts.values().all(|sides| {
            let out = sides.cut.direction != Direction::In && sides.of[from] & 1 != 0 && sides.of[to] & 2 != 0;
            let back = sides.cut.direction != Direction::Out && sides.of[from] & 2 != 0 && sides.of[to] & 1 != 0;
            !out && !back
        })
    }

    /// Whether a question comes to its answer.
    pub(crate) fn answers(&self, one: Party, other: Party) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    /// Whether any cut has this party among its victims.
    pub(crate) fn strikes(&self, party: Party) -> bool {
        self.cuts.values().any(|sides| sides.of[self.sizes.place(party)] & 1 != 0)
    }
}

/// How long one message takes one way.
pub(crate) fn latency(random: &mut impl Rng) -> Duration {
    let usual = random.random_range(QUICKEST..USUAL);
    if random.random_ratio(1, 100) { usual + SLOW } else { usual }
}
