//! What a shared cache may keep and give out again: RFC 9111, with RFC 5861, 9211 and 9213.
//!
//! Pure: `now` and both ends of an exchange are arguments, decisions are values. What is kept of a response is a [`Stored`]; where the
//! bytes lie, who fetches them and who waits for whom is the cache's business, not that of this module.
//!
//! Where an origin's words are broken or contradict each other, the reading that keeps less, or for a shorter time, is taken.
//!
//! Invariants:
//! - **K1** what `no-store` or an unqualified `private` forbids, in the field that counts, is never storable, whatever else is said beside it
//!   (but for `must-understand`, which RFC 9111 section 5.2.2.3 puts above `no-store`).
//! - **K2** the age of a stored response never falls as `now` grows.
//! - **K3** a response that `no-cache`, `must-revalidate` or `proxy-revalidate` governs is never given out stale; one that `s-maxage` governs only
//!   where `stale-while-revalidate` or `stale-if-error` says so beside it.
//! - **K4** a field of a request reaches an origin only if the route lists it, and some not even then ([`forward`]); one cache key
//!   means one target at the origin ([`key`]).

pub mod age;
pub mod cache_status;
pub mod config;
pub mod control;
pub mod decide;
mod directives;
#[cfg(test)]
mod fixture;
pub mod forward;
pub mod freshen;
pub mod freshness;
pub mod invalidate;
pub mod key;
pub mod partial;
pub mod policy;
pub mod request;
pub mod storable;
pub mod stored;
mod targeted;
pub mod vary;

use http::{HeaderMap, Method, StatusCode};

use ferry_core::time::UnixMillis;

pub use cache_status::{CacheStatus, Forward};
pub use decide::{Decision, Found, Trouble, decide, on_trouble};
pub use forward::pick;
pub use freshen::{Freshened, HeadSays, freshen, learn_from_head};
pub use freshness::{Freshness, Source, Terms};
pub use invalidate::invalidated;
pub use key::cache_key;
pub use policy::Policy;
pub use storable::{WhyNot, storable};
pub use stored::Stored;
pub(crate) use targeted::SURROGATE_CONTROL;
pub use vary::VaryKey;

/// A request, as far as caching looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query, encoded, as the origin is asked for them.
    pub target: &'a str,
    /// The fields that the origin was, or would be, sent: only these may tell responses apart.
    pub headers: &'a HeaderMap,
    /// Whether it has content. That of a GET has no meaning (RFC 9110 section 9.3.1), yet an origin may answer by it.
    pub has_content: bool,
}

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
