//! Core's types from the wire (`TryFrom`: parse at the door) and back (`From`).

mod cluster;
mod evidence;
mod node;
mod record;
mod routing;

pub use cluster::{access_from_wire, access_to_wire};
pub use evidence::check_evidence;
pub use record::{InvalidRecord, node_record, peer_record, ring_record};
pub use routing::InvalidUpdate;

use ferry_core::{
    address::InvalidAuthority, id::InvalidName, known::InvalidValidator, object::InvalidPath, ring::KeyTooShort,
};

/// The metadata of an ABORTED registration: the number of the newest life that is known of the node, and dead. A registration under a higher one is
/// welcome.
pub const NEWEST_LIFE: &str = "ferry-newest-life";

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
    /// A path that names no object.
    #[error("path: {0}")]
    Path(#[from] InvalidPath),
    /// What is no strong entity tag.
    #[error("validator: {0}")]
    Validator(#[from] InvalidValidator),
    /// A key that could be guessed.
    #[error(transparent)]
    Key(#[from] KeyTooShort),
    /// Several of these.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Invalid>),
    /// A value from a version of ferry that knows more.
    #[error("version {0} is newer than this ferry knows")]
    TooNew(u32),
}

/// Collects what is wrong with a message.
#[derive(Debug, Default)]
pub struct Faults(Vec<Invalid>);

impl Faults {
    /// The value, or a fault more.
    pub fn keep<T>(&mut self, outcome: Result<T, Invalid>) -> Option<T> {
        outcome.map_err(|fault| self.0.push(fault)).ok()
    }

    /// One fault more.
    pub fn note<T>(&mut self, fault: Invalid) -> Option<T> {
        self.keep(Err(fault))
    }

    /// The whole, or all faults; where there is none, `whole` must be there.
    pub fn conclude<T>(mut self, whole: Option<T>) -> Result<T, Invalid> {
        match (self.0.len(), whole) {
            (0, Some(whole)) => Ok(whole),
            (0, None) => Err(Invalid::Missing("a part")),
            (1, _) => Err(self.0.remove(0)),
            (_, _) => Err(Invalid::Several(self.0)),
        }
    }
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
