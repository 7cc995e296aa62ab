//! Whole nodes over real sockets.

mod caching;
mod clients;
mod draining;
mod kept_alive;
mod operators;
mod passing;
mod site;
