//! What a shared cache may keep and give out again: RFC 9111, with RFC 5861, 9211 and 9213.
//!
//! Pure: `now` and both ends of an exchange are arguments, decisions are values. Where the
//! bytes lie, who fetches them and who waits for whom is the cache's business, not that of this module.
//!
//! Where an origin's words are broken or contradict each other, the reading that keeps less, or for a shorter time, is taken.

pub mod control;
mod directives;
pub mod policy;
mod targeted;

pub use policy::Policy;
