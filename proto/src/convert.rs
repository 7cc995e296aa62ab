//! Core's types from the wire (`TryFrom`: parse at the door) and back (`From`).

mod cluster;
mod node;
mod record;
mod routing;

pub use cluster::{access_from_wire, access_to_wire};
pub use record::{InvalidRecord, node_record, peer_record, ring_record};
pub use routing::InvalidUpdate;

use ferry_core::{address::InvalidAuthority, id::InvalidName, ring::KeyTooShort};

/// Why a message is not what it should be: names the field. For people and for `INVALID_ARGUMENT`.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A name that is none.
    #[error("{field}: {cause}")]
    Name {
        /// Which field.
        field: &'static str,
        /// Why.
        cause: InvalidName,
    },
    /// An address that is none.
    #[error("{field}: {cause}")]
    Address {
        /// Which field.
        field: &'static str,
        /// Why.
        cause: InvalidAuthority,
    },
    /// A number out of bounds.
    #[error("{field}: expected {expected}, not {value}")]
    Number {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        value: u64,
    },
    /// A text or list that is too long.
    #[error("{field}: at most {limit}, not {length}")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// The bound.
        limit: usize,
        /// What it is.
        length: usize,
    },
    /// A key that could be guessed.
    #[error(transparent)]
    Key(#[from] KeyTooShort),
    /// A value from a version of ferry that knows more.
    #[error("version {0} is newer than this ferry knows")]
    TooNew(u32),
}

/// Refuses a version that is newer than this build's, and one that was never set.
pub fn check_version(version: u32) -> Result<(), Invalid> {
    match version {
        0 => Err(Invalid::Missing("version")),
        crate::VERSION => Ok(()),
        newer => Err(Invalid::TooNew(newer)),
    }
}

/// An empty text is an absent one.
fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<Option<T>, Invalid> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

fn name<T: std::str::FromStr<Err = InvalidName>>(field: &'static str) -> impl FnOnce(&str) -> Result<T, Invalid> {
    move |text| text.parse().map_err(|cause| Invalid::Name { field, cause })
}
