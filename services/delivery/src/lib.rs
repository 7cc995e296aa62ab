//! Bytes over HTTP: what a request means, which bytes answer it, and how they reach the client.
//!
//! [`semantics`] decides (pure, from RFC 9110 and 9112), [`disk`] and [`origin`] supply the bytes, [`server`] renders an
//! [`Answer`] onto a connection; [`cache`] keeps what origins sent. The node and the gateway both hold a [`Delivery`], each with routes of its own in front.
//!
//! Nothing here knows of nodes, tokens or routing tables.
//!
//! Invariants:
//! - **D1** an answer's `Content-Length` is the number of bytes that follow, or the connection ends short; never padding.
//! - **D2** memory per transfer is bounded by a constant, whatever the file's size or the client's speed.
//! - **D3** a file that is opened lies below its root and is a regular file (the design's promise P8).
//! - **D4** a transfer is in [`Transfers`] from the moment its answer exists until its body has ended or was dropped.
//! - **D5** a file that stayed open is given out only while its path leads to it and nothing about it has changed ([`disk`] says how soon); one out of the
//!   cache, only while its key means it and its head is the same.

pub mod answer;
pub mod cache;
pub mod delivery;
pub mod disk;
pub mod metrics;
pub mod origin;
pub mod ready;
pub mod request;
pub mod semantics;
pub mod server;
pub mod stream;
pub mod transfers;

pub use answer::{Answer, Body};
pub use delivery::{Backend, Delivery, Object};
pub use request::Request;
pub use server::{Handler, Server};
pub use transfers::Transfers;
