//! What ferry decides: who is alive, who serves which object, what a path means, whether a token is good.
//!
//! Everything here is pure. No async, no clock (a [`time::Tick`] or [`time::UnixMillis`] comes in as an argument), no random
//! source, no files, no network, no protobuf. The same functions serve the running cluster, `ferry explain`,
//! the property tests and the simulation.
//!
//! Invariants have names (M1, S1, …) and one predicate each; `ARCHITECTURE.md` lists them.

pub mod address;
pub mod ageing;
pub mod backoff;
pub mod census;
pub mod chain;
pub mod eviction;
pub mod evidence;
pub mod id;
pub mod known;
pub mod load;
pub mod membership;
pub mod merge;
pub mod node;
pub mod object;
pub mod pace;
pub mod place;
pub mod probing;
pub mod ring;
pub mod routes;
pub mod selection;
pub mod slowness;
pub mod target;
pub mod time;
pub mod tokens;
mod tombstones;
pub mod trace;
