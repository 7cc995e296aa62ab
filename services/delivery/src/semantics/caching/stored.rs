//! What is kept of a response's head: RFC 9111 section 3.1.

mod bytes;

use std::time::Duration;

use ferry_core::time::UnixMillis;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

pub use self::bytes::Unreadable;
use super::{
    Asked, Got, Times, age,
    control::Control,
    freshness::Terms,
    partial,
    policy::{Policy, SetCookie},
    storable::{WhyNot, storable},
    targeted::SURROGATE_CONTROL,
    vary::VaryKey,
};
use crate::semantics::validators::{Etag, date_value, parse_date};

/// What concerns one connection or one proxy (RFC 9110 section 7.6.1, RFC 9111 section 3.1), besides what `Connection` names.
const NOT_KEPT: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "cache-status", // speaks of the request that it answered
];

/// How far this machine's clock may have been set back before a response that it says is yet to come is not believed to be fresh.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// The head of a stored response, and what governs its reuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    status: StatusCode,
    headers: HeaderMap,
    times: Times,
    vary: VaryKey,
    spoiled: bool,
    terms: Terms,
}

impl Stored {
    /// What is kept of a response, if it may be kept. Of a part (206), the head of the whole is kept.
    pub fn new(asked: Asked<'_>, got: Got<'_>, times: Times, policy: &Policy) -> Result<Self, WhyNot> {
        let mut terms = storable(asked, got, times, policy)?;
        let vary = VaryKey::of(got.headers, asked.headers).ok_or(WhyNot::VariesByAnything)?;
        let mut headers = kept(got.headers, policy);
        date(&mut headers, times.received);
        let mut status = got.status;
        if status == StatusCode::PARTIAL_CONTENT {
            let part = partial::part(got.headers).ok_or(WhyNot::Part)?;
            status = StatusCode::OK;
            headers.remove(header::CONTENT_RANGE);
            headers.insert(header::CONTENT_LENGTH, part.complete.into());
            // The lifetime of the whole is that of the part; by its own status it could be another.
            terms = Terms::of(Got { status, headers: &headers }, times, policy);
        }
        Ok(Self { status, headers, times, vary, spoiled: false, terms })
    }

    /// Its status; never 206 or 304.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its fields, as they came, without those of the connection.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// When it was fetched, or validated last.
    #[must_use]
    pub const fn times(&self) -> Times {
        self.times
    }

    /// Which requests it answers.
    #[must_use]
    pub const fn vary(&self) -> &VaryKey {
        &self.vary
    }

    /// What governs its reuse.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How old it is (section 4.2.3). Never falls as `now` grows.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> Duration {
        self.terms.initial_age.saturating_add(now.since(self.times.received))
    }

    /// Whether it may be used without validation.
    #[must_use]
    pub fn is_fresh(&self, now: UnixMillis) -> bool {
        self.is_trusted(now) && !self.terms.always_validate && self.age(now) < self.terms.freshness.lifetime
    }

    /// Whether nothing speaks against it but its age: it was not invalidated, and it does not come from the future.
    #[must_use]
    pub fn is_trusted(&self, now: UnixMillis) -> bool {
        !self.spoiled && self.times.received <= now + CLOCK_SLACK
    }

    /// Marks it as invalid (section 4.4): from now on it is used only after the origin has confirmed it.
    pub const fn spoil(&mut self) {
        self.spoiled = true;
    }

    /// The conditions of a request that validates it (section 4.3.1); none if it has no validator.
    #[must_use]
    pub fn conditions(&self) -> HeaderMap {
        let mut conditions = HeaderMap::new();
        if let Some(etag) = etag(&self.headers) {
            conditions.insert(header::IF_NONE_MATCH, etag.value().clone());
        }
        if let Some(modified) = last_modified(&self.headers) {
            conditions.insert(header::IF_MODIFIED_SINCE, modified.clone());
        }
        conditions
    }

    /// The fields of an answer made of it (section 4): with its age, without what is not for clients.
    #[must_use]
    pub fn answer_headers(&self, now: UnixMillis, policy: &Policy) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(header::AGE, self.age(now).as_secs().into());
        if policy.surrogate_control {
            headers.remove(SURROGATE_CONTROL);
        }
        headers
    }

    /// Takes over what a validating response said; the caller has made sure that it speaks of this one.
    pub(super) fn renew(&mut self, headers: HeaderMap, times: Times, policy: &Policy) {
        self.headers = headers;
        date(&mut self.headers, times.received);
        self.times = times;
        self.spoiled = false;
        self.terms = Terms::of(Got { status: self.status, headers: &self.headers }, times, policy);
    }
}

/// The fields of a response that may be kept.
pub(super) fn kept(headers: &HeaderMap, policy: &Policy) -> HeaderMap {
    let mut kept = headers.clone();
    for name in named_by_connection(headers) {
        kept.remove(name);
    }
    for name in NOT_KEPT {
        kept.remove(name);
    }
    let (control, _) = Control::of(headers, policy);
    for name in control.excepted() {
        kept.remove(name);
    }
    if policy.set_cookie != SetCookie::Keep {
        kept.remove(header::SET_COOKIE);
        kept.remove("set-cookie2");
    }
    kept
}

fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}

/// Gives a response without a usable date one (RFC 9110 section 6.6.1).
fn date(headers: &mut HeaderMap, received: UnixMillis) {
    let usable = matches!(age::lines(headers, &header::DATE)[..], [one] if parse_date(one.as_bytes()).is_some());
    if !usable {
        let moment = std::time::UNIX_EPOCH.checked_add(Duration::from_secs(received.seconds()));
        headers.insert(header::DATE, date_value(moment.unwrap_or(std::time::UNIX_EPOCH)));
    }
}

/// Whether a response with these fields could be validated.
pub(super) fn has_validator(headers: &HeaderMap) -> bool {
    etag(headers).is_some() || last_modified(headers).is_some()
}

/// Its entity tag, if it has one that is one.
pub(crate) fn etag(headers: &HeaderMap) -> Option<Etag> {
    only(headers, &header::ETAG).cloned().and_then(Etag::parse)
}

/// Its modification date, if that is one.
pub(crate) fn last_modified(headers: &HeaderMap) -> Option<&HeaderValue> {
    only(headers, &header::LAST_MODIFIED).filter(|value| parse_date(value.as_bytes()).is_some())
}

pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    match age::lines(headers, name)[..] {
        [one] => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
