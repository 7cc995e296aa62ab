//! Whole nodes over real sockets.

mod clients;
mod draining;
mod operators;
mod passing;
mod site;
