//! User tokens: a signature in a URL's query, for one path or for all below a directory.
//!
//! The query is `uid=…&expires=UNIX&token=…&kid=…[&scope=…]`; `token` is the unpadded base64url of HMAC-SHA256 over
//! `"v1\nuser\n" kind "\n" what "\n" uid "\n" expires`. `kind` is `scope` with the scope, or `path` with the decoded path
//! (leading slash included) and, where a query is part of the object's key, a line break and that query in canonical
//! form. No field may hold a control character, so the number of lines and the kind say which line is which.

use std::{borrow::Cow, fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use ring::hmac;

use crate::{
    object::{ObjectPath, has_control},
    ring::{Key, KeyRing},
    target::{COMPONENT, Own, Query},
    time::UnixMillis,
};

/// Longest user id, in bytes.
const LONGEST_UID: usize = 256;

/// A directory of request paths: begins and ends in `/`, and covers what lies below it, at any depth.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(String);

/// Why a text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a decoded path that begins and ends in '/', such as /video/42/, without empty or dot segments")]
pub struct InvalidScope;

impl Scope {
    /// The scope as it is signed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path` lies below. The slash at the end makes the boundary: `/a/` does not cover `/ab`, nor `/a`.
    #[must_use]
    pub fn covers(&self, path: &ObjectPath) -> bool {
        covers(&self.0, path)
    }
}

fn check_scope(text: &str) -> Result<(), InvalidScope> {
    let inner = text.strip_prefix('/').ok_or(InvalidScope)?;
    match inner.strip_suffix('/') {
        Some(directory) => ObjectPath::check(directory).map_err(|_| InvalidScope),
        None if inner.is_empty() => Ok(()),
        None => Err(InvalidScope),
    }
}

/// Whether a scope, which was checked, covers a path.
fn covers(scope: &str, path: &ObjectPath) -> bool {
    path.as_str().starts_with(&scope[1..])
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        check_scope(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a user token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserClaim<'a> {
    /// One path, as clients ask for it (not the key that a route makes of it), and the query where that is part of the key.
    Path {
        /// The decoded path of the request.
        path: &'a ObjectPath,
        /// The part of the query that is part of the object's key, in canonical form.
        query: Option<&'a str>,
    },
    /// Everything below a directory.
    Scope(&'a Scope),
}

/// What a good user token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserGrant<'q> {
    /// Who may fetch.
    pub uid: Cow<'q, str>,
    /// Until when: seconds since 1970.
    pub expires: u64,
}

/// Why a claim cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsignable {
    /// The user id is empty, too long, or holds a control character.
    #[error("expected a user id of 1 to {LONGEST_UID} bytes without control characters")]
    Uid,
    /// The query holds a control character.
    #[error("the query holds a control character")]
    Query,
}

/// Why a user token opens nothing. Which of these it was is for metrics, never for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserTokenError {
    /// No `token` parameter.
    #[error("the request has no user token")]
    Missing,
    /// A parameter is missing, given twice, or not of its form.
    #[error("the user token is malformed")]
    Malformed,
    /// No key of the ring made this MAC for this path, user and expiry. A token for another path looks like this too.
    #[error("the user token is not signed by a known key for this object")]
    Forged,
    /// The MAC is good, but the scope lies elsewhere.
    #[error("the user token is for another directory")]
    WrongObject,
    /// The MAC is good, but its time is over.
    #[error("the user token has expired")]
    Expired,
}

impl UserTokenError {
    /// The HTTP status to answer with: 410 for what was once good, otherwise 403, and no detail.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Expired => 410,
            Self::Missing | Self::Malformed | Self::Forged | Self::WrongObject => 403,
        }
    }
}

/// Signs a claim; returns the query to append to the URL, percent-encoded.
///
/// `expires` is in seconds since 1970: the first second in which the token opens nothing.
pub fn sign_user(key: &Key, claim: UserClaim<'_>, uid: &str, expires: u64) -> Result<String, Unsignable> {
    const IN_QUERY: &AsciiSet = &COMPONENT.remove(b'/');
    if !is_uid(uid) {
        return Err(Unsignable::Uid);
    }
    if let UserClaim::Path { query: Some(query), .. } = claim
        && has_control(query)
    {
        return Err(Unsignable::Query);
    }
    let mac = hmac::sign(key.hmac(), claim.mac_text(uid, &expires.to_string()).as_bytes());
    let mut query = format!(
        "uid={}&expires={expires}&token={}&kid={}",
        utf8_percent_encode(uid, COMPONENT),
        BASE64_URL_SAFE_NO_PAD.encode(mac),
        key.kid(),
    );
    if let UserClaim::Scope(scope) = claim {
        query.push_str("&scope=");
        query.extend(utf8_percent_encode(scope.as_str(), IN_QUERY));
    }
    Ok(query)
}

