//! The choice itself: a tier, a node of that tier, and who comes after it. `select` reads the outcome; `explain` reads it too,
//! beside every node's figures in the same [`Round`].

use super::{
    Choice, Rules, Selection,
    figures::{Measure, SPILL_FROM},
    rendezvous::{hash_pair, unit},
    round::{Round, Tier},
    spread::Holders,
    table::{Candidate, Place},
};

/// How much fuller than [`SPILL_FROM`] a tier is that passes on all it can.
const SPILL_WIDTH: f64 = 0.15;

/// A node that could be chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contender<'t> {
    pub(super) place: Place<'t>,
    pub(super) measure: Measure,
    pub(super) score: f64,
    /// Whether it is within its bound with this transfer.
    pub(super) fits: bool,
}

/// How good an alternate is but for its score; the lesser, the better: whether it fails together with the primary, whether it is
/// full, how far away it is.
type Standing = (bool, bool, Tier);

impl<'t> Round<'_, 't> {
    pub(super) fn select(&self) -> Selection<'t> {
        let nothing = Selection { tried_left_out: self.tried_left_out, ..Selection::default() };
        let Some((nearest, tier)) = self.choose_tier() else { return nothing };
        let Some((primary, choice)) = self.choose_within(tier) else { return nothing };
        Selection {
            primary: Some(primary.candidate),
            alternates: self.choose_alternates(primary),
            choice: Some(choice),
            tier: Some(tier),
            spilled: tier != nearest,
            ..nothing
        }
    }

    /// The nearest tier with anybody in it, and the one that takes the request.
    fn choose_tier(&self) -> Option<(Tier, Tier)> {
        let nearest = Tier::ALL.into_iter().find(|&tier| self.sum(tier).nodes > 0)?;
        let mut chosen = nearest;
        for next in Tier::ALL.into_iter().filter(|&tier| tier > nearest && self.sum(tier).not_full > 0) {
            let here = self.sum(chosen).utilisation();
            let nobody_here = self.sum(chosen).not_full == 0;
            if !nobody_here && self.draw(chosen) >= Self::passes_on(here) {
                break;
            }
            // One that is worse off is passed over: there may be a better one behind it.
            if nobody_here || self.sum(next).utilisation() < here {
                chosen = next;
            }
        }
        Some((nearest, chosen))
    }

    /// The share of its requests that a tier passes on which is utilised so much.
    pub(super) fn passes_on(utilisation: f64) -> f64 {
        ((utilisation - SPILL_FROM) / SPILL_WIDTH).clamp(0.0, 1.0)
    }

    /// The same client asking for the same key meets the same decision, at each tier anew.
    pub(super) fn draw(&self, tier: Tier) -> f64 {
        unit(hash_pair(hash_pair(self.affinity, self.request.client.hash), tier as u64))
    }

    /// A node of one tier. Others send clients meanwhile: whoever was free when the tier was added up may be full by now.
    fn choose_within(&self, tier: Tier) -> Option<(Place<'t>, Choice)> {
        let panic = self.sum(tier).not_full == 0;
        self.choose_among(tier, panic).or_else(|| self.choose_among(tier, true))
    }

    /// Rendezvous, bound and second choice among the nodes of one tier; among the full ones, too, in `panic`.
    fn choose_among(&self, tier: Tier, panic: bool) -> Option<(Place<'t>, Choice)> {
        let mut best: Option<Contender<'t>> = None;
        let mut fitting: [Option<Contender<'t>>; 2] = [None; 2];
        let mut holders = Holders::new(self, tier);
        for place in self.eligible().filter(|place| self.tier(place.figures) == tier) {
            let lot = place.figures.lot(self.affinity);
            // The second that fits never scores more than the best, so whoever cannot beat it changes nothing.
            if fitting[1].is_some_and(|second| !lot.may_beat(second.score)) && !holders.want(lot) {
                continue;
            }
            let measure = self.measure(place.figures);
            if measure.full() && !panic {
                continue;
            }
            let contender = Contender { place, measure, score: lot.score(), fits: self.fits(place.figures, measure) };
            let beats = |other: Option<Contender<'t>>| other.is_none_or(|other| contender.score > other.score);
            if beats(best) {
                best = Some(contender);
            }
            holders.take(lot, contender);
            if !contender.fits {
                continue;
            }
            if beats(fitting[0]) {
                fitting = [Some(contender), fitting[0]];
            } else if beats(fitting[1]) {
                fitting[1] = Some(contender);
            }
        }
        let best = best?;
        let (chosen, choice) = match (holders.drawn(), fitting) {
            (Some(drawn), _) if drawn.score < best.score => (drawn, Choice::Spread),
            (Some(drawn), _) => (drawn, Choice::Affinity),
            (None, [None, _]) => (best, Choice::Unbounded),
            (None, [Some(first), Some(second)]) if !panic && clearly_less(second, first, self.rules()) => {
                (second, Choice::SecondChoice)
            }
            (None, [Some(first), _]) if first.score < best.score => (first, Choice::Bounded),
            (None, [Some(first), _]) => (first, Choice::Affinity),
        };
        Some((chosen.place, if panic { Choice::Panic } else { choice }))
    }

    /// The best of the others by [`Standing`], then by rendezvous.
    fn choose_alternates(&self, primary: Place<'t>) -> [Option<&'t Candidate>; Selection::MOST_ALTERNATES] {
        const LAST: usize = Selection::MOST_ALTERNATES - 1;
        let mut best: [Option<(Standing, f64, Place<'t>)>; Selection::MOST_ALTERNATES] = [None; _];
        for place in self.eligible().filter(|place| place.figures.index() != primary.figures.index()) {
            let figures = place.figures;
            let lot = figures.lot(self.affinity);
            let together = figures.domain() == primary.figures.domain();
            let at_best = (together, false, self.tier(figures));
            let hopeless = |(standing, score, _): (Standing, f64, _)| {
                at_best > standing || (at_best == standing && !lot.may_beat(score))
            };
            if best[LAST].is_some_and(hopeless) {
                continue;
            }
            let standing = (together, self.measure(figures).full(), at_best.2);
            let score = lot.score();
            let before = |&(its_standing, its_score, _): &(Standing, f64, _)| {
                standing < its_standing || (standing == its_standing && score > its_score)
            };
            if let Some(rank) = best.iter().position(|held| held.as_ref().is_none_or(before)) {
                best[rank..].rotate_right(1);
                best[rank] = Some((standing, score, place));
            }
        }
        best.map(|held| held.map(|(_, _, place)| place.candidate))
    }
}

/// Whether the second choice is worth a cache that may be cold.
fn clearly_less(second: Contender<'_>, first: Contender<'_>, rules: &Rules) -> bool {
    let per_weight = |contender: Contender<'_>| contender.measure.load / contender.place.figures.weight();
    first.measure.utilisation > rules.busy && per_weight(second) < rules.clearly_less * per_weight(first)
}
