//! The coordinator: hears the nodes, tells the gateways, keeps operators' decisions in the store.
//!
//! Who is alive is decided by [`ferry_core::membership`]; this crate is the loop around it: gRPC streams become its events,
//! and its effects become messages and store writes. Coordinators do not talk to each other: each hears every node.
//!
//! - Invariant C1: nothing but the loop touches the membership; a slow store, node or gateway never stalls a beat.
//! - Invariant C2: before the store was read and the living had time to speak, no gateway is told anything.
//! - Invariant C3: an operator's call is answered after its decision is in the store.
//! - Invariant C4: evidence of redirects is believed of welcomed nodes only, goes only to the gateway that made them, and waits for nobody.

mod config;
mod driver;
mod figures;
mod grpc;
mod records;
mod relay;
mod rings;
mod service;
mod sessions;
mod subscribers;

pub use config::{Config, SETTINGS, StoreChoice, read};
pub use driver::Announce;
pub use service::{Coordinator, StartError};
