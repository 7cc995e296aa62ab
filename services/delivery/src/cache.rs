//! What origins sent, kept for the next who asks.

pub mod store;
