//! How a request was handled, for whoever looks: `Cache-Status` (RFC 9211).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sfv::{ItemSerializer, KeyRef, StringRef, TokenRef};

/// The field.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What this cache calls itself.
const NAME: &str = "ferry";

/// Why a request went on to the origin (section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// It is not for the cache.
    Bypass,
    /// Its method is not.
    Method,
    /// Nothing is stored under its key.
    UriMiss,
    /// What is stored answers other variants of it.
    VaryMiss,
    /// Nothing is stored that answers it.
    Miss,
    /// The client wanted it.
    Request,
    /// What is stored is stale, or not to be used without validation.
    Stale,
    /// Some of the bytes are not here.
    Partial,
}

impl Forward {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// This cache's member of the field. A request that was forwarded was no hit, so one of the two is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatus<'a> {
    /// Why it went to the origin; `None` for a hit.
    pub forwarded: Option<Forward>,
    /// The origin's status, where that is not the answer's.
    pub origin_status: Option<StatusCode>,
    /// How long the answer is fresh yet, in seconds; below zero, for how long it has been stale.
    pub ttl: Option<i64>,
    /// Whether the origin's response was stored.
    pub stored: bool,
    /// Whether the request waited for another's.
    pub collapsed: bool,
    /// The key, where clients may see it.
    pub key: Option<&'a str>,
    /// What else there is to say, such as why nothing was stored.
    pub detail: Option<&'a str>,
}

impl CacheStatus<'_> {
    /// A hit.
    #[must_use]
    pub fn hit(ttl: i64) -> Self {
        Self { ttl: Some(ttl), ..Self::default() }
    }

    /// A request that went to the origin.
    #[must_use]
    pub fn forwarded(why: Forward) -> Self {
        Self { forwarded: Some(why), ..Self::default() }
    }

    /// The member. A key or a detail that fits no field is left out.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        let key = |name| KeyRef::from_str(name).expect("the parameters of RFC 9211 are keys");
        let token = |text| TokenRef::from_str(text).expect("each of these words is a token");
        let mut member = ItemSerializer::new().bare_item(token(NAME));
        match self.forwarded {
            None => member = member.parameter(key("hit"), true),
            Some(why) => {
                member = member.parameter(key("fwd"), token(why.as_str()));
                if let Some(status) = self.origin_status {
                    member = member.parameter(key("fwd-status"), i32::from(status.as_u16()));
                }
                if self.stored {
                    member = member.parameter(key("stored"), true);
                }
                if self.collapsed {
                    member = member.parameter(key("collapsed"), true);
                }
            }
        }
        if let Some(ttl) = self.ttl.and_then(|ttl| sfv::Integer::try_from(ttl).ok()) {
            member = member.parameter(key("ttl"), ttl);
        }
        for (name, text) in [("key", self.key), ("detail", self.detail)] {
            if let Some(text) = text.and_then(|text| StringRef::from_str(text).ok()) {
                member = member.parameter(key(name), text);
            }
        }
        HeaderValue::try_from(member.finish()).expect("a structured field is visible ASCII")
    }

    /// Puts the member behind those of the caches nearer to the origin.
    pub fn append_to(&self, headers: &mut HeaderMap) {
        headers.append(CACHE_STATUS, self.value());
    }
}

/// What is left of a lifetime, as `ttl` has it.
#[must_use]
pub fn ttl(lifetime: Duration, age: Duration) -> i64 {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    seconds(lifetime).saturating_sub(seconds(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_says_what_happened() {
        let forwarded = CacheStatus::forwarded;
        for (status, expected) in [
            (CacheStatus::hit(30), "ferry;hit;ttl=30"),
            (CacheStatus::hit(-30), "ferry;hit;ttl=-30"),
            (CacheStatus { key: Some("/a"), ..CacheStatus::hit(0) }, "ferry;hit;ttl=0;key=\"/a\""),
            (forwarded(Forward::UriMiss), "ferry;fwd=uri-miss"),
            (CacheStatus { stored: true, ..forwarded(Forward::VaryMiss) }, "ferry;fwd=vary-miss;stored"),
            (CacheStatus { collapsed: true, ..forwarded(Forward::Miss) }, "ferry;fwd=miss;collapsed"),
            (
                CacheStatus {
                    origin_status: Some(StatusCode::NOT_MODIFIED),
                    ttl: Some(5),
                    ..forwarded(Forward::Stale)
                },
                "ferry;fwd=stale;fwd-status=304;ttl=5",
            ),
            (
                CacheStatus { detail: Some("set-cookie"), ..forwarded(Forward::Method) },
                "ferry;fwd=method;detail=\"set-cookie\"",
            ),
            (CacheStatus { detail: Some("\u{e9}"), ..forwarded(Forward::Request) }, "ferry;fwd=request"),
            (CacheStatus { ttl: Some(i64::MAX), ..forwarded(Forward::Partial) }, "ferry;fwd=partial"),
            (forwarded(Forward::Bypass), "ferry;fwd=bypass"),
        ] {
            assert_eq!(status.value(), expected);
        }
    }

    #[test]
    fn it_comes_last() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_STATUS, HeaderValue::from_static("other; hit"));
        CacheStatus::hit(1).append_to(&mut headers);
        assert_eq!(headers.get_all(CACHE_STATUS).iter().collect::<Vec<_>>(), ["other; hit", "ferry;hit;ttl=1"]);
    }

    #[test]
    fn a_lifetime_that_is_over_is_below_zero() {
        for (lifetime, age, left) in
            [(60, 10, 50), (10, 60, -50), (0, 0, 0), (u64::MAX, 0, i64::MAX), (0, u64::MAX, -i64::MAX)]
        {
            assert_eq!(ttl(Duration::from_secs(lifetime), Duration::from_secs(age)), left);
        }
    }
}
