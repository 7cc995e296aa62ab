//! Strong entity tags as core hands them on.

use std::{fmt, sync::Arc};

/// Why a text is no strong entity tag that can be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a strong entity tag of at most {} octets, such as \"65f0-1000\" with its quotes", Validator::LONGEST)]
pub struct InvalidValidator;

/// A strong entity tag with its quotes (RFC 9110 section 8.8.3), of visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Validator(Arc<str>);

impl Validator {
    /// Longer ones are rare, and a token has no room for them.
    pub const LONGEST: usize = 128;

    /// The tag as it stands in a field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Validator {
    type Err = InvalidValidator;

    fn from_str(text: &str) -> Result<Self, InvalidValidator> {
        let inside = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(InvalidValidator)?;
        let sound = inside.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'"');
        if sound && text.len() <= Self::LONGEST { Ok(Self(text.into())) } else { Err(InvalidValidator) }
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strong_tags_of_visible_ascii_are_taken() {
        for good in ["\"\"", "\"65f0-1000\"", "\"W/\"", "\"a,b\""] {
            assert_eq!(good.parse::<Validator>().map(|tag| tag.to_string()), Ok(good.to_owned()));
        }
        let long = format!("\"{}\"", "x".repeat(Validator::LONGEST));
        for bad in ["", "\"", "W/\"a\"", "a", "\"a", "\"a\"b\"", "\"a b\"", "\"ä\"", "\"a\r\n\"", &long] {
            assert_eq!(bad.parse::<Validator>(), Err(InvalidValidator), "{bad:?}");
        }
    }
}
