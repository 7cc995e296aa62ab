//! A node as the rest of the cluster knows it.

use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

use crate::{
    address::Authority,
    id::{Incarnation, NodeId, Region, Zone},
    load::Load,
};

/// A node's relative share of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(NonZeroU32);

impl Weight {
    /// The largest weight: beyond it a ratio is a mistake, not a wish.
    pub const MAX: u32 = 10_000;

    /// `value`, if it lies between 1 and [`Self::MAX`].
    #[must_use]
    pub fn new(value: u32) -> Option<Self> {
        NonZeroU32::new(value).filter(|weight| weight.get() <= Self::MAX).map(Self)
    }

    /// The weight as a number, at least 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(NonZeroU32::new(100).expect("100 is not 0"))
    }
}

/// What a node registered: its place in the world and what it is able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Who it is.
    pub id: NodeId,
    /// Where clients reach it over plain HTTP.
    pub address: Option<Authority>,
    /// Where clients reach it over TLS.
    pub tls_address: Option<Authority>,
    /// Its gRPC listener, for inspection.
    pub admin_address: Option<Authority>,
    /// Its region, if it has one.
    pub region: Option<Region>,
    /// Its failure domain within the region.
    pub zone: Option<Zone>,
    /// Its relative share of the work, by its own word; an operator's goes before it ([`NodeView::weight`]).
    pub weight: Weight,
    /// Bytes per second that it can send, if that is known.
    pub capacity: Option<NonZeroU64>,
    /// How many transfers it wants at one time, if limited.
    pub max_transfers: Option<NonZeroU32>,
    /// Key prefixes that it serves; none means every key.
    pub prefixes: Vec<String>,
    /// The build that runs there.
    pub software: String,
    /// Whether it reports which redirects arrive there: only then is it known of one that it did not.
    pub reports_arrivals: bool,
}

impl NodeFacts {
    /// How many prefixes a node may declare, how long each may be, and all of them together, in bytes. The last is what a table costs: with
    /// [`crate::membership::MOST_NODES`] nodes that declare as much as they may, it still fits into one message.
    pub const MOST_PREFIXES: usize = 64;
    /// See [`Self::MOST_PREFIXES`].
    pub const LONGEST_PREFIX: usize = 512;
    /// See [`Self::MOST_PREFIXES`].
    pub const PREFIX_BYTES: usize = 2048;

    /// One that says nothing but its name: no address, no place, the usual weight, no limits, every key.
    #[must_use]
    pub fn named(id: NodeId) -> Self {
        Self {
            id,
            address: None,
            tls_address: None,
            admin_address: None,
            region: None,
            zone: None,
            weight: Weight::default(),
            capacity: None,
            max_transfers: None,
            prefixes: Vec::new(),
            software: String::new(),
            reports_arrivals: false,
        }
    }

    /// Where people find it: its address for clients, over plain HTTP if it has one.
    #[must_use]
    pub fn place(&self) -> Option<&Authority> {
        self.address.as_ref().or(self.tls_address.as_ref())
    }
}

/// What a coordinator believes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// Beats arrive.
    Up,
    /// Beats arrive, and say that it has more to do than it does well. It is chosen as its load allows.
    Degraded,
    /// Beats are late: chosen only if nothing better is left.
    Suspect,
    /// Back after it was down; gets nothing until it has proved itself.
    Probation,
    /// Finishes what it began, gets nothing new.
    Draining,
    /// An operator took it out: whether it beats or not, nobody misses it.
    Maintenance,
    /// Silent, or its stream ended.
    Down,
}

impl NodeState {
    /// Every state, the most useful first.
    pub const ALL: [Self; 7] =
        [Self::Up, Self::Degraded, Self::Suspect, Self::Probation, Self::Draining, Self::Maintenance, Self::Down];

    /// The state's name as people and metrics see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Degraded => "DEGRADED",
            Self::Suspect => "SUSPECT",
            Self::Probation => "PROBATION",
            Self::Draining => "DRAINING",
            Self::Maintenance => "MAINTENANCE",
            Self::Down => "DOWN",
        }
    }

    /// Whether the node may get a new client at all.
    #[must_use]
    pub const fn selectable(self) -> bool {
        matches!(self, Self::Up | Self::Degraded | Self::Suspect)
    }

    /// Whether the node beats in time and may get new clients.
    #[must_use]
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What operators want of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Duty {
    /// It serves.
    #[default]
    Serve,
    /// No new clients until it is resumed.
    Drain,
    /// The same, and it may be away for as long as it likes.
    Maintenance,
}

/// What operators decided about a node; the store's revision orders decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Intent {
    /// What it is to do.
    pub duty: Duty,
    /// Its share of the work in place of the one that it registers.
    pub weight: Option<Weight>,
    /// The revision of the record that says so; 0 when none does.
    pub revision: u64,
}

impl Intent {
    /// Whether the node is to get no new clients.
    #[must_use]
    pub fn drains(self) -> bool {
        self.duty != Duty::Serve
    }
}

/// A node's own clock of reports: the highest is the freshest, whoever passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Freshness {
    /// Which life of the node.
    pub incarnation: Incarnation,
    /// Which beat of that life.
    pub beat: u64,
}

/// One coordinator's word on one node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    /// What the node registered.
    pub facts: Arc<NodeFacts>,
    /// What the coordinator believes.
    pub state: NodeState,
    /// Which report this is.
    pub freshness: Freshness,
    /// The load in that report.
    pub load: Load,
    /// How long before the word was spoken the coordinator had heard the beat.
    pub heard_ago: Duration,
    /// What operators decided.
    pub intent: Intent,
    /// It is silent, and so are so many others that the coordinator may be the one that is cut off: whoever can reach the node had better look itself.
    pub in_doubt: bool,
}

impl NodeView {
    /// The node's relative share of the work: an operator's decision, else what it registered.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.intent.weight.unwrap_or(self.facts.weight)
    }
}
