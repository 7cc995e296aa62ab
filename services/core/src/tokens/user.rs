//! User tokens: a signature in a URL's query, for one path or for all below a directory.
//!
//! The query is `uid=…&expires=UNIX&token=…&kid=…[&scope=…]`; `token` is the unpadded base64url of HMAC-SHA256 over
//! `"v1\nuser\n" kind "\n" what "\n" uid "\n" expires`. `kind` is `scope` with the scope, or `path` with the decoded path
//! (leading slash included) and, where a query is part of the object's key, a line break and that query in canonical
//! form. No field may hold a control character, so the number of lines and the kind say which line is which.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use ring::hmac;

use super::hmac_key;
use crate::{
    object::ObjectPath,
    ring::{Key, KeyRing},
    target::{COMPONENT, pairs},
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
        path.as_str().starts_with(&self.0[1..])
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let inner = text.strip_prefix('/').ok_or(InvalidScope)?;
        if let Some(directory) = inner.strip_suffix('/') {
            ObjectPath::from_decoded(directory).map_err(|_| InvalidScope)?;
        } else if !inner.is_empty() {
            return Err(InvalidScope);
        }
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
pub struct UserGrant {
    /// Who may fetch.
    pub uid: String,
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
        && query.chars().any(char::is_control)
    {
        return Err(Unsignable::Query);
    }
    let mac = hmac::sign(&hmac_key(key), mac_text(claim, uid, expires).as_bytes());
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
pub fn verify_user(
    ring: &KeyRing,
    now: UnixMillis,
    path: &ObjectPath,
    key_query: Option<&str>,
    query: Option<&str>,
) -> Result<UserGrant, UserTokenError> {
    let token = Presented::find(query.unwrap_or_default())?;
    let claim = match &token.scope {
        Some(scope) => UserClaim::Scope(scope),
        None => UserClaim::Path { path, query: key_query },
    };
    let text = mac_text(claim, &token.uid, token.expires);
    let made_by = |key: &Key| hmac::verify(&hmac_key(key), text.as_bytes(), &token.mac).is_ok();
    let good = match &token.kid {
        Some(kid) => ring.find(kid).is_some_and(made_by),
        None => ring.keys().any(made_by),
    };
    if !good {
        return Err(UserTokenError::Forged);
    }
    if token.scope.is_some_and(|scope| !scope.covers(path)) {
        return Err(UserTokenError::WrongObject);
    }
    if now.seconds() >= token.expires {
        return Err(UserTokenError::Expired);
    }
    Ok(UserGrant { uid: token.uid, expires: token.expires })
}

fn is_uid(uid: &str) -> bool {
    !uid.is_empty() && uid.len() <= LONGEST_UID && !uid.chars().any(char::is_control)
}

fn mac_text(claim: UserClaim<'_>, uid: &str, expires: u64) -> String {
    match claim {
        UserClaim::Scope(scope) => format!("v1\nuser\nscope\n{scope}\n{uid}\n{expires}"),
        UserClaim::Path { path, query: None } => format!("v1\nuser\npath\n/{path}\n{uid}\n{expires}"),
        UserClaim::Path { path, query: Some(query) } => format!("v1\nuser\npath\n/{path}\n{query}\n{uid}\n{expires}"),
    }
}

/// The parameters of a request, each of its form and given once.
struct Presented {
    uid: String,
    expires: u64,
    mac: [u8; 32],
    kid: Option<String>,
    scope: Option<Scope>,
}

impl Presented {
    fn find(query: &str) -> Result<Self, UserTokenError> {
        use UserTokenError::{Malformed, Missing};
        let [mut uid, mut expires, mut token, mut kid, mut scope] = [const { None }; 5];
        for pair in pairs(query) {
            let slot = match pair.name().as_deref() {
                Some("uid") => &mut uid,
                Some("expires") => &mut expires,
                Some("token") => &mut token,
                Some("kid") => &mut kid,
                Some("scope") => &mut scope,
                _ => continue,
            };
            // Two of one name: some reader would believe the one, some the other.
            if slot.replace(pair.value().ok_or(Malformed)?).is_some() {
                return Err(Malformed);
            }
        }
        let token = token.ok_or(Missing)?;
        let uid = uid.filter(|uid| is_uid(uid)).ok_or(Malformed)?;
        let expires = expires.and_then(|text| decimal(&text)).ok_or(Malformed)?;
        let mac = BASE64_URL_SAFE_NO_PAD.decode(&*token).map_err(|_| Malformed)?;
        Ok(Self {
            uid: uid.into_owned(),
            expires,
            mac: mac.try_into().map_err(|_| Malformed)?,
            kid: kid.map(Into::into),
            scope: scope.map(|text| text.parse()).transpose().map_err(|_| Malformed)?,
        })
    }
}

/// A number in the one way in which it is signed: no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests;
