//! Names of the cluster's members, checked once where they enter.

use std::{fmt, str::FromStr, sync::Arc};

/// Why a text is no name. Display says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit, not {text:?}"
)]
pub struct InvalidName {
    text: String,
}

const LONGEST: usize = 63;

fn checked(text: &str) -> Result<Arc<str>, InvalidName> {
    let fits = text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if fits {
        Ok(text.into())
    } else {
        // A hostile name must not fill a log line.
        Err(InvalidName { text: text.chars().take(LONGEST + 1).collect() })
    }
}

/// A host or HOST:PORT in the letters of a name, at most `longest` of them: for names that are made, not given. It needs a
/// letter before it, since it may begin with a dash.
#[must_use]
pub fn in_letters(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).take(longest).collect()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                checked(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A node, over all its lives.
    NodeId
}
name! {
    /// A coordinator, over all its lives.
    CoordinatorId
}
name! {
    /// A gateway, for logs and inspection.
    GatewayId
}
name! {
    /// Where clients are near each other: a data centre, a city, a country.
    Region
}
name! {
    /// What fails together within a region: a rack, a room, a power feed.
    Zone
}
name! {
    /// Names a signing key.
    Kid
}

/// Which life of a node or coordinator: larger at each start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The life of a node that was never heard where it is spoken of: none that could be told from another.
    pub const UNHEARD: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "node-1", "eu.west_2", "7"] {
            assert_eq!(good.parse::<NodeId>().expect("a good name").as_str(), good);
        }
        for bad in ["", "-a", ".", "a b", "a/b", "ü", "a\n", &"x".repeat(64)] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?} was accepted");
        }
    }
}
