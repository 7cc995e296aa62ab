//! The control plane in virtual time: the real, pure code of `ferry_core` in a world that is made to go wrong.
//!
//! One seed, one thread, one queue of events. `core::membership` runs as a coordinator's driver uses it (learning after a restart, changes within 10 ms,
//! loads with the marks, 256 probes at a time), `core::merge` as a gateway's keeper does (and starts from its saved table), `core::selection` as its door
//! does, `core::backoff` as the links to coordinators do. Around them is a model, in which everything happens that the seed says: crashes, hangs, restarts,
//! cuts of one way and of both, clocks that jump, a store that is away, drains, SIGTERM. After 30 s of that all is put right but for some dead nodes, for 30 s,
//! and so on. What must hold all the time, within which bound, and what excuses what, is told at `oracle` and `oracle::excuses`.
//!
//! ```text
//! cargo run --release -p ferry-simulation -- --nodes 1000 --minutes 5 --seed 1
//! cargo run --release -p ferry-simulation -- --nodes 50 --coordinators 3 --gateways 4 --minutes 600 --seed 1 --seeds 20
//! FERRY_SIMULATION_SEED=7 cargo nextest run -p ferry-simulation
//! ```
//!
//! A seed that fails is printed with the faults before it; the command above runs it again, at the same sizes.
//!
//! # Where things are
//!
//! `world` dispatches events and does what actors ask (`transport`: streams as TCP and HTTP/2 make them; `apply`: faults; `facts`: what is true). `coordinator`,
//! `gateway`, `node` and `links` are the actors: each takes an input and says what it wants done, as core does, and knows nothing of the world.
//! `faults` draws what goes wrong. `oracle` judges. To simulate something else (clients that select, fail over and come back): an actor with
//! its inputs and acts in `message`, a party in `party`, and a file of the oracle's.
//!
//! # What is not modelled
//!
//! Bounded inboxes and outboxes, and the cut of a gateway that does not keep up; two names of one coordinator; removals, key rings, guards, refusals and cloned disks;
//! a disk that fails to keep a gateway's table or keeps an old one; a probe's way through TLS and DNS; DEGRADED; a coordinator's SIGTERM; clients.

mod coordinator;
mod digest;
mod faults;
mod gateway;
mod history;
mod links;
mod message;
mod network;
mod node;
mod oracle;
mod party;
mod queue;
pub mod selection;
mod store;
mod streams;
mod world;

use std::time::Duration;

use crate::world::World;
pub use crate::{
    digest::Digest,
    history::History,
    oracle::{Slowest, Violation},
    party::Sizes,
};

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many of each there are.
    pub sizes: Sizes,
    /// How long it lasts, in the cluster's time.
    pub length: Duration,
    /// Whether wall clocks are set in mid-run; the same things happen at the same moments either way, for no decision of core's may depend on it.
    pub clocks_jump: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// A fingerprint of all that happened.
    pub digest: Digest,
    /// Events of all kinds, and those that were faults.
    pub events: u64,
    /// Faults, and what ended them.
    pub faults: u64,
    /// How often a gateway's choice of a failing or drained node was weighed.
    pub tested: u64,
    /// The longest that anything took.
    pub slowest: Slowest,
    /// What was as it must not be, if anything was; the run ended there.
    pub violation: Option<Violation>,
    /// The last faults.
    pub history: History,
}

/// Runs one seed to its end, or to the first violation.
#[must_use]
pub fn run(settings: Settings) -> Report {
    let (mut world, violation) = World::new(settings).run();
    let last = world.last_draw();
    world.digest.add(&[last]);
    Report {
        digest: world.digest,
        events: world.events,
        faults: world.faults,
        tested: world.oracle().tested,
        slowest: world.oracle().slowest,
        violation,
        history: world.history().clone(),
    }
}
