//! Selection: which node serves a request. design.md section 6.
//!
//! One pure function, [`select`], for the redirect, for `ferry explain`, for the property tests and for the simulation:
//!
//! 1. Eligible: UP (SUSPECT only if nobody is UP), reachable in the client's scheme, serves the key's prefix, not tried.
//! 2. Tiers: the client's zone, its region, then the other regions, the cheapest first ([`Costs`](crate::place::Costs)). A tier spills to the next that is better
//!    off in proportion to its utilisation.
//! 3. Affinity: weighted rendezvous within the tier, so that a key meets the same node again.
//! 4. Bounded load: a busy node takes no more than its share of the tier's load; the longer a transfer lasts, the less.
//! 5. Second choice: of the first two, the one that is clearly less loaded, if the first is busy at all.
//! 6. Heat: a key that one node is not enough for, or that is asked for often enough to stay in several caches, has several nodes ([`Heat`]). A client draws one of
//!    them, the less loaded the likelier (`spread`).
//!
//! Never blocks, never allocates on the way to a decision, never asks the time. What the gateway itself sent since the
//! last reports comes in as [`Corrections`].
//!
//! Of a tier with more than 32 nodes, those are looked at that draw well for the key (`table::members`).
//!
//! Invariants: S1, while somebody is eligible somebody is selected. S2, nobody beyond the bound is selected while somebody
//! within it could be, of those who are looked at. S3, primary and alternates are distinct. S4, equal arguments give equal answers.

mod choose;
mod corrections;
mod cost;
mod decaying;
mod explain;
mod figures;
mod heat;
mod rendezvous;
mod round;
mod rules;
mod spread;
mod strength;
mod table;
mod warmth;

pub use corrections::Corrections;
pub use cost::Sizes;
pub use explain::{Explained, ExplainedTier, Explanation, Passed, Role, explain};
pub use heat::Heat;
pub use round::{Exclusion, Tier};
pub use rules::Rules;
pub use table::{Candidate, Table};

use std::fmt;

use self::round::Round;
use crate::{
    id::{NodeId, Region, Zone},
    object::ObjectPath,
    time::Tick,
    tokens::{Endpoint, Reach},
};

/// Where a client is, as far as anybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client<'a> {
    /// Its region.
    pub region: Option<&'a Region>,
    /// Its zone within the region; means nothing without one.
    pub zone: Option<&'a Zone>,
    /// A hash of what tells it from others, such as its address.
    pub hash: u64,
}

/// What the client speaks: a page that was loaded over TLS may not be sent to plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP; a node that has only TLS will do as well.
    Http,
    /// TLS, and nothing else.
    Https,
}

/// One question to [`select`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is hashed: requests of one affinity meet on one node.
    pub affinity: &'a str,
    /// The object's path: nodes declare prefixes of it.
    pub key: &'a ObjectPath,
    /// Who asks.
    pub client: Client<'a>,
    /// What the client speaks.
    pub scheme: Scheme,
    /// Nodes that failed this client for this key a moment ago; never selected.
    pub tried: &'a [NodeId],
    /// Nodes that passive evidence speaks against, for this client or for all: left out, but in a tier of which they are more than half (by capacity). A bad
    /// signal must not empty the table.
    pub doubted: &'a [NodeId],
    /// What the transfer is expected to take, in bytes per second ([`Table::cost`]).
    pub cost: u64,
    /// How large the transfer is expected to be, in bytes ([`Sizes::expected`]).
    pub bytes: u64,
    /// How many nodes have the key, as [`Heat::spread`] says; usually 1.
    pub spread: u32,
    /// The moment of the question.
    pub now: Tick,
}

/// Why the primary and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The key belongs there.
    Affinity,
    /// Whoever the key belongs to has more than its share already.
    Bounded,
    /// The first choice was busy, and this one clearly less so.
    SecondChoice,
    /// The key has several nodes, and the client drew this one.
    Spread,
    /// Nobody is within the bound: the transfer is larger than what the tier carries. The key stays where it belongs.
    Unbounded,
    /// Everybody is full. The key stays where it belongs (at one of its nodes, if it has several), within the bound if somebody is.
    Panic,
}

impl Choice {
    /// The reason's name as people and metrics see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Affinity => "affinity",
            Self::Bounded => "bounded",
            Self::SecondChoice => "second-choice",
            Self::Spread => "spread",
            Self::Unbounded => "unbounded",
            Self::Panic => "panic",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The nodes for a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'t> {
    /// Where the client is sent; `None` if nobody is eligible: the gateway serves it itself then (P3).
    pub primary: Option<&'t Candidate>,
    /// Where to go if that fails, best first; other failure domains come before the primary's own.
    alternates: [Option<&'t Candidate>; Selection::MOST_ALTERNATES],
    /// Why the primary; `None` without one.
    pub choice: Option<Choice>,
    /// Which tier the primary is of; `None` without one.
    pub tier: Option<Tier>,
    /// Whether a nearer tier passed the request on because it was busy.
    pub spilled: bool,
    /// Whether somebody was left out for having been tried and nothing else. With no primary, a gateway that cannot serve
    /// the request itself may ask again without `tried`.
    pub tried_left_out: bool,
}

impl Selection<'_> {
    /// More would make the token longer and no download safer.
    pub const MOST_ALTERNATES: usize = 3;
}

impl<'t> Selection<'t> {
    /// Where to go if the primary fails, best first.
    pub fn alternates(&self) -> impl Iterator<Item = &'t Candidate> + use<'t> {
        self.alternates.into_iter().flatten()
    }

    /// The primary, then the alternates, with the addresses at which a client of that scheme reaches them.
    pub fn endpoints(&self, scheme: Scheme) -> impl Iterator<Item = Endpoint> + use<'t> {
        self.reaches(scheme).map(Reach::to_endpoint)
    }

    /// The same, borrowed.
    pub fn reaches(&self, scheme: Scheme) -> impl Iterator<Item = Reach<'t>> + use<'t> {
        self.primary.into_iter().chain(self.alternates()).filter_map(move |candidate| candidate.reach(scheme))
    }
}

/// Chooses nodes for a request. `corrections` must have been made for this table.
#[must_use]
pub fn select<'t>(table: &'t Table, corrections: &Corrections, request: &Request<'_>) -> Selection<'t> {
    Round::new(table, corrections, request).select()
}

#[cfg(test)]
mod tests;
