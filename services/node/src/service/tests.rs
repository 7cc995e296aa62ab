//! Whole nodes over real sockets.

mod caching;
mod clients;
mod defending;
mod draining;
mod kept_alive;
mod operators;
mod passing;
mod site;