/// Whether `query` (raw, without `?`) holds a token that opens `path` at `now`.
///
/// `path` is the decoded path of the request; `key_query` the part of the query that its route makes part of the key, in
/// canonical form. The MAC is judged before anything that it covers, so that only its holder learns that a token expired.
pub fn verify_user<'q>(
    ring: &KeyRing,
    now: UnixMillis,
    path: &ObjectPath,
    key_query: Option<&str>,
    query: impl Into<Query<'q>>,
) -> Result<UserGrant<'q>, UserTokenError> {
    let token = Presented::find(&query.into())?;
    let text = match &token.scope {
        Some(scope) => mac_text("scope", &[scope], &token.uid, &token.expires_text),
        None => UserClaim::Path { path, query: key_query }.mac_text(&token.uid, &token.expires_text),
    };
    let made_by = |key: &Key| hmac::verify(key.hmac(), text.as_bytes(), &token.mac).is_ok();
    let good = match &token.kid {
        Some(kid) => ring.find(kid).is_some_and(made_by),
        None => ring.keys().any(made_by),
    };
    if !good {
        return Err(UserTokenError::Forged);
    }
    if token.scope.is_some_and(|scope| !covers(&scope, path)) {
        return Err(UserTokenError::WrongObject);
    }
    if now.seconds() >= token.expires {
        return Err(UserTokenError::Expired);
    }
    Ok(UserGrant { uid: token.uid, expires: token.expires })
}

fn is_uid(uid: &str) -> bool {
    !uid.is_empty() && uid.len() <= LONGEST_UID && !has_control(uid)
}

impl UserClaim<'_> {
    fn mac_text(self, uid: &str, expires: &str) -> String {
        match self {
            Self::Scope(scope) => mac_text("scope", &[scope.as_str()], uid, expires),
            Self::Path { path, query: None } => mac_text("path", &["/", path.as_str()], uid, expires),
            Self::Path { path, query: Some(query) } => {
                mac_text("path", &["/", path.as_str(), "\n", query], uid, expires)
            }
        }
    }
}

/// What is signed; `what` in pieces.
fn mac_text(kind: &str, what: &[&str], uid: &str, expires: &str) -> String {
    let mut text = String::with_capacity(256);
    for pieces in [&["v1\nuser\n", kind, "\n"], what, &["\n", uid, "\n", expires]] {
        pieces.iter().for_each(|piece| text.push_str(piece));
    }
    text
}

/// The parameters of a request, each of its form and given once.
struct Presented<'q> {
    uid: Cow<'q, str>,
    expires: u64,
    /// The same in the one way in which it is signed.
    expires_text: Cow<'q, str>,
    mac: [u8; 32],
    kid: Option<Cow<'q, str>>,
    /// Checked as a [`Scope`] is.
    scope: Option<Cow<'q, str>>,
}

impl<'q> Presented<'q> {
    fn find(query: &Query<'q>) -> Result<Self, UserTokenError> {
        use UserTokenError::{Malformed, Missing};
        let of = |own| match query.own(own) {
            None => Ok(None),
            // Two of one name: some reader would believe the one, some the other.
            Some(_) if query.is_twice(own) => Err(Malformed),
            Some(value) => value.decoded().map(Some).ok_or(Malformed),
        };
        let (uid, expires, token) = (of(Own::Uid)?, of(Own::Expires)?, of(Own::Token)?);
        let (kid, scope) = (of(Own::Kid)?, of(Own::Scope)?);
        let token = token.ok_or(Missing)?;
        let uid = uid.filter(|uid| is_uid(uid)).ok_or(Malformed)?;
        let expires_text = expires.ok_or(Malformed)?;
        let expires = decimal(&expires_text).ok_or(Malformed)?;
        if let Some(scope) = &scope {
            check_scope(scope).map_err(|_| Malformed)?;
        }
        // A few octets more than there may be: the decoder wants room for what it does not know yet to be too much.
        let mut mac = [0; 36];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(&*token, &mut mac).map_err(|_| Malformed)?;
        let mac = mac[..length].try_into().map_err(|_| Malformed)?;
        Ok(Self { uid, expires, expires_text, mac, kid, scope })
    }
}

/// A number in the one way in which it is signed: no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests;
