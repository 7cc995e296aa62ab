//! Which of its nodes serves a key that has several.
//!
//! Up to [`MOST_RANKED`] of them are the first in the key's order. More would have to be ranked in full; so they are those whose lot for the key is good enough for
//! that many to have it, wherever the others stand. Either way, who has the key keeps it when it comes to have more.
//!
//! Which of them a client goes to, it draws: rendezvous once more, with the client in the key's place, and with weights that fall steeply with a node's load. Whoever sent
//! all clients to the least loaded one would have all gateways herd there until the next report; what is a second old may only tilt the odds (Dahlin, "Interpreting
//! Stale Load Information", 2000).

use super::{
    choose::Contender,
    rendezvous::Lot,
    round::{Round, Tier},
};

/// So many nodes of a key are ranked.
pub(super) const MOST_RANKED: usize = 8;
/// How steeply the odds fall with the load: a node with a fifth more than the mean is drawn half as often. With 6, a crowd of short transfers swings from node to
/// node at the pace of the reports.
const TILT: i32 = 4;
/// Below this part of the mean all nodes have the same odds, two and a half times those at the mean: one that looks idle would else get all there is until it reports.
const LIGHT: f64 = 0.8;

/// The nodes of a key that has several, as far as they were met.
pub(super) struct Holders<'s, 'r, 't> {
    round: &'s Round<'r, 't>,
    tier: Tier,
    count: usize,
    /// The first in the key's order, if there are few; those that do not fit, too.
    ranked: [Option<Contender<'t>>; MOST_RANKED],
    /// Of many, the one that the client draws, and what it drew.
    drawn: Option<(f64, Contender<'t>)>,
}

impl<'s, 'r, 't> Holders<'s, 'r, 't> {
    pub(super) fn new(round: &'s Round<'r, 't>, tier: Tier) -> Self {
        Self { round, tier, count: round.request.spread as usize, ranked: [None; MOST_RANKED], drawn: None }
    }

    /// Whether a node with this lot may be one of them.
    #[inline]
    pub(super) fn want(&self, lot: Lot) -> bool {
        match self.count {
            0 | 1 => false,
            2..=MOST_RANKED => self.ranked[self.count - 1].is_none_or(|last| lot.may_beat(last.score)),
            // Where only some nodes were looked at, these are the key's already: they weigh less together than all do, so that the bar is too low for any of them.
            _ => lot.may_beat(self.round.sum(self.tier).weight() / self.count as f64),
        }
    }

    /// Meets a node.
    #[inline]
    pub(super) fn take(&mut self, lot: Lot, contender: Contender<'t>) {
        if !self.want(lot) {
            return;
        }
        if self.count <= MOST_RANKED {
            let before = |held: &Option<Contender<'t>>| held.is_none_or(|held| contender.score > held.score);
            let ranked = &mut self.ranked[..self.count];
            if let Some(rank) = ranked.iter().position(before) {
                ranked[rank..].rotate_right(1);
                ranked[rank] = Some(contender);
            }
        } else if contender.fits {
            let draw = self.draw(&contender);
            self.drawn = self.drawn.filter(|(highest, _)| *highest >= draw).or(Some((draw, contender)));
        }
    }

    /// The one that the client draws of those that fit.
    pub(super) fn drawn(&self) -> Option<Contender<'t>> {
        let fitting = self.ranked.iter().flatten().filter(|held| held.fits).map(|held| (self.draw(held), *held));
        let drawn = fitting.chain(self.drawn).max_by(|(one, _), (other, _)| one.total_cmp(other));
        drawn.map(|(_, contender)| contender)
    }

    /// What the client draws for the node; the highest wins.
    fn draw(&self, contender: &Contender<'t>) -> f64 {
        let (figures, cost) = (contender.place.figures, self.round.cost);
        let mean = self.round.sum(self.tier).load_per_weight(cost);
        let relative = (contender.measure.load + cost) / figures.weight() / mean;
        let odds = self.odds(figures.weight());
        figures.draw_of(self.round.request.client.hash).ln() * relative.max(LIGHT).powi(TILT) / odds
    }

    /// The odds that a node has for its weight where loads are even. How likely it is to be one of the key's nodes grows with its weight already, but not beyond
    /// certainty: what is missing then is made up for here. Where every node is one of them, nothing was counted yet.
    fn odds(&self, weight: f64) -> f64 {
        let expected = self.count as f64 * weight / self.round.whole_weight(self.tier);
        let certain = self.count <= MOST_RANKED && self.round.sum(self.tier).nodes <= self.count;
        if certain { expected } else { expected.max(1.0) }
    }
}
