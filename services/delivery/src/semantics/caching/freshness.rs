//! For how long a response is fresh, and what may be done with it afterwards: RFC 9111 section 4.2, RFC 5861.

use std::time::Duration;

use ferry_core::time::UnixMillis;
use http::{HeaderMap, StatusCode, header};

use super::{
    Got, Times,
    age::{self, AgeField},
    control::{Control, Scope},
    policy::Policy,
};
use crate::semantics::validators::parse_date;

/// For how long, and on whose word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Counted from the moment at which the origin made the response.
    pub lifetime: Duration,
    /// On whose word.
    pub source: Source,
}

/// What a lifetime comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `s-maxage`.
    SharedMaxAge,
    /// `max-age`.
    MaxAge,
    /// `Expires`.
    Expires,
    /// The policy, for responses that say there is nothing, or that something failed.
    Negative,
    /// The time since the last modification.
    Heuristic,
    /// Nothing: it is not fresh at all.
    Nothing,
}

impl Source {
    /// Whether the origin named a lifetime.
    #[must_use]
    pub const fn is_explicit(self) -> bool {
        matches!(self, Self::SharedMaxAge | Self::MaxAge | Self::Expires)
    }
}

/// All that governs the reuse of a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// For how long it is fresh.
    pub freshness: Freshness,
    /// How old it was when it was received.
    pub initial_age: Duration,
    /// It must be validated before each use (`no-cache`).
    pub always_validate: bool,
    /// It may be given out stale for so long while it is validated.
    pub stale_while_revalidate: Duration,
    /// It may stand in for so long for an origin that fails.
    pub stale_if_error: Duration,
    /// Whether a client may ask for it stale.
    pub stale_on_request: bool,
}

impl Terms {
    /// The terms of a response that was received at that time.
    #[must_use]
    pub fn of(got: Got<'_>, times: Times, policy: &Policy) -> Self {
        let (control, targeted) = Control::of(got.headers, policy);
        let always_validate = control.no_cache == Scope::All;
        let never_stale = always_validate || control.must_revalidate;
        // `s-maxage` forbids what the origin does not allow beside it.
        let stale_by_default = !never_stale && control.s_maxage.is_none();
        let stale = |said: Option<u32>, default| match said {
            Some(seconds) if !never_stale => Duration::from_secs(seconds.into()),
            None if stale_by_default => default,
            Some(_) | None => Duration::ZERO,
        };
        Self {
            freshness: freshness(got, &control, targeted, times, policy),
            initial_age: age::initial(got.headers, times),
            always_validate,
            stale_while_revalidate: stale(control.stale_while_revalidate, policy.stale_while_revalidate),
            stale_if_error: stale(control.stale_if_error, policy.stale_if_error),
            stale_on_request: stale_by_default,
        }
    }
}

fn freshness(got: Got<'_>, control: &Control, targeted: bool, times: Times, policy: &Policy) -> Freshness {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let (lifetime, source) = if let Some(span) = control.s_maxage {
        (seconds(span), Source::SharedMaxAge)
    } else if let Some(span) = control.max_age {
        (seconds(span), Source::MaxAge)
    } else if !targeted && got.headers.contains_key(header::EXPIRES) {
        (until_expires(got.headers, times.received), Source::Expires)
    } else {
        implied(got, control, times.received, policy)
    };
    if age::field(got.headers) == AgeField::Unreadable {
        return Freshness { lifetime: Duration::ZERO, source };
    }
    let negative = got.status.is_client_error() || got.status.is_server_error();
    let cap = if negative { policy.negative_cap } else { policy.cap };
    Freshness { lifetime: lifetime.min(cap), source }
}

/// `Expires` less `Date`; nothing if it is no date (section 5.3), and the least of several.
fn until_expires(headers: &HeaderMap, received: UnixMillis) -> Duration {
    let dates = headers.get_all(header::EXPIRES).iter().map(|value| parse_date(value.as_bytes()).unwrap_or(0));
    let expires = UnixMillis::from_seconds(dates.min().unwrap_or(0));
    expires.since(UnixMillis::from_seconds(age::date(headers, received).seconds()))
}

/// The lifetime of a response that names none.
fn implied(got: Got<'_>, control: &Control, received: UnixMillis, policy: &Policy) -> (Duration, Source) {
    const NOTHING: (Duration, Source) = (Duration::ZERO, Source::Nothing);
    // What HTTP/1.0 knew to say against caching (section 5.4).
    let old_no_cache = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"no-cache");
    if got.headers.get_all(header::PRAGMA).iter().any(old_no_cache) {
        return NOTHING;
    }
    match got.status.as_u16() {
        404 | 405 | 410 | 414 | 501 => (policy.missing, Source::Negative),
        500.. if !policy.errors.is_zero() => (policy.errors, Source::Negative),
        _ if is_heuristic(got.status) || control.public => {
            since_modified(got.headers, received, policy).map_or(NOTHING, |lifetime| (lifetime, Source::Heuristic))
        }
        _ => NOTHING,
    }
}

/// Whether RFC 9110 section 15.1 lets a response of that status have a heuristic lifetime; 206 does by what it is a part of.
#[must_use]
pub fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// A share of the time between `Last-Modified` and `Date` (section 4.2.2); `None` without a date, or one that lies ahead.
fn since_modified(headers: &HeaderMap, received: UnixMillis, policy: &Policy) -> Option<Duration> {
    let [value] = age::lines(headers, &header::LAST_MODIFIED)[..] else { return None };
    let modified = parse_date(value.as_bytes())?;
    let since = age::date(headers, received).seconds().checked_sub(modified)?;
    let share = since.saturating_mul(policy.heuristic_percent.into()) / 100;
    Some(Duration::from_secs(share).min(policy.heuristic_cap))
}

#[cfg(test)]
mod tests;
