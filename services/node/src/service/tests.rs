//! Whole nodes over real sockets.

mod caching;
mod clients;
mod draining;
mod operators;
mod passing;
mod site;
