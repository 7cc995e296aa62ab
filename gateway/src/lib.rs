//! The gateway: answers a download with a redirect to the node that will serve it best.
//!
//! It decides from memory (P1), keeps the last words of the coordinators on disk (P2), and serves a file itself when no node
//! can (P3). What a path means is [`ferry_core::routes`]; who serves it is [`ferry_core::selection`]; bytes are
//! [`ferry_delivery`]. It never waits for a coordinator while a client waits for it.
//!
//! - Invariant W1: no request waits for anything but its own bytes: table, rings and routes are in memory.
//! - Invariant W2: a user token that a route reads never leaves the gateway: neither a redirect nor an origin sees it.
//! - Invariant W3: what is answered by redirect is never stored by anybody: `Cache-Control: private, no-store`.
//! - Invariant W4: one process per storage path.

mod brief;
mod budget;
mod choice;
mod config;
mod door;
mod evidence;
mod explain;
mod fallback;
mod figures;
mod handler;
mod keeper;
mod links;
mod listener;
mod objects;
mod playlist;
mod redirect;
mod saved;
mod service;
mod sight;
mod snapshot;
mod table;
mod whereabouts;

pub use config::{Config, SECTIONS, TABLES, read};
pub use explain::json as explanation_json;
pub use service::{Gateway, Running, StartError};
