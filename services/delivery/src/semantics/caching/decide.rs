//! What to do about a request, given what is stored: RFC 9111 section 4.

use std::time::Duration;

use ferry_core::time::UnixMillis;
use http::{HeaderMap, Method, StatusCode};

use super::{Asked, Forward, age, policy::Policy, request::Wishes, stored::Stored};

/// What is stored under the key of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    /// Nothing.
    Nothing,
    /// Responses to requests that differ in what `Vary` names.
    OtherVariants,
    /// The response to such requests.
    This(&'a Stored),
}

impl<'a> Found<'a> {
    /// Selects among all that is stored under one key: what matches the request, and of several the one that the origin made last
    /// (section 4.1).
    pub fn select(stored: impl IntoIterator<Item = &'a Stored>, request: &HeaderMap) -> Self {
        let mut found = Self::Nothing;
        let made = |stored: &Stored| age::date(stored.headers(), stored.times().received);
        for candidate in stored {
            found = match found {
                _ if !candidate.vary().matches(request) => match found {
                    Self::Nothing => Self::OtherVariants,
                    found => found,
                },
                Self::This(best) if made(best) > made(candidate) => found,
                Self::This(_) | Self::Nothing | Self::OtherVariants => Self::This(candidate),
            };
        }
        found
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Answer from what is stored.
    Use {
        /// Its age.
        age: Duration,
        /// For how long it has been stale, which this client said it does not mind.
        stale: Option<Duration>,
    },
    /// Ask the origin whether it is still current, or for it anew.
    Validate {
        /// The conditions to set, in place of the client's; none where it has no validator, and the answer replaces it.
        conditions: HeaderMap,
        /// Why, for `Cache-Status`.
        why: Forward,
        /// Whether clients may be answered from it meanwhile.
        may_serve_stale_while: bool,
    },
    /// Ask the origin.
    Fetch(Forward),
    /// 504: the client wants nothing but what is here.
    GatewayTimeout,
}

/// Decides about a request.
#[must_use]
pub fn decide(asked: Asked<'_>, found: Found<'_>, policy: &Policy, now: UnixMillis) -> Decision {
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return Decision::Fetch(Forward::Method);
    }
    if asked.has_content {
        return Decision::Fetch(Forward::Bypass);
    }
    let wishes = Wishes::of(asked.headers, policy);
    let stored = match found {
        Found::This(stored) => stored,
        Found::Nothing | Found::OtherVariants if wishes.only_if_cached => return Decision::GatewayTimeout,
        Found::Nothing => return Decision::Fetch(Forward::UriMiss),
        Found::OtherVariants => return Decision::Fetch(Forward::VaryMiss),
    };
    let (age, fresh, newer) = (stored.age(now), stored.is_fresh(now), wants_newer(&wishes, stored, now));
    let stale_for = age.saturating_sub(stored.terms().freshness.lifetime);
    if fresh && !newer {
        return Decision::Use { age, stale: None };
    }
    let may_be_stale = !fresh && !newer && stored.is_trusted(now);
    let tolerated = wishes.max_stale.is_some_and(|most| stale_for <= seconds(most));
    if may_be_stale && tolerated && stored.terms().stale_on_request {
        return Decision::Use { age, stale: Some(stale_for) };
    }
    if wishes.only_if_cached {
        return Decision::GatewayTimeout;
    }
    Decision::Validate {
        conditions: stored.conditions(),
        why: if fresh { Forward::Request } else { Forward::Stale },
        may_serve_stale_while: may_be_stale && stale_for < stored.terms().stale_while_revalidate,
    }
}

/// Whether the client would not be content with what is stored if it were fresh.
fn wants_newer(wishes: &Wishes, stored: &Stored, now: UnixMillis) -> bool {
    let age = stored.age(now);
    let too_old = wishes.max_age.is_some_and(|most| age > seconds(most));
    let left = stored.terms().freshness.lifetime.saturating_sub(age);
    wishes.no_cache || too_old || wishes.min_fresh.is_some_and(|least| left < seconds(least))
}

const fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds as u64)
}

/// How an origin failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No answer came, or none that could be read.
    Unreachable,
    /// It answered with this status.
    Status(StatusCode),
}

impl Trouble {
    /// Whether RFC 5861 section 4 calls it an error: 500, 502, 503, 504, or no answer at all.
    #[must_use]
    pub const fn is_error(self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Status(status) => matches!(status.as_u16(), 500 | 502..=504),
        }
    }
}

/// Whether what is stored may be given out although the origin could not confirm it; its age, if it may.
#[must_use]
pub fn on_trouble(stored: &Stored, trouble: Trouble, now: UnixMillis) -> Option<Duration> {
    let age = stored.age(now);
    let stale_for = age.saturating_sub(stored.terms().freshness.lifetime);
    let allowed = stored.is_fresh(now) || (stored.is_trusted(now) && stale_for < stored.terms().stale_if_error);
    (trouble.is_error() && allowed).then_some(age)
}

#[cfg(test)]
mod tests;
