//! Who of a large table is looked at for a key.
//!
//! To look at ten thousand nodes in full takes a processor half a millisecond. So of a tier with more than [`WHOLE`] nodes only those are looked at whose lot for the
//! key is good: about [`LOOKED_AT`] of them, others for every key, and always the same for the same key. Whoever would win among all is among them, so affinity is
//! what it is without this; what the tier carries is estimated from them, as from a sample. Of a key that has many nodes itself, those are looked at; of more than
//! [`LOOKED_AT`], those for which the client draws best. Nodes that are not well are no part of this: a tier is as large as what is left of it.

use super::{
    Candidate, Domain,
    distances::Row,
    places::{self, Places},
};
use crate::selection::{Request, figures::Figures, rendezvous::hash_pair, round::Tier, spread::MOST_RANKED};

/// Of a tier with so many nodes, all are looked at.
const WHOLE: u32 = 32;
/// Of a larger one, about so many; half of both in regions beyond the nearest others.
const LOOKED_AT: u64 = 24;
/// Room for every tier, each whole or drawn; a draw that is larger by chance is cut off.
const ROOM: usize = (Tier::ALL.len() + 1) * WHOLE as usize;
/// Weights are counted in such parts here.
const PARTS: f32 = 256.0;

/// What a draw reads of a node, apart from all else: a round over ten thousand stays in a processor's second cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    id_hash: u64,
    /// In parts, times 2³²; 0 if the node does not count, and then it is never drawn.
    weight: u64,
    region: u32,
    domain: Domain,
}

/// No region has that number, and no client is there.
const NO_REGION: u32 = u32::MAX;
const NOWHERE: u32 = u32::MAX - 1;

impl Ticket {
    pub(super) fn of(candidate: &Candidate, figures: &Figures) -> Self {
        let (id_hash, weight) = figures.ticket();
        let region = candidate.region.unwrap_or(NO_REGION);
        let weight = if places::counts(candidate) { ((weight * PARTS) as u64) << 32 } else { 0 };
        Self { id_hash, weight, region, domain: candidate.domain }
    }

    /// Whether the node is among [`LOOKED_AT`] out of so many for that client: those for which it drew best.
    #[inline]
    fn is_drawn_by(&self, client: u64, out_of: u64) -> bool {
        out_of <= LOOKED_AT || (!hash_pair(client, self.id_hash) >> 32) * out_of < LOOKED_AT << 32
    }

    /// Whether the node's score for the key may be above `limit` (in parts), by the bound of [`Lot::may_beat`](crate::selection::rendezvous::Lot::may_beat) in
    /// whole numbers: `(1 − u) · limit < weight`.
    #[inline]
    fn may_beat(&self, limit: u64, key: u64) -> bool {
        (!hash_pair(key, self.id_hash) >> 32) * limit < self.weight
    }
}

/// Indices of candidates.
#[derive(Debug)]
pub(in crate::selection) struct Members {
    /// In the order of the table; of no use if all are members.
    drawn: [u32; ROOM],
    count: usize,
    all: bool,
    /// What each tier weighs of which only some are looked at; 0 for the others.
    weights: [f32; Tier::ALL.len()],
}

impl Members {
    /// Those who are looked at for a key of that hash, and a client there.
    pub(super) fn draw(
        tickets: &[Ticket],
        places: &Places,
        key: u64,
        region: Option<u32>,
        zone: Option<Domain>,
        row: &Row,
        request: &Request<'_>,
    ) -> Self {
        if tickets.len() <= WHOLE as usize {
            return Self::all(tickets.len());
        }
        let spread = u64::from(request.spread);
        let wanted = if spread > MOST_RANKED as u64 { spread } else { LOOKED_AT };
        // Every score is above 0: that limit bars only those who do not count.
        let tiers = places.tiers(region, zone, row);
        // Who serves in case of need need not be compared with as many.
        let part = |tier: usize| if tier > Tier::Elsewhere as usize { 2 } else { 1 };
        let limits: [u64; Tier::ALL.len()] = std::array::from_fn(|tier| {
            let ((count, weight), part) = (tiers[tier], part(tier));
            if count <= WHOLE / part { 0 } else { (weight * PARTS) as u64 * u64::from(part) / wanted }
        });
        // Of how many that a tier has of the key's nodes the client draws; all of those of a small one are looked at.
        let out_of: [u64; Tier::ALL.len()] = std::array::from_fn(|tier| {
            let count = tiers[tier].0;
            if count <= WHOLE / part(tier) { 0 } else { wanted.min(count.into()) }
        });
        let weights = std::array::from_fn(|tier| if limits[tier] == 0 { 0.0 } else { tiers[tier].1 });
        let (others, none) = row.others();
        let (region, zone) = (region.unwrap_or(NOWHERE), zone.unwrap_or(Domain::NOWHERE));
        let (mut drawn, mut count) = ([0; ROOM], 0);
        for (index, ticket) in tickets.iter().enumerate() {
            // By how many of the two names are the client's: a zone lies in its region.
            let near = usize::from(ticket.region == region) + usize::from(ticket.domain == zone);
            let elsewhere = others[(ticket.region as usize).min(none)] as usize;
            let tier = if near == 0 { elsewhere } else { Tier::Elsewhere as usize - near };
            let looked_at = ticket.may_beat(limits[tier], key) && ticket.is_drawn_by(request.client.hash, out_of[tier]);
            if looked_at && count < ROOM {
                drawn[count] = index as u32;
                count += 1;
            }
        }
        Self { drawn, count, all: false, weights }
    }

    pub(super) const fn all(count: usize) -> Self {
        Self { drawn: [0; ROOM], count, all: true, weights: [0.0; _] }
    }

    pub(in crate::selection) const fn are_all(&self) -> bool {
        self.all
    }

    /// What the tier weighs, if only some of it are looked at.
    pub(in crate::selection) fn weight_beyond(&self, tier: Tier) -> Option<f64> {
        Some(f64::from(self.weights[tier as usize])).filter(|&weight| weight > 0.0)
    }

    pub(in crate::selection) fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.count).map(|at| if self.all { at } else { self.drawn[at] as usize })
    }
}
