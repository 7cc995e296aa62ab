//! Whether a response may be kept: RFC 9111 section 3.

use std::fmt;

use http::{Method, StatusCode, header};

use super::{
    Asked, Got, Times,
    control::{Control, Scope},
    freshness::{Terms, is_heuristic},
    partial,
    policy::{Policy, SetCookie},
    request::Wishes,
    stored,
    vary::VaryKey,
};

/// Why a response is not kept. The words are short enough for `Cache-Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhyNot {
    /// The request was neither a GET nor a POST that the policy keeps.
    Method,
    /// The request had content, which is in no key.
    Content,
    /// The status speaks of the one request, or is not final.
    Status,
    /// `must-understand`, and the status is not known here.
    NotUnderstood,
    /// `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// The client wants nothing kept, and the policy heeds clients.
    ClientNoStore,
    /// The request was authorized, and nothing lets its response be shared (section 3.5).
    Authorization,
    /// `Vary: *`.
    VariesByAnything,
    /// It sets a cookie.
    SetCookie,
    /// A part that cannot be combined with others: no strong validator, or no exact place.
    Part,
    /// Neither the origin nor the standard nor the policy gives it a lifetime (section 3, last list).
    NoLifetime,
    /// It is stale already, and nothing could validate it.
    Useless,
}

impl WhyNot {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Content => "content",
            Self::Status => "status",
            Self::NotUnderstood => "not-understood",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::ClientNoStore => "client-no-store",
            Self::Authorization => "authorization",
            Self::VariesByAnything => "vary",
            Self::SetCookie => "set-cookie",
            Self::Part => "part",
            Self::NoLifetime => "no-lifetime",
            Self::Useless => "stale-without-validator",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether the response to a request may be kept, and on which terms.
pub fn storable(asked: Asked<'_>, got: Got<'_>, times: Times, policy: &Policy) -> Result<Terms, WhyNot> {
    let (control, _) = Control::of(got.headers, policy);
    let terms = Terms::of(got, times, policy);
    by_request(asked, got, &terms, policy)?;
    by_status(got)?;
    by_directives(asked, got.status, &control, policy)?;
    if VaryKey::of(got.headers, asked.headers).is_none() {
        return Err(WhyNot::VariesByAnything);
    }
    let sets_cookie = got.headers.contains_key(header::SET_COOKIE) || got.headers.contains_key("set-cookie2");
    let taken_out = control.excepted().any(|name| *name == header::SET_COOKIE);
    if sets_cookie && !taken_out && policy.set_cookie == SetCookie::Refuse {
        return Err(WhyNot::SetCookie);
    }
    let explicit = terms.freshness.source.is_explicit();
    if !(explicit || control.public || is_heuristic(got.status) || !terms.freshness.lifetime.is_zero()) {
        return Err(WhyNot::NoLifetime);
    }
    let fresh = !terms.always_validate && terms.freshness.lifetime > terms.initial_age;
    // What the policy alone allows is no reason to keep a thing: nobody said that it would be wanted.
    let said = |span: Option<u32>| span.is_some_and(|seconds| seconds > 0);
    let stale = !terms.always_validate && (said(control.stale_while_revalidate) || said(control.stale_if_error));
    if fresh || stale || stored::has_validator(got.headers) { Ok(terms) } else { Err(WhyNot::Useless) }
}

fn by_request(asked: Asked<'_>, got: Got<'_>, terms: &Terms, policy: &Policy) -> Result<(), WhyNot> {
    match *asked.method {
        Method::GET if asked.has_content => Err(WhyNot::Content),
        Method::GET => Ok(()),
        // RFC 9110 section 9.3.3: the response has to say of itself that it is what GET would bring.
        Method::POST if policy.store_post && terms.freshness.source.is_explicit() && names_itself(asked, got) => Ok(()),
        _ => Err(WhyNot::Method),
    }
}

fn names_itself(asked: Asked<'_>, got: Got<'_>) -> bool {
    let mut locations = got.headers.get_all(header::CONTENT_LOCATION).iter();
    let itself = locations.next().is_some_and(|location| location == asked.target);
    itself && locations.next().is_none() && got.status == StatusCode::OK
}

fn by_status(got: Got<'_>) -> Result<(), WhyNot> {
    match got.status.as_u16() {
        206 => partial::part(got.headers).map(|_| ()).ok_or(WhyNot::Part),
        status if speaks_of_the_request(status) => Err(WhyNot::Status),
        _ => Ok(()),
    }
}

/// Whether another request for the same thing would not get that answer: it is about credentials, conditions, the range, the form or
/// the frequency of this one. Kept, it would be a way to have everybody refused.
const fn speaks_of_the_request(status: u16) -> bool {
    matches!(
        status,
        ..200 | 304 | 401 | 407 | 408 | 411..=413 | 415..=417 | 421..=426 | 428 | 429 | 431 | 511
    )
}

/// Whether the status has a meaning here: all final ones of RFC 9110, and 308.
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=206 | 300..=305 | 307 | 308 | 400 | 402..=406 | 409 | 410 | 414 | 422 | 500..=505
    )
}

fn by_directives(asked: Asked<'_>, status: StatusCode, control: &Control, policy: &Policy) -> Result<(), WhyNot> {
    if control.must_understand && !is_understood(status) {
        return Err(WhyNot::NotUnderstood);
    }
    // Section 5.2.2.3: `no-store` is there for caches that know nothing of `must-understand`.
    if control.no_store && !control.must_understand {
        return Err(WhyNot::NoStore);
    }
    if control.private == Scope::All {
        return Err(WhyNot::Private);
    }
    if Wishes::of(asked.headers, policy).no_store {
        return Err(WhyNot::ClientNoStore);
    }
    let shared = control.public || control.strictly_must_revalidate || control.s_maxage.is_some();
    if asked.headers.contains_key(header::AUTHORIZATION) && !shared {
        return Err(WhyNot::Authorization);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
