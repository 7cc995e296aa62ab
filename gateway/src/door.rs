//! Who may pass, and what he asked for. Pure: rings, routes and the time come in as arguments.

use std::time::Duration;

use ferry_core::{
    id::NodeId,
    object::ObjectPath,
    ring::KeyRing,
    routes::{Access, Match, Routes},
    target::{NodeTokens, Query},
    time::UnixMillis,
    tokens::{NodeGrant, NodeTokenError, UserTokenError, open, verify_user},
};
use ferry_delivery::Answer;
use http::{HeaderValue, StatusCode, header};
use twox_hash::XxHash3_64;

/// A request that may be served.
#[derive(Debug)]
pub(crate) struct Admitted<'r> {
    pub(crate) path: ObjectPath,
    pub(crate) found: Match<'r>,
    /// Until when redirects of this request may be renewed, in seconds since 1970; `None` if nothing limits it.
    pub(crate) until: Option<u64>,
    /// Nodes that already failed this request.
    pub(crate) tried: Vec<NodeId>,
    /// A hash of who the user token says that it is.
    pub(crate) user: Option<u64>,
}

/// Why a request is not served. Clients learn no more than the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the path cannot be decoded")]
    Malformed,
    #[error("no route knows the path")]
    Unknown,
    #[error("the route wants a user token, and no key ring has arrived yet")]
    NoRing,
    #[error(transparent)]
    User(#[from] UserTokenError),
    #[error("the node token to renew is not good for this")]
    Renewal,
}

/// Judges one request: the path and the query as they came.
pub(crate) fn admit<'r>(
    routes: &'r Routes,
    rings: Rings<'_>,
    now: UnixMillis,
    path: &str,
    query: &Query<'_>,
) -> Result<Admitted<'r>, Refused> {
    let path =
        routes.path(path).map_err(|why| if why.is_malformed() { Refused::Malformed } else { Refused::Unknown })?;
    let found = routes.match_query(&path, query).ok_or(Refused::Unknown)?;
    match query.node_tokens() {
        NodeTokens::None => {}
        NodeTokens::One(token) => {
            let grant = renewed(rings.node, now, token, &path)?;
            // The path alone does not name the object where the query is part of the key.
            if grant.key != found.key || (found.access != Access::Open && !grant.guarded) {
                return Err(Refused::Renewal);
            }
            let until = Some(grant.renewable_until);
            return Ok(Admitted { path, found, until, tried: grant.tried, user: None });
        }
        NodeTokens::Several => return Err(Refused::Renewal),
    }
    let (until, user) = match found.access {
        Access::Open => (None, None),
        Access::Signed => {
            let ring = rings.user.ok_or(Refused::NoRing)?;
            let grant = verify_user(ring, now, &path, found.key.query.as_deref(), *query)?;
            (Some(grant.expires), Some(XxHash3_64::oneshot(grant.uid.as_bytes())))
        }
    };
    Ok(Admitted { path, found, until, tried: Vec::new(), user })
}

/// The rings to judge by, as far as they have arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rings<'a> {
    pub(crate) user: Option<&'a KeyRing>,
    pub(crate) node: Option<&'a KeyRing>,
}

/// A node sent the client back with a token that was good once: it stays good for a renewal up to the user's own expiry.
fn renewed(ring: Option<&KeyRing>, now: UnixMillis, token: &str, path: &ObjectPath) -> Result<NodeGrant, Refused> {
    let grant = match open(ring.ok_or(Refused::NoRing)?, now, token) {
        Ok(grant) => grant,
        Err(NodeTokenError::Expired(grant)) => *grant,
        Err(NodeTokenError::Malformed | NodeTokenError::Forged | NodeTokenError::TooNew) => {
            return Err(Refused::Renewal);
        }
    };
    if !grant.covers(path) {
        return Err(Refused::Renewal);
    }
    if now.seconds() >= grant.renewable_until {
        return Err(Refused::User(UserTokenError::Expired));
    }
    Ok(grant)
}

impl Refused {
    /// The answer: no detail for who guesses, and nothing for caches to keep.
    pub(crate) fn answer(self) -> Answer {
        let answer = match self {
            Self::Malformed => Answer::text(StatusCode::BAD_REQUEST, "malformed path"),
            Self::Unknown => Answer::text(StatusCode::NOT_FOUND, "not found"),
            Self::NoRing => Answer::unavailable("not ready", Duration::from_secs(1)),
            Self::Renewal => Answer::text(StatusCode::FORBIDDEN, "forbidden"),
            Self::User(why) if why.status() == StatusCode::GONE.as_u16() => Answer::text(StatusCode::GONE, "expired"),
            Self::User(_) => Answer::text(StatusCode::FORBIDDEN, "forbidden"),
        };
        match self {
            Self::Malformed | Self::Unknown => answer,
            Self::NoRing | Self::Renewal | Self::User(_) => {
                answer.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
            }
        }
    }

    /// The word for it in the metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::NoRing => "no-ring",
            Self::Renewal | Self::User(_) => "forbidden",
        }
    }
}

#[cfg(test)]
mod tests;
