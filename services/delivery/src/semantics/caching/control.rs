//! What a response says about its own caching: `Cache-Control`, or the targeted field that goes before it.
//!
//! The same directive several times, or one whose value is broken, counts as the strictest of what it could mean (RFC 9111 section
//! 4.2.1 leaves the choice between the first value and none; the least of all is never more than either).

use http::{HeaderMap, HeaderName, header};

use super::{
    directives::{self, Argument, Directive},
    policy::Policy,
    targeted,
};

/// The longest span there is: what is larger counts as this (RFC 9111 section 1.2.2).
pub const LONGEST: u32 = 1 << 31;

/// The directives of a response that bear on a shared cache. `immutable` (RFC 8246) is not among them: a fresh response is validated on
/// nobody's word here but that of `no-cache`, which goes before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Control {
    /// Seconds.
    pub max_age: Option<u32>,
    /// Seconds; goes before `max-age`, and implies `proxy-revalidate`.
    pub s_maxage: Option<u32>,
    /// Nothing may be kept.
    pub no_store: bool,
    /// Must be validated before each use.
    pub no_cache: Scope,
    /// For one user only.
    pub private: Scope,
    /// Never stale: `must-revalidate` or `proxy-revalidate`.
    pub must_revalidate: bool,
    /// Of two, the one that section 3.5 lets an authorized response be stored by.
    pub strictly_must_revalidate: bool,
    /// Storable where it would not be by its status or its request.
    pub public: bool,
    /// Only for caches that know the status.
    pub must_understand: bool,
    /// RFC 5861 section 3, in seconds.
    pub stale_while_revalidate: Option<u32>,
    /// RFC 5861 section 4, in seconds.
    pub stale_if_error: Option<u32>,
}

/// What a directive is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// It is absent.
    #[default]
    Nothing,
    /// These fields of the response.
    Fields(Vec<HeaderName>),
    /// The response.
    All,
}

impl Control {
    /// Of a response with these fields, and whether a targeted field said so: then `Expires` counts for nothing
    /// (RFC 9213 section 2.2).
    #[must_use]
    pub fn of(headers: &HeaderMap, policy: &Policy) -> (Self, bool) {
        match targeted::control(headers, policy) {
            Some(control) => (control, true),
            None => (Self::of_cache_control(headers), false),
        }
    }

    fn of_cache_control(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for line in headers.get_all(header::CACHE_CONTROL) {
            directives::of(line.as_bytes()).for_each(|directive| control.add(&directive));
        }
        control
    }

    /// Adds one directive; one that is unknown changes nothing.
    pub(super) fn add(&mut self, directive: &Directive<'_>) {
        // Named in one place only, so that both the field and its targeted kin know the same ones.
        let argument = &directive.argument;
        let bare = *argument == Argument::None;
        if directive.is("max-age") {
            least(&mut self.max_age, argument);
        } else if directive.is("s-maxage") {
            least(&mut self.s_maxage, argument);
        } else if directive.is("stale-while-revalidate") {
            least(&mut self.stale_while_revalidate, argument);
        } else if directive.is("stale-if-error") {
            least(&mut self.stale_if_error, argument);
        } else if directive.is("no-cache") {
            self.no_cache.widen(argument);
        } else if directive.is("private") {
            self.private.widen(argument);
        } else if directive.is("no-store") {
            self.no_store = true;
        } else if directive.is("must-revalidate") {
            self.must_revalidate = true;
            self.strictly_must_revalidate |= bare;
        } else if directive.is("proxy-revalidate") {
            self.must_revalidate = true;
        } else if directive.is("public") {
            self.public |= bare;
        } else if directive.is("must-understand") {
            self.must_understand |= bare;
        }
    }

    /// Whether anything at all was said of a lifetime.
    #[must_use]
    pub const fn has_lifetime(&self) -> bool {
        self.max_age.is_some() || self.s_maxage.is_some()
    }

    /// The fields that must not be kept: those that `no-cache` or `private` names.
    pub fn excepted(&self) -> impl Iterator<Item = &HeaderName> {
        [&self.no_cache, &self.private].into_iter().flat_map(|scope| match scope {
            Scope::Fields(names) => names.as_slice(),
            Scope::Nothing | Scope::All => &[],
        })
    }
}

impl Scope {
    /// An argument that names no field, or holds what is none, leaves no way to tell what was meant: all of it.
    fn widen(&mut self, argument: &Argument<'_>) {
        let names = match argument {
            Argument::Text(text) => field_names(text),
            Argument::None | Argument::Broken => None,
        };
        match (&mut *self, names) {
            (Self::Fields(have), Some(more)) => have.extend(more),
            (Self::Nothing, Some(names)) => *self = Self::Fields(names),
            (Self::All, _) | (_, None) => *self = Self::All,
        }
    }
}

fn field_names(list: &[u8]) -> Option<Vec<HeaderName>> {
    let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
    let names: Vec<_> = names.map(HeaderName::from_bytes).collect::<Result<_, _>>().ok()?;
    (!names.is_empty()).then_some(names)
}

fn least(so_far: &mut Option<u32>, argument: &Argument<'_>) {
    let said = match argument {
        Argument::Text(text) => delta_seconds(text).unwrap_or(0),
        Argument::None | Argument::Broken => 0,
    };
    *so_far = Some(so_far.map_or(said, |before| before.min(said)));
}

/// Reads a span of seconds (RFC 9111 section 1.2.2): digits alone, however many; what is too large is [`LONGEST`].
#[must_use]
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = text.iter().map(|digit| u32::from(digit - b'0'));
    Some(digits.fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(digit)).min(LONGEST))
}

#[cfg(test)]
mod tests;
