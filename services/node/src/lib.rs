//! A node: serves bytes to clients, and tells the coordinators that it does.
//!
//! Around [`ferry_delivery`], which knows how bytes reach a client, this crate decides which request gets which object: the door
//! checks the gateway's token, or the node's own routes. The agent keeps a stream to each coordinator: registration, beats, and
//! what comes back. With no coordinators a node is a file server by itself.
//!
//! - Invariant N1: nothing that a coordinator says or fails to say ends a transfer, or the process (P2).
//! - Invariant N2: what is served in a cluster that stands guard was asked for with a token that covers the very path.
//! - Invariant N3: two processes never use one storage path, so an identity has one life at a time on a machine.
//! - Invariant N4: on the word of nodes, no request goes further than to one other node and home to a gateway once.

mod agent;
mod alternates;
mod arrivals;
mod cluster;
mod config;
mod door;
mod drain;
mod figures;
mod fullness;
mod handler;
mod health;
mod identity;
mod inspection;
mod load;
mod service;
mod telling;
mod user_key;

pub use config::{Backend, CacheConfig, Config, SECTIONS, TABLES, read};
pub use identity::IdentityError;
pub use service::{Node, Running, StartError};
