//! What every test here stands on: the product's roles as real processes, a real etcd, sample files, peers that other
//! people wrote, and a client that can be slow, stubborn and exact.
//!
//! Rules: a process ends with the test that started it, and belongs to no other; a wait is for a level (a value, a
//! state), never an edge, and has a limit; a line at level ERROR in any role's log fails the test that did not list it.

pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod elsewhere;
pub(crate) mod etcd;
#[path = "../../gateway/src/whereabouts/sample.rs"]
pub(crate) mod mmdb;
pub(crate) mod origin;
pub(crate) mod peers;
pub(crate) mod ports;
pub(crate) mod program;
pub(crate) mod roles;
pub(crate) mod samples;
pub(crate) mod tools;
pub(crate) mod until;
pub(crate) mod video;
pub(crate) mod workshop;

pub(crate) use client::get;
pub(crate) use cluster::{Cluster, Topology};
pub(crate) use until::until;
