//! What a shared cache may keep and give out again: RFC 9111, with RFC 5861, 9211 and 9213.
//!
//! Pure: `now` and both ends of an exchange are arguments, decisions are values. Where the
//! bytes lie, who fetches them and who waits for whom is the cache's business, not that of this module.
//!
//! Where an origin's words are broken or contradict each other, the reading that keeps less, or for a shorter time, is taken.

pub mod age;
pub mod control;
mod directives;
#[cfg(test)]
mod fixture;
pub mod freshness;
pub mod policy;
mod targeted;

use http::{HeaderMap, StatusCode};

use ferry_core::time::UnixMillis;

pub use freshness::{Freshness, Source, Terms};
pub use policy::Policy;

/// The head of a response, as the origin sent it.
#[derive(Debug, Clone, Copy)]
pub struct Got<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a HeaderMap,
}

/// When an exchange with an origin took place, by this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Just before the request was sent.
    pub requested: UnixMillis,
    /// When the head of the response was there.
    pub received: UnixMillis,
}
