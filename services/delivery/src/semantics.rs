//! What RFC 9110 says about a request for a representation that is at hand: pure functions, whichever engine sends the bytes.

pub mod caching;
pub mod coding;
pub mod conditions;
pub mod content_type;
pub mod disposition;
pub mod methods;
pub mod multipart;
pub mod plan;
pub mod ranges;
pub mod repr_digest;
pub mod validators;

pub use coding::Coding;
pub use plan::{Plan, Representation, not_acceptable, plan};
