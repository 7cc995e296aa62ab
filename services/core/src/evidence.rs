//! Evidence: what only those see who redirect and those who serve. design.md section 7.
//!
//! A node reports which redirects arrived there and how they ended ([`Sighting`]); the gateway that made them draws conclusions.
//!
//! Pure, as all of core: the caller supplies `now`, and draws the numbers that must not be guessed.

mod network;
mod recent;
mod returning;
mod votes;

pub use network::Network;
pub use recent::{Outcome, Recent, Redirect};
pub use returning::{Avoided, ClientKey, Returning};
pub use votes::Votes;

use crate::{known::Version, object::ObjectKey, tokens::RedirectId};

/// A node, in as little room as there is where many are remembered: a hash of its id. Two nodes that share one are taken for one, which costs a detour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeKey(pub u32);

/// A client whatever it asks for, as a hash in as little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Who(pub u32);

/// What a node knows of a redirect that arrived there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It is being served: it has just arrived, or bytes have moved since the last report.
    UnderWay,
    /// It got all that it asked for, or what a sound request gets in place of it (304, 412, 416).
    Complete,
    /// Its connection ended before the last byte: by the client, or on the way.
    BrokenOff,
    /// The node did not give what was asked for.
    Failed,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Self; 4] = [Self::UnderWay, Self::Complete, Self::BrokenOff, Self::Failed];
}

/// One word of a node on one redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sighting {
    /// Where the client is, as the node sees it.
    pub network: Network,
    /// Which redirect.
    pub redirect: RedirectId,
    /// What became of it.
    pub fate: Fate,
}

/// What a node reports at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// In the order in which it happened, as far as that matters: of one redirect, its arrival before its end.
    pub sightings: Vec<Sighting>,
    /// Arrivals and ends since the last report that are not named, for there were too many: of this node's silence nothing follows.
    pub left_out: u64,
    /// Versions of objects that are held there, beside the redirects by which they were fetched.
    pub objects: Vec<Told>,
}

/// A node's word on an object that a client has had from it in full, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The redirect by which the client came: its gateway is told.
    pub redirect: RedirectId,
    /// Which object.
    pub key: ObjectKey,
    /// Which version.
    pub version: Version,
}

impl Told {
    /// Of objects with longer keys (path and query together, in octets) nothing is told.
    pub const LONGEST_KEY: usize = 1024;
}

impl Report {
    /// Sightings in one message, which then has about 40 KiB at most. A node that has more to say says it in several.
    pub const MOST_SIGHTINGS: usize = 2048;
    /// Objects in one message: their names are long.
    pub const MOST_OBJECTS: usize = 32;
}
