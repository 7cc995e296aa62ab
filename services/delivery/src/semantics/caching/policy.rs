//! What an operator decides where the standards leave a choice.

use std::time::Duration;

/// How one route caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether clients' `no-cache`, `no-store`, `max-age`, `min-fresh` and `max-stale` count. They are advice (RFC 9111 section 5.2.1), and whoever
    /// may give it makes the origin work for every request; so they do not, by default. `only-if-cached` always counts: it spares the origin.
    pub heed_clients: bool,
    /// Of the time since its last modification, the share (in percent) for which a response without a lifetime is fresh (section 4.2.2).
    pub heuristic_percent: u32,
    /// The longest such lifetime.
    pub heuristic_cap: Duration,
    /// How long a response is fresh that says there is nothing (404, 405, 410, 414, 501) and names no lifetime.
    pub missing: Duration,
    /// How long one of 500 and above is fresh that names no lifetime; nothing means that it is not kept.
    pub errors: Duration,
    /// The longest that any response of 400 and above is fresh, whatever it says: a mistake at the origin must not last.
    pub negative_cap: Duration,
    /// The longest that any other response is fresh.
    pub cap: Duration,
    /// How long a stale response may stand in for an origin that fails, where the origin says nothing about that (section 4.2.4).
    pub stale_if_error: Duration,
    /// How long one may be given out while it is validated, where the origin says nothing (RFC 5861 section 3).
    pub stale_while_revalidate: Duration,
    /// What `Set-Cookie` costs.
    pub set_cookie: SetCookie,
    /// Whether `Surrogate-Control` counts, after `CDN-Cache-Control` and before `Cache-Control`: what origins behind older surrogates send.
    pub surrogate_control: bool,
    /// Whether the response to a POST that names itself by `Content-Location` is kept for GET (RFC 9110 section 9.3.3).
    pub store_post: bool,
}

/// What becomes of a response that sets a cookie: whoever gets it from the cache would be the user whom it was set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetCookie {
    /// It is not stored.
    Refuse,
    /// It is stored without the cookie.
    Strip,
    /// It is stored with it, which RFC 9111 allows.
    Keep,
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            heed_clients: false,
            heuristic_percent: 10,
            heuristic_cap: DAY,
            missing: Duration::from_secs(10),
            errors: Duration::ZERO,
            negative_cap: Duration::from_mins(5),
            cap: DAY * 365,
            stale_if_error: DAY,
            stale_while_revalidate: Duration::ZERO,
            set_cookie: SetCookie::Refuse,
            surrogate_control: false,
            store_post: false,
        }
    }
}
